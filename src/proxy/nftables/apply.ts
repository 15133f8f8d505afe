// The nftables mode at work: brings the table of one IP family to what the ports want, everything the
// first time and after any failure, later only what differs; small changes over netlink, which takes a
// tenth of the time that nft takes to start. Decides nothing about Services.
import { isGone, openNftables, type Nftables } from '#host/nfnetlink.ts'
import { findNft, type Nft } from '#host/nft.ts'
import { equal } from '#lib/equal.ts'
import type { Applied, CleanupContext, DataPlane, NodeOptions, PlaneContext, Refusal } from '../dataplane.ts'
import type { ProxiedPort } from '../state.ts'
import { looksUp } from './chains.ts'
import { layoutChains } from './layout.ts'
import { nftFamily, setDeclarations, tableComment, tableName } from './names.ts'
import { parseTable } from './parse.ts'
import { Ruleset, type Change } from './ruleset.ts'
import { changeText, fullText, tidyText, type Whole } from './text.ts'

export const needs = 'root or CAP_NET_ADMIN; Linux 5.13; the command nft, 1.0.1 or later'

export async function create(context: PlaneContext): Promise<DataPlane | Refusal> {
  const nft = await findNft(context.netns)
  if (!nft) return { refused: 'nft does not work here: install nftables 1.0.1 or later (apt install nftables) and run as root or with CAP_NET_ADMIN' }
  try { await nft.apply(probe(nftFamily(context.family))) } catch {
    return { refused: `the kernel's nftables cannot do what this mode needs (maps of concatenations, numgen, fib, NAT for ${nftFamily(context.family)}; Linux 5.13 has them)` }
  }
  let netlink: Nftables | undefined
  try { netlink = openNftables(context.netns) } catch (error) { context.log.warn('no netlink: every change goes through nft', { why: (error as Error).message }) }
  return new NftablesPlane(nft, context, netlink)
}

/** Is refused or leaves nothing. */
const probe = (ip: string) => `table ${ip} kube-proxy-probe {
  map m { typeof ${ip} daddr . meta l4proto . th dport . numgen random mod 65535 : ${ip} daddr . th dport; }
  set s { type ${ip === 'ip' ? 'ipv4_addr . ipv4_addr' : 'ipv6_addr . ipv6_addr'}; flags interval; }
  chain c { type nat hook prerouting priority dstnat; fib daddr type local meta l4proto { tcp, udp, sctp } dnat ${ip} to ${ip} daddr . meta l4proto . th dport . numgen random mod 2 map @m; }
  chain d { type nat hook postrouting priority srcnat; masquerade fully-random; }
}
delete table ${ip} kube-proxy-probe
`

export async function cleanup({ inForce, netns }: CleanupContext): Promise<void> {
  if (inForce === 'ebpf') return // it has the same table, for traffic from outside
  const nft = await findNft(netns)
  if (!nft) return
  for (const family of ['ip', 'ip6']) if (await nft.names(`${family} ${tableName}`)) await nft.apply(`delete table ${family} ${tableName}\n`)
}

export type NftablesPlaneContext = Pick<PlaneContext, 'family' | 'metrics' | 'labels' | 'log'>

/** More elements than this go through nft: it takes them as fast, and netlink would hold up the process. */
const mostOverNetlink = 1000
/** Of larger tables only the headings are looked at when another program has changed something. */
const mostCompared = 10_000

export class NftablesPlane implements DataPlane {
  readonly family
  readonly usesConntrack = true
  readonly #nft: Nft
  readonly #netlink: Nftables | undefined
  readonly #idleMs: number
  readonly #context: NftablesPlaneContext
  readonly #table: string
  #options: NodeOptions | undefined
  /** What the kernel holds; undefined when not known. */
  #ruleset: Ruleset | undefined
  readonly #unused = { chains: new Set<string>(), sets: new Set<string>() }
  /** Chains that any port may use again, with their rules, and since when none does. */
  readonly #idle = new Map<string, number>()
  #generation: number | undefined

  /** `idleMs` is how long a chain stays that no port uses. */
  constructor(nft: Nft, context: NftablesPlaneContext, netlink?: Nftables, { idleMs = 600_000 } = {}) {
    this.#idleMs = idleMs
    this.#nft = nft
    this.#netlink = netlink
    this.#context = context
    this.family = context.family
    this.#table = `${nftFamily(context.family)} ${tableName}`
  }

