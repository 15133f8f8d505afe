// The table's contents for all ports, kept up to date port by port: what a change costs is what its
// own ports cost. Where several ports claim the same packets the first by Service gets them whole.
import type { NodeOptions } from '../dataplane.ts'
import type { ProxiedPort } from '../state.ts'
import { portRules, type Claim, type Element, type PortRules } from './captures.ts'
import type { Chains } from './chains.ts'

/** What takes the table from one state to the next. */
export interface Change {
  /** Chains to make, or to empty and fill. */
  readonly chains: Chains
  /** Affinity sets to make. */
  readonly sets: readonly string[]
  readonly removed: readonly Element[]
  readonly added: readonly Element[]
  /** Nothing leads to these any more: chains and sets of one port, and chains that any port may use again. */
  readonly unusedChains: readonly string[]
  readonly unusedSets: readonly string[]
  readonly idleChains: readonly string[]
}

export interface Contents { readonly chains: Chains; readonly sets: readonly string[]; readonly elements: readonly Element[] }

interface Claimant { readonly port: ProxiedPort; readonly claim: Claim }
interface Counted<T> { count: number; value: T }

export class Ruleset {
  readonly #options: NodeOptions
  /** By what they capture; the first of the list gets it. */
  readonly #claims = new Map<string, Claimant[]>()
  /** Chains that several ports may lead to, and elements that several may have. */
  readonly #chains = new Map<string, Counted<readonly string[]>>()
  readonly #shared = new Map<string, Counted<Element>>()
  readonly #own = new Map<ProxiedPort, PortRules>()
  #ports: readonly ProxiedPort[] = []

