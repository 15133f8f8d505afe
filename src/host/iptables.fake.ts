// iptables in memory, for tests: keeps tables of chains of rules, refuses what the real commands
// refuse (a jump to a chain that is not there, deleting a chain that is in use), and prints what
// `iptables-save` prints. A parity test feeds it and the real commands the same text. It knows the
// matches and targets that kube-proxy uses and refuses every other by name.
import { CommandError } from '#lib/errors.ts'
import { formatCidr, parseCidr, parseIp, type Family } from '#net/ip.ts'
import type { Iptables } from './iptables.ts'

type Tables = Map<string, Map<string, string[]>>

const builtins: Record<string, readonly string[]> = {
  filter: ['INPUT', 'FORWARD', 'OUTPUT'],
  nat: ['PREROUTING', 'INPUT', 'OUTPUT', 'POSTROUTING'],
  mangle: ['PREROUTING', 'INPUT', 'FORWARD', 'OUTPUT', 'POSTROUTING'],
}
const verdicts = ['ACCEPT', 'DROP', 'RETURN', 'REJECT', 'MARK', 'MASQUERADE', 'DNAT']

export class FakeIptables implements Iptables {
  readonly family: Family
  readonly command = 'fake'
  readonly randomFully = true
  /** Every text that was restored, failed ones too. */
  readonly restored: string[] = []
  /** Called with each line before it takes effect; may throw to fail there. */
  onLine: (line: string) => void = () => {}
  #tables: Tables = new Map(Object.entries(builtins).map(([table, chains]) => [table, new Map(chains.map(chain => [chain, []]))]))

  constructor(family: Family = 4) { this.family = family }

  async save(table: string): Promise<string> {
    const chains = this.#tables.get(table)!
    const names = [...builtins[table]!, ...[...chains.keys()].filter(chain => !builtins[table]!.includes(chain)).sort()]
    return [`*${table}`, ...names.map(chain => `:${chain} ${builtins[table]!.includes(chain) ? 'ACCEPT' : '-'} [0:0]`),
      ...names.flatMap(chain => chains.get(chain)!.map(rule => `-A ${chain} ${rule}`)), 'COMMIT', ''].join('\n')
  }

