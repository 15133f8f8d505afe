// nftables in memory, for tests: keeps tables of sets and chains, refuses what the kernel refuses (a
// jump to a chain that is not there, deleting what is in use, an element that is there or is not),
// applies a text whole or not at all, and lists a table as nft does. A test on random states holds it
// equal to the real nft. It takes rules as they are: what they mean is the kernel's.
import { CommandError } from '#lib/errors.ts'
import { contains, parseCidr } from '#net/ip.ts'
import { names, type Nft, type TableNames } from './nft.ts'

interface FakeSet { readonly kind: string; readonly header: readonly string[]; readonly elements: Map<string, string> }
interface FakeChain { readonly hook: string | undefined; readonly rules: string[] }
interface Table { comment: string | undefined; readonly sets: Map<string, FakeSet>; readonly chains: Map<string, FakeChain> }
type Fail = (reason: string) => never

export class FakeNft implements Nft {
  /** Every text that was applied, failed ones too. */
  readonly applied: string[] = []
  /** Called before a text takes effect; may throw to fail. */
  onApply: (text: string) => void = () => {}
  #tables = new Map<string, Table>()

  async apply(text: string): Promise<void> {
    this.applied.push(text)
    const tables = structuredClone(this.#tables)
    for (const command of commands(text)) {
      const fail: Fail = reason => { throw new CommandError(['nft', '-f', '-'], 1, `Error: ${reason}: ${command.slice(0, 200)}`) }
      execute(tables, command, fail)
    }
    this.onApply(text)
    for (const [name, table] of tables) check(table, reason => { throw new CommandError(['nft', '-f', '-'], 1, `Error: ${reason} in table ${name}`) })
    this.#tables = tables
  }

  /** As `nft flush ruleset` by another program. */
  flush(): void { this.#tables.clear() }

  async list(table: string): Promise<string | undefined> {
    const found = this.#tables.get(table)
    return found && listing(table, found)
  }

  async names(table: string): Promise<TableNames | undefined> {
    const found = this.#tables.get(table)
    return found && names(listing(table, found))
  }
}

function listing(name: string, { comment, sets, chains }: Table): string {
  const block = (kind: string, lines: readonly string[]) => `\t${kind} {\n${lines.map(line => `\t\t${line}\n`).join('')}\t}\n`
  return [
    `table ${name} {`, ...comment ? [`\tcomment "${comment}"`] : [],
    ...[...sets].map(([set, { kind, header, elements }]) => block(`${kind} ${set}`, [...header,
      ...elements.size > 0 ? [`elements = { ${[...elements].map(([key, value]) => value ? `${key} : ${value}` : key).join(',\n\t\t\t     ')} }`] : []])),
    ...[...chains].map(([chain, { hook, rules }]) => block(`chain ${chain}`, [...hook ? [hook] : [], ...rules])),
    '}', '',
  ].join('\n')
}

/** Lines, where a block `table ... { ... }` counts as one. */
function commands(text: string): string[] {
  const found: string[] = []
  let block = ''
  for (const line of text.split('\n')) {
    if (block || /^table .*\{$/.test(line)) { block += `${line}\n`; if (line === '}') { found.push(block); block = '' } }
    else if (line.trim()) found.push(line)
  }
  return found
}

function execute(tables: Map<string, Table>, command: string, fail: Fail): void {
  if (command.startsWith('table ')) { addBlock(tables, command, fail); return }
  const [, verb, kind, name, rest = ''] = /^(add|delete|flush) (table|set|map|chain|rule|element) (ip6? \S+) ?(.*)$/.exec(command) ?? fail('syntax error')
  if (kind === 'table') {
    if (verb === 'add') tables.set(name!, tables.get(name!) ?? emptyTable())
    else if (!tables.has(name!)) fail('No such file or directory')
    else if (verb === 'delete') tables.delete(name!)
    else for (const chain of tables.get(name!)!.chains.values()) chain.rules.length = 0
    return
  }
  const table = tables.get(name!) ?? fail('No such file or directory'), [own = ''] = rest.split(' '), body = rest.slice(own.length + 1)
  switch (`${verb} ${kind}`) {
    case 'add set': case 'add map': table.sets.set(own, table.sets.get(own) ?? { kind: kind!, header: body.replace(/^\{|\}$/g, '').split(';').map(part => part.trim()).filter(Boolean), elements: new Map() }); return
    case 'flush set': case 'flush map': setOf(table, own, fail).elements.clear(); return
    case 'delete set': case 'delete map': setOf(table, own, fail); table.sets.delete(own); return
    case 'add chain': table.chains.set(own, table.chains.get(own) ?? { hook: undefined, rules: [] }); return
    case 'flush chain': chainOf(table, own, fail).rules.length = 0; return
    case 'delete chain': chainOf(table, own, fail); table.chains.delete(own); return
    case 'add rule': chainOf(table, own, fail).rules.push(body); return
    case 'add element': addElements(setOf(table, own, fail), body.replace(/^\{|\}$/g, ''), fail); return
    case 'delete element': for (const key of items(body.replace(/^\{|\}$/g, ''))) if (!setOf(table, own, fail).elements.delete(key)) fail(`No such file or directory: element ${key}`); return
    default: fail('unknown command')
  }
}

const emptyTable = (): Table => ({ comment: undefined, sets: new Map(), chains: new Map() })
const setOf = (table: Table, name: string, fail: Fail) => table.sets.get(name) ?? fail(`No such file or directory: set ${name}`)
const chainOf = (table: Table, name: string, fail: Fail) => table.chains.get(name) ?? fail(`No such file or directory: chain ${name}`)
const items = (list: string) => list.split(',').map(item => item.trim()).filter(Boolean)

function addBlock(tables: Map<string, Table>, block: string, fail: Fail): void {
  const [, name] = /^table (ip6? \S+) \{$/m.exec(block) ?? fail('syntax error')
  const table = tables.get(name!) ?? emptyTable()
  tables.set(name!, table)
  table.comment ??= /^\tcomment "(.*)"$/m.exec(block)?.[1]
  for (const [, kind, own, body] of block.matchAll(/^\t(set|map|chain) (\S+) \{\n([^]*?)^\t\}$/gm)) {
    const [, before = body!, list = ''] = /^([^]*?)^\t\telements = \{([^]*)\}$/m.exec(body!) ?? []
    const lines = before.split('\n').map(line => line.trim()).filter(Boolean)
    if (kind === 'chain') {
      const hook = lines[0]?.startsWith('type ') ? lines.shift() : undefined
      const chain = table.chains.get(own!) ?? { hook, rules: [] }
      table.chains.set(own!, chain)
      chain.rules.push(...lines)
    } else {
      const set = table.sets.get(own!) ?? { kind: kind!, header: lines, elements: new Map<string, string>() }
      if (set.header.join() !== lines.join()) fail(`File exists: ${kind} ${own} of another type`)
      table.sets.set(own!, set)
      addElements(set, list, fail)
    }
  }
}

function addElements({ header, kind, elements }: FakeSet, list: string, fail: Fail): void {
  const width = header[0]!.replace(/^type(of)? /, '').split(' : ')[0]!.split(' . ').length
  for (const item of items(list)) {
    const at = item.indexOf(' : '), key = at < 0 ? item : item.slice(0, at), value = at < 0 ? '' : item.slice(at + 3)
    if (key.split(' . ').length !== width) fail(`datatype mismatch: ${item}`)
    if ((kind === 'map') !== (value !== '')) fail(`a ${kind} takes ${kind === 'map' ? 'pairs' : 'keys'}: ${item}`)
    // The kernel takes the same element again; another value under the same key it refuses.
    if (elements.has(key) && elements.get(key) !== value) fail(`File exists: element ${key}`)
    if (header.includes('flags interval') && !elements.has(key) && [...elements.keys()].some(other => overlap(other, key))) fail(`conflicting intervals specified: ${key}`)
    elements.set(key, value)
  }
}

/** Of two keys whose last part is a range. */
function overlap(a: string, b: string): boolean {
  const range = (key: string) => { const text = key.split(' . ').at(-1)!; return parseCidr(text.includes('/') ? text : `${text}/${text.includes(':') ? 128 : 32}`)! }
  const rest = (key: string) => key.split(' . ').slice(0, -1).join(' . ')
  return rest(a) === rest(b) && (contains(range(a), range(b).base) || contains(range(b), range(a).base))
}

/** What a transaction may not leave behind: a rule or an element that leads nowhere. */
function check({ sets, chains }: Table, fail: Fail): void {
  const chain = (text: string) => { for (const [, name] of text.matchAll(/\b(?:goto|jump) (\S+?)(?=[,\s]|$)/g)) if (!chains.has(name!)) fail(`No such file or directory: chain ${name}`) }
  for (const { elements } of sets.values()) for (const value of elements.values()) chain(value)
  for (const { rules } of chains.values()) {
    for (const rule of rules) {
      chain(rule)
      for (const [, name] of rule.matchAll(/@(\S+)/g)) if (!sets.has(name!)) fail(`No such file or directory: set ${name}`)
    }
  }
}
