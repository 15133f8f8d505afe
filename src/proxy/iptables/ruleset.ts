// A set of iptables rules as a value, and the text that takes the kernel from one set to another.
// Knows nothing of Services. Text is for `iptables-restore --noflush`: a declared chain is emptied
// and filled again, all other chains stay as they are, and each table changes in one step.

export const tables = ['filter', 'nat', 'mangle'] as const
export type Table = typeof tables[number]
/** Chain to its rules, each without its leading `-A CHAIN`. */
export type Chains = ReadonlyMap<string, readonly string[]>

export interface Ruleset {
  /** Chains that gather rules of many owners: edited rule by rule when little changes. */
  readonly shared: Readonly<Record<Table, Chains>>
  /** Chains of the nat table that belong to one owner, by owner; the same object again means unchanged. */
  readonly owned: ReadonlyMap<string, Chains>
}

/** Rules in the kernel's own chains that lead into ours. */
export interface Jump { readonly table: Table; readonly from: string; readonly rule: string }

export const emptyRuleset: Ruleset = { shared: { filter: new Map(), nat: new Map(), mangle: new Map() }, owned: new Map() }

/** How many rules a set has in the tables that count. */
export function ruleCount({ shared, owned }: Ruleset): { filter: number; nat: number } {
  const count = (chains: Chains) => [...chains.values()].reduce((sum, rules) => sum + rules.length, 0)
  return { filter: count(shared.filter), nat: [...owned.values()].reduce((sum, chains) => sum + count(chains), count(shared.nat)) }
}

/** Lines of one table in the order that keeps every line valid when it is read. */
interface Section { readonly declare: string[]; readonly remove: string[]; readonly add: string[]; readonly drop: string[] }
const section = (): Section => ({ declare: [], remove: [], add: [], drop: [] })

// iptables-nft keeps its chains in a sorted list and looks for a new one's place from the front: 30,000
// chains take it 50 s in any order but the reverse, and a fifth of that so (measured with 1.8.9).
const manyChains = 1000
const inCheapOrder = (declare: string[]) => declare.length > manyChains ? declare.toSorted().reverse() : declare

const print = (table: Table, { declare, remove, add, drop }: Section): string => {
  const lines = [...inCheapOrder(declare), ...remove, ...add, ...drop]
  return lines.length > 0 ? `*${table}\n${lines.join('\n')}\nCOMMIT\n` : ''
}

export interface FullOptions {
  /** Jumps that are not there yet; put first in their chains, in this order. */
  readonly jumps?: readonly Jump[]
  /** Chains of the nat table to delete: nothing of the new set may lead to them. */
  readonly staleChains?: readonly string[]
}

/** The whole set, whatever the kernel holds now. */
export function fullText(ruleset: Ruleset, { jumps = [], staleChains = [] }: FullOptions = {}): string {
  const sections = { filter: section(), nat: section(), mangle: section() }
  for (const table of tables) for (const [chain, rules] of ruleset.shared[table]) fill(sections[table], chain, rules)
  for (const owned of ruleset.owned.values()) for (const [chain, rules] of owned) fill(sections.nat, chain, rules)
  for (const { table, from, rule } of jumps) sections[table].add.push(`-I ${from} 1 ${rule}`)
  for (const chain of staleChains) remove(sections.nat, chain)
  return tables.map(table => print(table, sections[table])).join('')
}

/** What differs; '' when nothing does. Chains that did not change are not mentioned. */
export function changeText(before: Ruleset, after: Ruleset): string {
  const filter = section(), nat = section()
  for (const [chain, rules] of after.shared.filter) edit(filter, chain, { before: before.shared.filter.get(chain), rules })
  // An owner's new chains are declared before the shared chains jump to them, its old ones deleted after.
  for (const [owner, chains] of after.owned) {
    const old = before.owned.get(owner)
    if (old === chains) continue
    for (const [chain, rules] of chains) if (!sameRules(old?.get(chain), rules)) fill(nat, chain, rules)
    for (const chain of old?.keys() ?? []) if (!chains.has(chain)) remove(nat, chain)
  }
  for (const [owner, chains] of before.owned) if (!after.owned.has(owner)) for (const chain of chains.keys()) remove(nat, chain)
  for (const [chain, rules] of after.shared.nat) edit(nat, chain, { before: before.shared.nat.get(chain), rules })
  return print('filter', filter) + print('nat', nat)
}

const declaration = (chain: string) => `:${chain} - [0:0]`

function fill({ declare, add }: Section, chain: string, rules: readonly string[]): void {
  declare.push(declaration(chain))
  for (const rule of rules) add.push(`-A ${chain} ${rule}`)
}

/** Declaring empties the chain, so that it may be deleted. */
function remove({ declare, drop }: Section, chain: string): void {
  declare.push(declaration(chain))
  drop.push(`-X ${chain}`)
}

const sameRules = (a: readonly string[] | undefined, b: readonly string[]): boolean =>
  a === b || (a !== undefined && a.length === b.length && a.every((rule, i) => rule === b[i]))

/** Above this many edits it is cheaper to write the chain anew: each is found by walking the chain. */
const maxEdits = 64

/** Edits a shared chain in place, so that one change among 10,000 rules costs one rule. */
function edit(into: Section, chain: string, { before, rules }: { before: readonly string[] | undefined; rules: readonly string[] }): void {
  if (!before) return fill(into, chain, rules)
  if (before === rules) return
  const { start, oldEnd, newEnd } = changedPart(before, rules)
  const gone = before.slice(start, oldEnd), come = rules.slice(start, newEnd)
  if (gone.length + come.length === 0) return
  const kept = new Set(gone).intersection(new Set(come))
  const removed = gone.filter(rule => !kept.has(rule)), added = come.filter(rule => !kept.has(rule))
  // A rule is removed by its text: it must stand once, and what stays must not change places.
  const isEditable = removed.length + added.length <= maxEdits && sameRules(gone.filter(rule => kept.has(rule)), come.filter(rule => kept.has(rule)))
    && removed.every(rule => before.indexOf(rule) === before.lastIndexOf(rule))
  if (!isEditable) return fill(into, chain, rules)
  for (const rule of removed) into.remove.push(`-D ${chain} ${rule}`)
  come.forEach((rule, i) => { if (!kept.has(rule)) into.add.push(`-I ${chain} ${start + i + 1} ${rule}`) })
}

/** The part in which two lists differ, between what they have in common at either end. */
function changedPart(before: readonly string[], after: readonly string[]): { start: number; oldEnd: number; newEnd: number } {
  let start = 0, oldEnd = before.length, newEnd = after.length
  while (start < oldEnd && start < newEnd && before[start] === after[start]) start++
  while (oldEnd > start && newEnd > start && before[oldEnd - 1] === after[newEnd - 1]) { oldEnd--; newEnd-- }
  return { start, oldEnd, newEnd }
}
