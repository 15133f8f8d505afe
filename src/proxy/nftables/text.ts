// A table, or a change of it, as text for `nft -f -`: one transaction, applied whole or not at all.
// Knows nothing of Services.
import type { Family } from '#net/ip.ts'
import type { Element } from './captures.ts'
import type { Chains } from './chains.ts'
import type { Chain } from './layout.ts'
import { affinitySet, nftFamily, setDeclarations, tableComment, tableName, type SetDeclaration } from './names.ts'
import type { Change, Contents } from './ruleset.ts'

/** What the kernel has of our table. */
export interface Present {
  /** Whether its layout is ours; one of another layout is replaced whole, and affinity with it. */
  readonly isOurs: boolean
  readonly chains: readonly string[]
  readonly sets: readonly string[]
}
export interface Whole {
  readonly family: Family
  readonly layout: ReadonlyMap<string, Chain>
  readonly contents: Contents
  readonly nodePortIPs: readonly string[]
}

/** The whole table, whatever is there now (undefined: no table of that name). Who has affinity to an endpoint that stays keeps it. */
export function fullText(whole: Whole, present?: Present): string {
  const table = `${nftFamily(whole.family)} ${tableName}`
  const clear = !present ? [] : !present.isOurs ? [`delete table ${table}`] : [
    `flush table ${table}`,
    // A map of endpoints is made anew, with the rules that use it: see looksUp.
    ...setDeclarations(whole.family).filter(({ name }) => present.sets.includes(name)).map(({ kind, name, data }) => `${data === 'socket' ? 'delete' : 'flush'} ${kind} ${table} ${name}`),
  ]
  return [...clear, tableText(whole)].join('\n')
}

/** The table as `nft list table` prints it. */
export function tableText({ family, layout, contents, nodePortIPs }: Whole): string {
  const bySet = Map.groupBy([...contents.elements, ...nodePortIPs.map(key => ({ set: 'nodeport-ips', key, value: '' }))], ({ set }) => set)
  const declarations = [...setDeclarations(family), ...contents.sets.map(name => affinitySet(name, family))]
  return [
    `table ${nftFamily(family)} ${tableName} {`, `\tcomment "${tableComment}"`,
    ...declarations.map(declaration => setText(declaration, bySet.get(declaration.name) ?? [])),
    ...[...layout].map(([name, chain]) => chainText(name, chain)),
    ...[...contents.chains].map(([name, rules]) => chainText(name, { rules })),
    '}', '',
  ].join('\n')
}

function setText({ kind, name, type, flags, size }: SetDeclaration, elements: readonly Element[]): string {
  const lines = [type, ...size ? [`size ${size}`] : [], ...flags ? [`flags ${flags}`] : [],
    ...elements.length > 0 ? [`elements = { ${elements.map(elementText).join(',\n\t\t\t     ')} }`] : []]
  return `\t${kind} ${name} {\n${lines.map(line => `\t\t${line}\n`).join('')}\t}\n`
}
const elementText = ({ key, value }: Element) => value === '' ? key : `${key} : ${value}`

const chainText = (name: string, { hook, rules }: Chain) =>
  `\tchain ${name} {\n${[...hook ? [`${hook}; policy accept;`] : [], ...rules].map(line => `\t\t${line}\n`).join('')}\t}\n`

/** '' when there is nothing to do. Chains and sets that nothing uses any more are emptied; they are deleted later (`tidyText`). */
export function changeText(change: Change, family: Family): string {
  const table = `${nftFamily(family)} ${tableName}`
  // A chain must be there before anything leads to it, and be led to no more before it is emptied.
  return [
    ...change.sets.map(name => `add set ${table} ${name} ${declarationText(affinitySet(name, family))}`),
    ...chainCommands(change.chains, table),
    ...elementCommands('delete', change.removed, table),
    ...elementCommands('add', change.added, table),
    ...change.unusedChains.map(name => `flush chain ${table} ${name}`),
    ...change.unusedSets.map(name => `flush set ${table} ${name}`),
  ].map(line => `${line}\n`).join('')
}

const declarationText = ({ type, size, flags }: SetDeclaration) => `{ ${type}; size ${size}; flags ${flags}; }`

function chainCommands(chains: Chains, table: string): string[] {
  const add = [...chains.keys()].flatMap(name => [`add chain ${table} ${name}`, `flush chain ${table} ${name}`])
  return [...add, ...[...chains].flatMap(([name, rules]) => rules.map(rule => `add rule ${table} ${name} ${rule}`))]
}

function elementCommands(verb: 'add' | 'delete', elements: readonly Element[], table: string): string[] {
  const bySet = Map.groupBy(elements, ({ set }) => set)
  return [...bySet].map(([set, own]) => `${verb} element ${table} ${set} { ${own.map(element => verb === 'add' ? elementText(element) : element.key).join(', ')} }`)
}

/** Deletes chains and sets that nothing leads to. Before Linux 6.2 a map may still hold its references a moment after an element went. */
export function tidyText(family: Family, { chains, sets }: { chains: readonly string[]; sets: readonly string[] }): string {
  const table = `${nftFamily(family)} ${tableName}`
  return [...chains.map(name => `delete chain ${table} ${name}\n`), ...sets.map(name => `delete set ${table} ${name}\n`)].join('')
}
