// Follows a packet through the table of the nftables mode, as nft lists it, to every way it may go. It
// knows the rules that this mode makes and fails on any other: what it does not understand it must not
// explain. Only the first packet of a connection is traced (conntrack state NEW).
import { contains, parseCidr, parseIp } from '#net/ip.ts'
import { mergeOutcomes, type Outcome, type Packet } from '../trace/outcome.ts'
import type { ListedTable } from './parse.ts'

export interface TraceOptions {
  /** The node's own addresses besides loopback: what fib finds local. */
  readonly nodeAddresses: readonly string[]
}

interface Walking extends Packet, TraceOptions { readonly mark: number; readonly translated: boolean }
type End = 'continue' | 'DROP' | 'REJECT' | 'DNAT' | 'MASQUERADE' | 'accept'
interface Path { readonly end: End; readonly packet: Walking; readonly probability: number; readonly rules: readonly string[] }

export function trace(table: ListedTable, packet: Packet, options: TraceOptions): Outcome[] {
  const start: Path = { end: 'continue', packet: { ...packet, ...options, mark: 0, translated: false }, probability: 1, rules: [] }
  const then = (paths: Path[], hook: (packet: Walking) => string | undefined) => paths.flatMap(path => {
    const at = isRefused(path) ? undefined : hook(path.packet)
    return at ? through(table, at, path) : [path]
  })
  const toNode = ({ destination }: Walking) => isLocal(start.packet, destination)
  const routed = packet.inputInterface === undefined
    // What the node sends to itself goes out and comes in again, over lo.
    ? then(then([start], () => 'output'), walking => toNode(walking) ? 'input' : undefined)
    : then(then([start], () => 'prerouting'), walking => toNode(walking) ? 'input' : 'forward')
  return mergeOutcomes(then(routed, () => 'postrouting').map(outcome))
}

const through = (table: ListedTable, hook: string, path: Path): Path[] =>
  chainsAt(table, hook).reduce<Path[]>((open, { name }) => open.flatMap(one => isRefused(one) ? [one] : walk(table, name, { ...one, end: 'continue' })), [path])

const isRefused = ({ end }: Path) => end === 'DROP' || end === 'REJECT'

const named: Record<string, number> = { dstnat: -100, srcnat: 100, filter: 0 }
/** The base chains of a hook, in the order of their priorities. */
function chainsAt({ chains }: ListedTable, hook: string): { name: string; priority: number }[] {
  return [...chains].flatMap(([name, chain]) => {
    if (!chain.hook) return []
    const [, at, word, sign, number] = /^type \w+ hook (\w+) priority (?:([a-z]+)(?: ([+-]) (\d+))?|-?\d+); policy accept;$/.exec(chain.hook) ?? unknown(chain.hook)
    if (at !== hook) return []
    const priority = word ? named[word]! + (number ? Number(`${sign}${number}`) : 0) : Number(/priority (-?\d+)/.exec(chain.hook)![1])
    return [{ name, priority }]
  }).sort((a, b) => a.priority - b.priority)
}

function outcome({ end, packet, probability, rules }: Path): Outcome {
  const verdict = end === 'DROP' || end === 'REJECT' ? end : packet.translated ? 'endpoint' : 'none'
  const endpoint = packet.destination.includes(':') ? `[${packet.destination}]:${packet.port}` : `${packet.destination}:${packet.port}`
  return { verdict, endpoint: verdict === 'endpoint' ? endpoint : undefined, masquerade: end === 'MASQUERADE', probability, rules }
}

const unknown = (text: string): never => { throw new Error(`the tracer does not know this rule: ${text}`) }

/** A chain to its end: where a path ends, or goes on after the rule that led here. */
function walk(table: ListedTable, chain: string, start: Path): Path[] {
  const rules = table.chains.get(chain)?.rules
  if (!rules) throw new Error(`the table has no chain ${chain}`)
  let open: Path[] = [start]
  const done: Path[] = []
  for (const rule of rules) {
    const next: Path[] = []
    for (const path of open) {
      for (const step of runRule(table, { chain, rule }, path)) (step.left || step.path.end !== 'continue' ? done : next).push(step.path)
    }
    open = next
  }
  return [...done, ...open]
}