  async apply(ports: readonly ProxiedPort[], options: NodeOptions): Promise<Applied> {
    let partialFailed = false
    if (!equal(options, this.#options)) { this.#options = options; this.forget() }
    if (this.#ruleset) {
      try { return { sync: await this.#applyChange(this.#ruleset, ports), partialFailed } } catch (error) {
        partialFailed = true
        this.#context.metrics.add('sync_proxy_rules_nftables_sync_failures_total', this.#context.labels)
        this.#context.log.warn('a partial sync failed: writing all rules anew', { table: this.#table, err: error })
      }
    }
    try {
      await this.#applyAll(ports, options)
      return { sync: 'full', partialFailed }
    } catch (error) {
      this.#context.metrics.add('sync_proxy_rules_nftables_sync_failures_total', this.#context.labels)
      throw error
    }
  }

  /** Chains and sets out of use go here, not at once: see tidyText. */
  async checkFlushed(): Promise<boolean> {
    if (!this.#ruleset) return false
    if ((this.#changedByOthers() && !await this.#isIntact(this.#ruleset)) || !await this.#tidy()) {
      this.forget()
      return true
    }
    this.#generation = this.#netlink?.generation()
    return false
  }

  forget(): void { this.#ruleset = undefined }
  async stop(): Promise<void> { this.#netlink?.close() }

  async #applyChange(ruleset: Ruleset, ports: readonly ProxiedPort[]): Promise<Applied['sync']> {
    this.#ruleset = undefined // until it has worked nothing is known
    const change = this.#withoutIdle(ruleset.update(ports))
    if (isEmpty(change)) { this.#ruleset = ruleset; return 'none' }
    if ([...change.chains.values()].some(looksUp)) { await this.#applyAll(ports, this.#options!); return 'full' }
    const before = this.#generation !== undefined && !this.#changedByOthers()
    await this.#write(change)
    for (const name of change.chains.keys()) this.#unused.chains.delete(name)
    for (const name of change.sets) this.#unused.sets.delete(name)
    for (const name of change.unusedChains) this.#unused.chains.add(name)
    for (const name of change.idleChains) this.#idle.set(name, performance.now())
    for (const name of change.unusedSets) this.#unused.sets.add(name)
    if (before) this.#generation = this.#netlink!.generation()
    this.#ruleset = ruleset
    return 'partial'
  }

  /** A chain that is still there needs no writing. */
  #withoutIdle(change: Change): Change {
    const chains = new Map([...change.chains].filter(([name]) => !this.#idle.delete(name)))
    return { ...change, chains }
  }

  async #write(change: Change): Promise<void> {
    const onlyElements = change.chains.size + change.sets.length + change.unusedChains.length + change.unusedSets.length === 0
    if (this.#netlink && onlyElements && change.removed.length + change.added.length <= mostOverNetlink) {
      const declarations = new Map(setDeclarations(this.family).map(declaration => [declaration.name, declaration]))
      this.#netlink.changeElements(this.#table, { removed: change.removed, added: change.added, setOf: name => declarations.get(name)! })
    } else await this.#nft.apply(changeText(change, this.family))
  }

  async #applyAll(ports: readonly ProxiedPort[], options: NodeOptions): Promise<void> {
    const ruleset = new Ruleset(options)
    ruleset.update(ports)
    const names = await this.#nft.names(this.#table)
    const whole = this.#whole(ruleset, options)
    await this.#nft.apply(fullText(whole, names && { ...names, isOurs: names.comment === tableComment }))
    const wanted = new Set([...whole.layout.keys(), ...whole.contents.chains.keys(), ...whole.contents.sets, ...setDeclarations(this.family).map(({ name }) => name)])
    const left = names?.comment === tableComment ? names : { chains: [], sets: [] }
    this.#unused.chains.clear()
    this.#unused.sets.clear()
    this.#idle.clear()
    for (const name of left.chains) if (!wanted.has(name)) this.#unused.chains.add(name)
    for (const name of left.sets) if (!wanted.has(name)) this.#unused.sets.add(name)
    this.#generation = this.#netlink?.generation()
    this.#ruleset = ruleset
  }

  #whole(ruleset: Ruleset, options: NodeOptions): Whole {
    const nodePortIPs = options.nodePortAddresses === 'all' ? [] : options.nodePortAddresses
    return { family: this.family, layout: layoutChains(options), contents: ruleset.contents(), nodePortIPs }
  }

  /** The kernel counts every change of any table; without netlink we cannot know. */
  #changedByOthers(): boolean { return !this.#netlink || this.#netlink.generation() !== this.#generation }

  async #isIntact(ruleset: Ruleset): Promise<boolean> {
    const { layout, contents, nodePortIPs } = this.#whole(ruleset, this.#options!)
    const names = await this.#nft.names(this.#table)
    const chains = new Map([...[...layout].map(([name, { rules }]) => [name, rules.length] as const), ...[...contents.chains].map(([name, rules]) => [name, rules.length] as const)])
    if (!names || names.comment !== tableComment || [...chains.keys()].some(name => !names.chains.includes(name))) return false
    if (contents.elements.length > mostCompared) return true
    const listed = parseTable(await this.#nft.list(this.#table) ?? '')
    // The text of a rule depends on nft's version; how many there are does not.
    if ([...chains].some(([name, count]) => listed.chains.get(name)?.rules.length !== count)) return false
    const wanted = Map.groupBy([...contents.elements, ...nodePortIPs.map(key => ({ set: 'nodeport-ips', key, value: '' }))], ({ set }) => set)
    return setDeclarations(this.family).every(({ name }) => {
      const present = listed.sets.get(name), elements = wanted.get(name) ?? []
      return present?.size === elements.length && elements.every(({ key, value }) => present.get(key) === value)
    })
  }

  /** False when another program was there first. */
  async #tidy(): Promise<boolean> {
    const { chains, sets } = this.#unused
    for (const [name, since] of this.#idle) if (performance.now() - since >= this.#idleMs) { this.#idle.delete(name); chains.add(name) }
    if (chains.size + sets.size === 0) return true
    try { await this.#nft.apply(tidyText(this.family, { chains: [...chains], sets: [...sets] })) } catch (error) {
      if (isGone(error)) return false
      this.#context.metrics.add('sync_proxy_rules_nftables_cleanup_failures_total', this.#context.labels)
      this.#context.log.warn('chains out of use cannot be deleted yet', { table: this.#table, err: error })
      return true
    }
    chains.clear()
    sets.clear()
    return true
  }
}

const isEmpty = (change: Change): boolean =>
  change.idleChains.length + change.chains.size + change.sets.length + change.removed.length + change.added.length + change.unusedChains.length + change.unusedSets.length === 0