  constructor(options: NodeOptions) { this.#options = options }

  update(ports: readonly ProxiedPort[]): Change {
    const { gone, come } = difference(this.#ports, ports), change = new ChangeMaker()
    this.#ports = ports
    const touched = new Map<string, Claim | undefined>() // what was in force before
    for (const port of gone) this.#remove(port, { change, touched })
    for (const port of come) this.#add(port, { change, touched })
    for (const [captures, before] of touched) this.#replace(before, this.#claims.get(captures)?.[0]?.claim, change)
    return change.finish()
  }

  /** Everything that is in force. */
  contents(): Contents {
    const elements: Element[] = []
    for (const [first] of this.#claims.values()) elements.push(...first!.claim.elements)
    for (const { value } of this.#shared.values()) elements.push(value)
    const chains = new Map<string, readonly string[]>([...this.#chains].sort(([a], [b]) => a < b ? -1 : 1).map(([name, { value }]) => [name, value]))
    const sets: string[] = []
    for (const { ownChains, ownSets } of this.#own.values()) {
      for (const [name, rules] of ownChains) chains.set(name, rules)
      sets.push(...ownSets)
    }
    return { chains, sets, elements }
  }

  #add(port: ProxiedPort, { change, touched }: Step): void {
    const rules = portRules(port, this.#options)
    for (const claim of rules.claims) {
      const claimants = this.#claims.get(claim.captures) ?? []
      if (!touched.has(claim.captures)) touched.set(claim.captures, claimants[0]?.claim)
      if (claimants.some(other => other.port === port)) continue // one address twice in a Service
      claimants.push({ port, claim })
      if (claimants.length > 1) claimants.sort(inOrder)
      this.#claims.set(claim.captures, claimants)
    }
    for (const element of rules.shared) if (count(this.#shared, `${element.set} ${element.key}`, element) === 1) change.add(element)
    if (rules.ownChains.size === 0) return
    this.#own.set(port, rules)
    for (const [name, lines] of rules.ownChains) change.setChain(name, lines)
    for (const name of rules.ownSets) change.addSet(name)
  }

  #remove(port: ProxiedPort, { change, touched }: Step): void {
    const rules = portRules(port, this.#options)
    for (const { captures } of rules.claims) {
      const claimants = this.#claims.get(captures)
      if (!claimants) continue
      if (!touched.has(captures)) touched.set(captures, claimants[0]?.claim)
      const rest = claimants.filter(other => other.port !== port)
      if (rest.length > 0) this.#claims.set(captures, rest)
      else this.#claims.delete(captures)
    }
    for (const element of rules.shared) if (uncount(this.#shared, `${element.set} ${element.key}`) === 0) change.remove(element)
    for (const [name, lines] of rules.ownChains) change.dropChain(name, lines)
    for (const name of rules.ownSets) change.dropSet(name)
    this.#own.delete(port)
  }

  #replace(before: Claim | undefined, after: Claim | undefined, change: ChangeMaker): void {
    if (before === after) return
    for (const element of before?.elements ?? []) change.remove(element)
    for (const element of after?.elements ?? []) change.add(element)
    for (const [name, lines] of after?.chains ?? []) if (count(this.#chains, name, lines) === 1) change.setChain(name, lines)
    for (const [name, lines] of before?.chains ?? []) if (uncount(this.#chains, name) === 0) change.idleChain(name, lines)
  }
}

/** Which ports went and which came: between what two lists have in common at either end. */
function difference(before: readonly ProxiedPort[], after: readonly ProxiedPort[]): { gone: ProxiedPort[]; come: ProxiedPort[] } {
  let start = 0, oldEnd = before.length, newEnd = after.length
  while (start < oldEnd && start < newEnd && before[start] === after[start]) start++
  while (oldEnd > start && newEnd > start && before[oldEnd - 1] === after[newEnd - 1]) { oldEnd--; newEnd-- }
  const old = new Set(before.slice(start, oldEnd)), now = new Set(after.slice(start, newEnd))
  return { gone: [...old.difference(now)], come: [...now.difference(old)] }
}

interface Step { readonly change: ChangeMaker; readonly touched: Map<string, Claim | undefined> }

const inOrder = ({ port: a }: Claimant, { port: b }: Claimant) =>
  a.service !== b.service ? a.service < b.service ? -1 : 1 : a.id !== b.id ? a.id < b.id ? -1 : 1 : a.protocol < b.protocol ? -1 : 1

function count<T>(map: Map<string, Counted<T>>, key: string, value: T): number {
  const counted = map.get(key)
  if (!counted) { map.set(key, { count: 1, value }); return 1 }
  return ++counted.count
}
function uncount<T>(map: Map<string, Counted<T>>, key: string): number {
  const counted = map.get(key)!
  if (--counted.count === 0) map.delete(key)
  return counted.count
}

/** Gathers what goes and what comes; what does both stays. */
class ChangeMaker {
  readonly #removed = new Map<string, Element>()
  readonly #added = new Map<string, Element>()
  readonly #before = new Map<string, readonly string[]>()
  readonly #after = new Map<string, readonly string[]>()
  readonly #droppedSets = new Set<string>()
  readonly #newSets = new Set<string>()
  readonly #idle = new Set<string>()

  remove(element: Element): void { if (!this.#added.delete(keyOf(element))) this.#removed.set(keyOf(element), element) }
  add(element: Element): void {
    const removed = this.#removed.get(keyOf(element))
    if (removed?.value === element.value) this.#removed.delete(keyOf(element))
    else this.#added.set(keyOf(element), element)
  }
  setChain(name: string, rules: readonly string[]): void { this.#after.set(name, rules) }
  dropChain(name: string, rules: readonly string[]): void {
    if (!this.#after.delete(name)) this.#before.set(name, rules)
  }
  idleChain(name: string, rules: readonly string[]): void {
    if (!this.#after.delete(name)) { this.#before.set(name, rules); this.#idle.add(name) }
  }
  dropSet(name: string): void { this.#droppedSets.add(name) }
  addSet(name: string): void { this.#newSets.add(name) }

  finish(): Change {
    const same = (a: readonly string[] | undefined, b: readonly string[]) => a !== undefined && a.length === b.length && a.every((rule, i) => rule === b[i])
    return {
      chains: new Map([...this.#after].filter(([name, rules]) => !same(this.#before.get(name), rules))),
      sets: [...this.#newSets].filter(name => !this.#droppedSets.has(name)),
      removed: [...this.#removed.values()], added: [...this.#added.values()],
      unusedChains: [...this.#before.keys()].filter(name => !this.#after.has(name) && !this.#idle.has(name)),
      idleChains: [...this.#idle].filter(name => !this.#after.has(name)),
      unusedSets: [...this.#droppedSets].filter(name => !this.#newSets.has(name)),
    }
  }
}
const keyOf = ({ set, key }: Element) => `${set} ${key}`