/** `left`: the chain was left for good (goto). */
interface Step { readonly path: Path; readonly left?: boolean }

function runRule(table: ListedTable, { chain, rule }: { chain: string; rule: string }, path: Path): Step[] {
  let rest = rule
  const taken = (path: Path, note = ''): Path => ({ ...path, rules: [...path.rules, `${chain}: ${rule}${note && `   # ${note}`}`] })
  for (;;) {
    const test = tests.find(({ pattern }) => pattern.test(rest))
    if (!test) break
    const match = test.pattern.exec(rest)!
    if (!test.holds(match.slice(1), { table, packet: path.packet })) return [{ path }]
    rest = rest.slice(match[0].length).trimStart()
  }
  return act(table, { rest, rule, path, taken })
}

interface Acting { readonly rest: string; readonly rule: string; readonly path: Path; readonly taken: (path: Path, note?: string) => Path }

function act(table: ListedTable, acting: Acting): Step[] {
  const { rest, rule, path, taken } = acting, { packet } = path
  let match: RegExpExecArray | null
  if ((match = /^(goto|jump) (\S+)$/.exec(rest))) return lead(table, match[1]!, match[2]!, taken(path))
  if (rest === 'drop') return [{ path: { ...taken(path), end: 'DROP' } }]
  if (rest === 'reject') return [{ path: { ...taken(path), end: 'REJECT' } }]
  if (rest === 'masquerade fully-random') return [{ path: { ...taken(path), end: 'MASQUERADE' } }]
  if ((match = /^meta mark set meta mark (\||or|\^|xor) (0x[0-9a-f]+)(?: (.*))?$/.exec(rest))) {
    const mark = match[1] === '|' || match[1] === 'or' ? packet.mark | Number(match[2]) : packet.mark ^ Number(match[2])
    const marked = { ...path, packet: { ...packet, mark } }
    return match[3] ? act(table, { ...acting, rest: match[3], path: marked }) : [{ path: taken(marked) }]
  }
  if ((match = /^update @(\S+) \{ ip6? saddr timeout \S+ \}$/.exec(rest))) return [{ path: taken(path) }]
  if ((match = /^dnat(?: ip6?)? to \[?([^\]\s]+?)\]?:(\d+)$/.exec(rest))) return [{ path: translated(taken(path), match[1]!, Number(match[2])) }]
  if ((match = /^dnat(?: ip6?)? to (.+) \. numgen random mod (\d+) map @(\S+)$/.exec(rest))) return choose(table, acting, { key: keyOf(match[1]!, packet), count: Number(match[2]), map: match[3]! })
  if ((match = /^numgen random mod (\d+) vmap \{ (.*) \}$/.exec(rest))) return spread(table, acting, { count: Number(match[1]), list: match[2]! })
  if ((match = /^(.+) vmap @(\S+)$/.exec(rest))) {
    const key = keyOf(match[1]!, packet), verdict = elementsOf(table, match[2]!).get(key)
    if (verdict === undefined) return [{ path }]
    return act(table, { ...acting, rest: verdict, taken: one => taken(one, `${key} : ${verdict}`) })
  }
  return unknown(rule)
}

const translated = (path: Path, ip: string, port: number): Path => ({ ...path, end: 'DNAT', packet: { ...path.packet, destination: ip, port, translated: true } })

function lead(table: ListedTable, how: string, chain: string, path: Path): Step[] {
  return walk(table, chain, path).map(after => ({ path: after, left: how === 'goto' }))
}

/** One of `count` elements; one that is missing lets the packet go on, as in the kernel. */
function choose(table: ListedTable, { path, taken }: Acting, { key, count, map }: { key: string; count: number; map: string }): Step[] {
  return Array.from({ length: count }, (_, i): Step => {
    const value = elementsOf(table, map).get(`${key} . ${i}`), likely = { ...path, probability: path.probability / count }
    if (value === undefined) return { path: likely }
    const [ip, port] = value.split(' . ') as [string, string]
    return { path: translated(taken(likely, `${key} . ${i} : ${value}`), ip, Number(port)) }
  })
}

function spread(table: ListedTable, { path, taken, rule }: Acting, { count, list }: { count: number; list: string }): Step[] {
  return list.split(', ').flatMap(item => {
    const [, chain] = /^\d+ : goto (\S+)$/.exec(item) ?? unknown(rule)
    return lead(table, 'goto', chain!, { ...taken(path, item), probability: path.probability / count })
  })
}

const elementsOf = ({ sets }: ListedTable, name: string) => sets.get(name) ?? unknown(`@${name}`)

/** `ip daddr . meta l4proto . th dport` of a packet, as elements are written. */
const keyOf = (expression: string, packet: Walking): string => expression.split(' . ').map(part => {
  switch (part) {
    case 'ip daddr': case 'ip6 daddr': return packet.destination
    case 'ip saddr': case 'ip6 saddr': return packet.source
    case 'meta l4proto': return packet.protocol
    case 'th dport': return String(packet.port)
    default: return unknown(expression)
  }
}).join(' . ')

const isLoopback = (ip: string) => ip.startsWith('127.') || ip === '::1'
const isLocal = (packet: Walking, ip: string) => isLoopback(ip) || packet.nodeAddresses.includes(ip)
const inRange = (range: string, ip: string) => range.includes('/') ? contains(parseCidr(range)!, parseIp(ip)!) : range === ip

/** Whether a set holds a key, whose last part may be a range there. */
function holds(table: ListedTable, name: string, key: string): boolean {
  const elements = elementsOf(table, name)
  if (elements.has(key)) return true
  const at = key.lastIndexOf(' . '), first = key.slice(0, at + 3), last = key.slice(at < 0 ? 0 : at + 3)
  return [...elements.keys()].some(other => other.includes('/') && other.startsWith(first) && inRange(other.slice(first.length), last))
}

interface Testing { readonly table: ListedTable; readonly packet: Walking }
interface Test { readonly pattern: RegExp; readonly holds: (groups: (string | undefined)[], testing: Testing) => boolean }
const tests: readonly Test[] = [
  // The first packet of a connection: NEW, and in status DNAT once it was translated.
  { pattern: /^ct state (new|invalid|established,related)(?= )/, holds: ([state]) => state === 'new' },
  { pattern: /^ct status dnat(?= )/, holds: (_, { packet }) => packet.translated },
  { pattern: /^ct status & dnat != dnat(?= )/, holds: (_, { packet }) => !packet.translated },
  { pattern: /^fib (saddr|daddr) type local(?= )/, holds: ([which], { packet }) => isLocal(packet, which === 'saddr' ? packet.source : packet.destination) },
  { pattern: /^iifname (!= )?"([^"*]+)(\*?)"(?= )/, holds: ([not, name, star], { packet }) => {
    const own = packet.inputInterface ?? ''
    return (star ? own.startsWith(name!) : own === name) !== Boolean(not)
  } },
  { pattern: /^meta l4proto \{ ([\w, ]+) \}(?= )/, holds: ([list], { packet }) => list!.split(', ').includes(packet.protocol) },
  { pattern: /^meta l4proto (tcp|udp|sctp)(?= )/, holds: ([protocol], { packet }) => packet.protocol === protocol },
  { pattern: /^(tcp|udp|sctp) dport (\d+)(?= )/, holds: ([protocol, port], { packet }) => packet.protocol === protocol && packet.port === Number(port) },
  { pattern: /^meta mark & (0x[0-9a-f]+) == (0x[0-9a-f]+)(?= )/, holds: ([mask, value], { packet }) => (packet.mark & Number(mask)) === Number(value) },
  { pattern: /^((?:(?:ip6? [sd]addr|meta l4proto|th dport)(?: \. )?)+) (!= )?@(\S+)(?= )/, holds: ([expression, not, set], { table, packet }) => holds(table, set!, keyOf(expression!, packet)) !== Boolean(not) },
  { pattern: /^ip6? (saddr|daddr) (!= )?([0-9a-f:][0-9a-f.:]*(?:\/\d+)?)(?= )/, holds: ([which, not, range], { packet }) => inRange(range!, which === 'saddr' ? packet.source : packet.destination) !== Boolean(not) },
]