  async hasChain(table: string, chain: string): Promise<boolean> { return this.#tables.get(table)!.has(chain) }

  /** Empties every table, as `iptables -F` and `-X` on each would. */
  flush(): void { this.#tables = new FakeIptables(this.family).#tables }

  async restore(text: string): Promise<void> {
    this.restored.push(text)
    let name = '', table: Map<string, string[]> | undefined
    text.split('\n').forEach((line, i) => {
      const fail = (reason: string): never => { throw new CommandError(['iptables-restore'], 2, `line ${i + 1} failed: ${reason}: ${line}`) }
      this.onLine(line)
      if (line === '' || line.startsWith('#')) return
      if (line.startsWith('*')) {
        name = line.slice(1)
        table = new Map([...this.#tables.get(name) ?? fail('no such table')].map(([chain, rules]) => [chain, [...rules]]))
      } else if (!table) fail('no table')
      else if (line === 'COMMIT') { this.#tables.set(name, table); table = undefined } // a table changes at once
      else change(table, line, { fail, family: this.family, builtin: builtins[name]! })
    })
    if (table) throw new CommandError(['iptables-restore'], 2, 'COMMIT expected at the end')
  }
}

interface Context { readonly fail: (reason: string) => never; readonly family: Family; readonly builtin: readonly string[] }

function change(table: Map<string, string[]>, line: string, context: Context): void {
  const { fail, builtin } = context
  if (line.startsWith(':')) { table.set(line.slice(1).split(' ')[0]!, []); return }
  const [verb, chain = '', ...rest] = words(line)
  const rules = table.get(chain) ?? fail('no chain by that name')
  const numbered = verb === '-I' && /^\d+$/.test(rest[0] ?? '')
  const rule = (args: string[]) => canonical(args, { ...context, isTarget: target => table.has(target) || verdicts.includes(target) })
  switch (verb) {
    case '-A': rules.push(rule(rest)); return
    case '-I': {
      const at = numbered ? Number(rest.shift()) : 1
      if (at > rules.length + 1) fail('index of insertion too big')
      rules.splice(at - 1, 0, rule(rest))
      return
    }
    case '-D': {
      const at = rules.indexOf(rule(rest))
      if (at < 0) fail('does a matching rule exist in that chain?')
      rules.splice(at, 1)
      return
    }
    case '-X':
      if (builtin.includes(chain)) fail('a built-in chain')
      if (rules.length > 0) fail('directory not empty')
      if ([...table.values()].some(others => others.some(other => other.endsWith(` -j ${chain}`) || other === `-j ${chain}`))) fail('too many links')
      table.delete(chain)
      return
    default: fail('unknown command')
  }
}

const words = (line: string): string[] => [...line.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, plain]) => quoted !== undefined ? `"${quoted}"` : plain!)

/** What a match or target prints, from its options. */
type Print = (options: ReadonlyMap<string, string>, family: Family) => string

const negatable = (name: string): Print => options => `${options.has(`!${name}`) ? `! ${name} ${options.get(`!${name}`)}` : `${name} ${options.get(name)}`}`
const recent = (options: ReadonlyMap<string, string>, family: Family) => {
  const mask = family === 4 ? '255.255.255.255' : 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'
  const what = options.has('--set') ? '--set' : `--rcheck --seconds ${options.get('--seconds')} --reap`
  return `${what} --name ${options.get('--name')} --mask ${mask} --rsource`
}
const matches: Record<string, { takes: readonly string[]; flags?: readonly string[]; print: Print }> = {
  comment: { takes: ['--comment'], print: options => `--comment ${printComment(options.get('--comment')!)}` },
  tcp: { takes: ['--dport'], print: options => `--dport ${options.get('--dport')}` },
  udp: { takes: ['--dport'], print: options => `--dport ${options.get('--dport')}` },
  sctp: { takes: ['--dport'], print: options => `--dport ${options.get('--dport')}` },
  conntrack: { takes: ['--ctstate'], print: negatable('--ctstate') },
  mark: { takes: ['--mark'], print: negatable('--mark') },
  addrtype: { takes: ['--dst-type', '--src-type'], print: options => [...options].map(([name, value]) => `${name} ${value}`).join(' ') },
  statistic: { takes: ['--mode', '--probability'], print: options => `--mode random --probability ${probability(Number(options.get('--probability')))}` },
  set: { takes: ['--match-set'], print: negatable('--match-set') },
  ipvs: { takes: ['--vaddr', '--vproto', '--vport'], print: options => `--vproto ${protocolNumbers[options.get('--vproto')!]} --vaddr ${options.get('--vaddr')} --vport ${options.get('--vport')}` },
  recent: { takes: ['--name', '--seconds'], flags: ['--set', '--rcheck', '--reap'], print: recent },
}
const protocolNumbers: Record<string, number> = { tcp: 6, udp: 17, sctp: 132 }
const hex = (text: string) => `0x${Number(text).toString(16)}`
const targets: Record<string, { takes: readonly string[]; flags?: readonly string[]; print: Print }> = {
  MARK: { takes: ['--or-mark', '--xor-mark'], print: options => options.has('--or-mark')
    ? ` --set-xmark ${hex(options.get('--or-mark')!)}/${hex(options.get('--or-mark')!)}` : ` --set-xmark ${hex(options.get('--xor-mark')!)}/0x0` },
  MASQUERADE: { takes: [], flags: ['--random-fully'], print: options => options.has('--random-fully') ? ' --random-fully' : '' },
  DNAT: { takes: ['--to-destination'], print: options => ` --to-destination ${options.get('--to-destination')}` },
  REJECT: { takes: [], print: (_, family) => ` --reject-with ${family === 4 ? 'icmp' : 'icmp6'}-port-unreachable` },
}

// The kernel keeps a probability in 31 bits.
const probability = (value: number) => (Math.round(value * 2 ** 31) / 2 ** 31).toFixed(11)
const printComment = (text: string) => /^"?[\w-]+"?$/.test(text) ? text.replaceAll('"', '') : text

interface RuleContext extends Context { readonly isTarget: (target: string) => boolean }
const address = (text: string) => {
  const cidr = text.includes('/') ? parseCidr(text) : parseIp(text) && parseCidr(`${text}/${text.includes(':') ? 128 : 32}`)
  return cidr && formatCidr(cidr)
}

/** A rule in the order and spelling of iptables-save: addresses, interface, protocol, matches as given, target. */
function canonical(args: string[], { fail, family, isTarget }: RuleContext): string {
  const rest = [...args], plain = new Map<string, string>(), loaded: { name: string; options: Map<string, string> }[] = []
  let target: string | undefined
  const targetOptions = new Map<string, string>()
  while (rest.length > 0) {
    const not = rest[0] === '!' ? (rest.shift(), '!') : ''
    const word = rest.shift()!
    if (['-s', '-d', '-i', '-p'].includes(word)) plain.set(word, `${not ? '! ' : ''}${word} ${word === '-s' || word === '-d' ? address(rest.shift()!) ?? fail('no address') : rest.shift()}`)
    else if (word === '-m') loaded.push({ name: matches[rest[0]!] ? rest.shift()! : fail(`unknown match ${rest[0]}`), options: new Map() })
    else if (word === '-j') target = isTarget(rest[0]!) ? rest.shift()! : fail(`no target by that name: ${rest[0]}`)
    else if (target !== undefined) takeOption(word, { not, rest, known: targets[target], into: targetOptions, fail })
    else {
      const owner = loaded.findLast(({ name }) => [...matches[name]!.takes, ...matches[name]!.flags ?? []].includes(word))
      takeOption(word, { not, rest, known: owner && matches[owner.name], into: owner?.options ?? new Map(), fail })
    }
  }
  return [
    ...['-s', '-d', '-i', '-p'].flatMap(word => plain.get(word) ?? []),
    // A protocol's match without an option is printed by its name alone.
    ...loaded.map(({ name, options }) => `-m ${name}${options.size > 0 ? ` ${matches[name]!.print(options, family)}` : ''}`),
    ...target ? [`-j ${target}${targets[target]?.print(targetOptions, family) ?? ''}`] : [],
  ].join(' ')
}

function takeOption(word: string, { not, rest, known, into, fail }: { not: string; rest: string[]; known: { takes: readonly string[]; flags?: readonly string[] } | undefined; into: Map<string, string>; fail: (reason: string) => never }): void {
  if (known?.takes.includes(word)) into.set(not + word, word === '--match-set' ? `${rest.shift()} ${rest.shift()}` : rest.shift()!) // the set and the directions
  else if (known?.flags?.includes(word)) into.set(word, '')
  else fail(`unknown option ${word}`)
}
