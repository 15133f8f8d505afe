// Follows a packet through iptables rules, as `iptables-save` prints them, to every way it may go.
// It knows the rules that kube-proxy makes and fails on any other: what it does not understand it
// must not explain. Only the first packet of a connection is traced (conntrack state NEW).
import { contains, parseCidr, parseIp } from '#net/ip.ts'
import { mergeOutcomes, type Outcome, type Packet } from '../trace/outcome.ts'

export interface TraceOptions {
  /** The node's own addresses besides loopback: what addrtype LOCAL matches. */
  readonly nodeAddresses: readonly string[]
  /** Names of `recent` lists that hold the source: the endpoints to which the client has affinity. */
  readonly recent?: readonly string[]
}

export interface Rule {
  readonly text: string
  readonly tests: readonly Test[]
  /** Of a statistic match; 1 for a rule without one. */
  readonly probability: number
  readonly target: string | undefined
  readonly options: readonly string[]
}
type Test = (packet: Walking) => boolean

/** Table to chain to rules. */
export type Tables = ReadonlyMap<string, ReadonlyMap<string, readonly Rule[]>>

interface Walking extends Packet, TraceOptions { readonly mark: number; readonly translated: boolean }

type End = 'continue' | 'ACCEPT' | 'DROP' | 'REJECT' | 'DNAT' | 'MASQUERADE'
interface Path { readonly end: End; readonly packet: Walking; readonly probability: number; readonly rules: readonly string[] }

/** Reads the text of iptables-save, of one or several tables. */
export function parseTables(text: string): Tables {
  const tables = new Map<string, Map<string, Rule[]>>()
  let table = new Map<string, Rule[]>()
  for (const line of text.split('\n')) {
    if (line.startsWith('*')) tables.set(line.slice(1), table = new Map())
    else if (line.startsWith(':')) table.set(line.slice(1).split(' ')[0]!, [])
    else if (line.startsWith('-A ')) {
      const [, chain, rule] = /^-A (\S+) ?(.*)$/.exec(line)!
      table.get(chain!)!.push(knownRule(rule!))
    }
  }
  return tables
}

export function trace(tables: Tables, packet: Packet, options: TraceOptions): Outcome[] {
  const start: Path = { end: 'continue', packet: { ...packet, ...options, mark: 0, translated: false }, probability: 1, rules: [] }
  const local = packet.inputInterface === undefined
  const routed = run(tables, 'nat', local ? 'OUTPUT' : 'PREROUTING', [start])
  const filtered = routed.flatMap(path => {
    const toNode = isLocal(path.packet, path.packet.destination)
    const sent = local ? run(tables, 'filter', 'OUTPUT', [path]) : [path]
    // What the node sends to itself goes out and comes in again, over lo.
    return sent.flatMap(next => isRefused(next) || (local && !toNode) ? [next] : run(tables, 'filter', toNode ? 'INPUT' : 'FORWARD', [next]))
  })
  const passed = filtered.flatMap(path => isRefused(path) ? [path] : run(tables, 'nat', 'POSTROUTING', [path]))
  return mergeOutcomes(passed.map(outcome))
}

const isRefused = ({ end }: Path) => end === 'DROP' || end === 'REJECT'

function outcome({ end, packet, probability, rules }: Path): Outcome {
  const verdict = end === 'DROP' || end === 'REJECT' ? end : packet.translated ? 'endpoint' : 'none'
  const endpoint = packet.destination.includes(':') ? `[${packet.destination}]:${packet.port}` : `${packet.destination}:${packet.port}`
  return { verdict, endpoint: verdict === 'endpoint' ? endpoint : undefined, masquerade: end === 'MASQUERADE', probability, rules }
}

/** Takes each path through a chain of the kernel's own. */
function run(tables: Tables, table: string, chain: string, paths: readonly Path[]): Path[] {
  return paths.flatMap(path => walk(tables, table, chain, { ...path, end: 'continue' }))
}

function walk(tables: Tables, table: string, chain: string, start: Path): Path[] {
  const rules = tables.get(table)?.get(chain)
  if (!rules) throw new Error(`table ${table} has no chain ${chain}`)
  let open: Path[] = [start]
  const done: Path[] = []
  for (const rule of rules) {
    const next: Path[] = []
    for (const path of open) {
      if (!rule.tests.every(test => test(path.packet))) { next.push(path); continue }
      if (rule.probability < 1) next.push({ ...path, probability: path.probability * (1 - rule.probability) })
      const taken = { ...path, probability: path.probability * rule.probability, rules: [...path.rules, `${table} -A ${chain} ${rule.text}`] }
      for (const after of follow(tables, table, rule, taken)) (after.returned || after.path.end !== 'continue' ? done : next).push(after.path)
    }
    open = next
  }
  return [...done, ...open]
}

/** Where the packet is after a rule that matched. */
function follow(tables: Tables, table: string, { target, options, text }: Rule, path: Path): { path: Path; returned?: boolean }[] {
  const { packet } = path
  switch (target) {
    case undefined: return [{ path }]
    case 'RETURN': return [{ path, returned: true }]
    case 'ACCEPT': case 'DROP': case 'MASQUERADE': return [{ path: { ...path, end: target } }]
    case 'REJECT': return [{ path: { ...path, end: target } }]
    case 'MARK': return [{ path: { ...path, packet: { ...packet, mark: xmark(packet.mark, options[1] ?? '', text) } } }]
    case 'DNAT': {
      const [, ip, port] = /^\[?([^\]]+?)\]?:(\d+)$/.exec(options[1] ?? '') ?? unknown(text)
      return [{ path: { ...path, end: 'DNAT', packet: { ...packet, destination: ip!, port: Number(port), translated: true } } }]
    }
    default:
      if (options.length > 0) unknown(text)
      return walk(tables, table, target, path).map(after => ({ path: after }))
  }
}

const unknown = (text: string): never => { throw new Error(`the tracer does not know this rule: ${text}`) }

function xmark(mark: number, option: string, text: string): number {
  const [, value, mask] = /^(0x[0-9a-f]+)\/(0x[0-9a-f]+)$/.exec(option) ?? unknown(text)
  return (mark & ~Number(mask)) ^ Number(value)
}

const isLoopback = (ip: string) => ip.startsWith('127.') || ip === '::1'
const isLocal = (packet: Walking, ip: string) => isLoopback(ip) || packet.nodeAddresses.includes(ip)
const inRange = (range: string, ip: string) => contains(parseCidr(range)!, parseIp(ip)!)

// The first packet of a connection: NEW, and in state DNAT once it was translated.
const hasState = (packet: Walking, states: string) =>
  states.split(',').some(state => state === 'NEW' || (state === 'DNAT' && packet.translated))

const flagTests: Record<string, (value: string) => Test> = {
  '-s': range => packet => inRange(range, packet.source),
  '-d': range => packet => inRange(range, packet.destination),
  '-i': name => packet => name.endsWith('+') ? packet.inputInterface?.startsWith(name.slice(0, -1)) === true : packet.inputInterface === name,
  '-p': protocol => packet => packet.protocol === protocol,
  '--dport': port => packet => packet.port === Number(port),
  '--dst-type': type => type === 'LOCAL' ? packet => isLocal(packet, packet.destination) : unknown(`--dst-type ${type}`),
  '--src-type': type => type === 'LOCAL' ? packet => isLocal(packet, packet.source) : unknown(`--src-type ${type}`),
  '--ctstate': states => packet => hasState(packet, states),
  '--mark': value => packet => (packet.mark & Number(value.split('/')[1])) === Number(value.split('/')[0]),
}
/** Options that say nothing about whether a rule matches; the number of values each takes. */
const silent: Record<string, number> = { '--comment': 1, '--mode': 1, '--mask': 1, '--rsource': 0, '--reap': 0, '--seconds': 1, '--set': 0, '--rcheck': 0 }
const modules = ['comment', 'tcp', 'udp', 'sctp', 'conntrack', 'mark', 'addrtype', 'statistic', 'recent']

/** A rule of another program is an error only for a packet that meets it. */
function knownRule(text: string): Rule {
  try { return parseRule(text) } catch (error) { return { text, tests: [() => { throw error }], probability: 1, target: undefined, options: [] } }
}

function parseRule(text: string): Rule {
  const words = [...text.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain!)
  const tests: Test[] = []
  let probability = 1, target: string | undefined
  for (let not = false; words.length > 0;) {
    const word = words.shift()!
    if (word === '!') { not = true; continue }
    if (word === '-j') { target = words.shift()!; break }
    if (word === '-m') { if (!modules.includes(words.shift()!)) unknown(text) }
    else if (word === '--probability') probability = Number(words.shift())
    else if (word === '--name') tests.push(recentTest(text, words.shift()!))
    else if (flagTests[word]) {
      const test = flagTests[word](words.shift()!)
      tests.push(not ? packet => !test(packet) : test)
    } else if (silent[word] !== undefined) words.splice(0, silent[word])
    else unknown(text)
    not = false
  }
  return { text, tests, probability, target, options: words }
}

/** `recent --rcheck` matches clients that were noted; `--set` notes, and always matches. */
const recentTest = (text: string, name: string): Test =>
  text.includes('--rcheck') ? packet => packet.recent?.includes(name) === true : () => true
