// The ipvs mode at work: brings virtual servers, sets, addresses and iptables rules from what the kernel
// holds to what is wanted, and deletes endpoints once their connections have ended. Decides nothing about
// Services.
import { findIpset, type Ipset } from '#host/ipset.ts'
import { findIptables, type Iptables } from '#host/iptables.ts'
import { findIpvs, hasScheduler, type Ipvs } from '#host/ipvs.ts'
import { equal } from '#lib/equal.ts'
import type { Family } from '#net/ip.ts'
import type { ProxyConfig } from '../config.ts'
import type { Applied, CleanupContext, DataPlane, NodeOptions, PlaneContext, Refusal } from '../dataplane.ts'
import { IptablesApplier, saveAll, type Applied as RulesApplied } from '../iptables/apply.ts'
import { ruleCount, type Ruleset } from '../iptables/ruleset.ts'
import type { ProxiedPort } from '../state.ts'
import { cleanupRules, cleanupServers, cleanupSets } from './cleanup.ts'
import { deletionLines, drainAlso, drainCheckMs, drained, parseConnections, stillDraining, type Drain } from './drain.ts'
import { readKernel, type Kernel } from './kernel.ts'
import { chains, device } from './names.ts'
import { ipvsOptions, isExcluded, nodeAddresses, type IpvsOptions } from './options.ts'
import { jumps, ruleGenerator } from './rules.ts'
import { addressOf, schedulers } from './servers.ts'
import { isFor, release, sysctls } from './sysctls.ts'
import { settle, transaction, type Transaction } from './transaction.ts'
import { wantedGenerator, type Wanted } from './wanted.ts'

export const needs = 'root or CAP_NET_ADMIN; a kernel with IPVS (the modules ip_vs and ip_vs_SCHEDULER, ip_set, xt_set, xt_ipvs, dummy); the commands ipvsadm, ipset, ip and iptables (ip6tables for IPv6)'

export async function create(context: PlaneContext): Promise<DataPlane | Refusal> {
  const { family, netns, log, config } = context, { scheduler } = config.ipvs
  if (!(schedulers as readonly string[]).includes(scheduler)) return { refused: `ipvs.scheduler: ${JSON.stringify(scheduler)} is none of ${schedulers.join(', ')}` }
  const ipvs = await findIpvs(netns)
  if (typeof ipvs === 'string') return { refused: ipvs }
  if (!await hasScheduler(scheduler)) return { refused: `ipvs.scheduler: this kernel cannot schedule by ${scheduler} (the module ip_vs_${scheduler}): load it, or use rr` }
  const ipset = await findIpset(netns)
  if (!ipset) return { refused: 'ipset does not work here: install it (apt install ipset) on a kernel with the module ip_set, and run as root or with CAP_NET_ADMIN' }
  const iptables = await findIptables(family, netns)
  if (!iptables) return { refused: `${family === 4 ? 'iptables' : 'ip6tables'} does not work here: install it (apt install iptables) and run as root or with CAP_NET_ADMIN` }
  if (config.localhostNodePorts) log.warn('NodePorts do not work on localhost in ipvs mode: IPVS sends nothing from 127.0.0.0/8 to another machine', context.labels)
  log.info('using ipvs', { ...context.labels, scheduler, iptables: iptables.command })
  return new IpvsPlane({ ipvs, ipset, iptables }, context)
}

export interface IpvsTools { readonly ipvs: Ipvs; readonly ipset: Ipset; readonly iptables: Iptables }
export type IpvsPlaneContext = Pick<PlaneContext, 'config' | 'metrics' | 'labels' | 'log'> & {
  /** How often endpoints that drain are looked at; for tests. */
  readonly drainCheckMs?: number
}

export class IpvsPlane implements DataPlane {
  readonly family: Family
  readonly usesConntrack = true
  readonly #tools: IpvsTools
  readonly #context: IpvsPlaneContext
  #rules: IptablesApplier | undefined
  /** What was given and made of it; undefined before the first call. */
  #made: { readonly node: NodeOptions; readonly options: IpvsOptions; readonly rules: (ports: readonly ProxiedPort[]) => Ruleset; readonly wanted: (ports: readonly ProxiedPort[]) => Wanted } | undefined
  /** What the kernel holds and was last to hold; undefined when not known. */
  #applied: { readonly kernel: Kernel; wanted: Wanted; readonly ownAddresses: readonly string[] } | undefined
  #drain: Drain = new Map()
  #timer: NodeJS.Timeout | undefined
  /** One at a time: a sync, or a look at what drains. */
  #busy: Promise<unknown> = Promise.resolve()

  constructor(tools: IpvsTools, context: IpvsPlaneContext) {
    this.#tools = tools
    this.#context = context
    this.family = tools.iptables.family
  }

  apply(ports: readonly ProxiedPort[], node: NodeOptions): Promise<Applied> { return this.#alone(() => this.#apply(ports, node)) }

  async checkFlushed(): Promise<boolean> {
    const applied = this.#applied
    if (!applied) return false
    const interfaces = await this.#tools.ipvs.interfaces()
    const now = nodeAddresses(interfaces, this.family)
    if (!equal(now, applied.ownAddresses)) {
      this.#context.log.info('the machine got or lost an address', { ...this.#context.labels, addresses: now })
    } else if (interfaces.has(device) && !await this.#rules!.checkFlushed() && !await this.#serversAreGone()) return false
    this.forget()
    return true
  }

  /** `ipvsadm -C` leaves everything else in place. */
  async #serversAreGone(): Promise<boolean> {
    const held = this.#applied?.kernel.servers.size ?? 0
    return held > 0 && !/^-A /m.test(await this.#tools.ipvs.save())
  }

  forget(): void { this.#applied = undefined }

  /** Connections outlive the process: what is in the kernel stays. The next one takes up what still drains. */
  async stop(): Promise<void> {
    clearTimeout(this.#timer)
    await this.#busy
    clearTimeout(this.#timer)
  }

  #alone<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#busy.then(work)
    this.#busy = done.catch(() => {})
    return done
  }

  async #apply(ports: readonly ProxiedPort[], node: NodeOptions): Promise<Applied> {
    const { labels, log } = this.#context
    if (!equal(this.#made?.node, node)) this.forget()
    if (!this.#applied) return this.#sync(ports, node, false)
    try { return await this.#sync(ports, node, false) } catch (error) {
      log.warn('a partial sync failed: reading the kernel and writing all that differs', { ...labels, err: error })
      this.forget()
      return await this.#sync(ports, node, true)
    }
  }

  async #sync(ports: readonly ProxiedPort[], node: NodeOptions, partialFailed: boolean): Promise<Applied> {
    const isFull = !this.#applied
    const { kernel, wanted: before, ownAddresses } = this.#applied ?? await this.#read(node)
    this.#applied = undefined // until it has gone well
    const ruleset = this.#made!.rules(ports), wanted = this.#made!.wanted(ports)
    // What stands in excludeCIDRs and is not ours is not looked at.
    for (const key of kernel.servers.keys()) if (!wanted.servers.has(key) && isExcluded(addressOf(key), this.#context.config)) kernel.servers.delete(key)
    const changes = transaction(kernel, wanted, { family: this.family, ...before && { before } })
    const rules = await this.#write(changes, ruleset, kernel.addresses !== undefined)
    settle(kernel, wanted, changes, before)
    this.#applied = { kernel, wanted, ownAddresses }
    this.#drain = drainAlso(stillDraining(this.#drain, one => kernel.servers.get(one.server)?.endpoints.get(one.endpoint)), changes.draining, Date.now())
    if (changes.draining.length > 0) await this.#deleteDrained()
    this.#watchDrain()
    this.#record(ruleset)
    const isNone = rules.sync === 'none' && changes.servers + changes.addresses + changes.setsBefore + changes.setsAfter === ''
    return { sync: isFull ? 'full' : isNone ? 'none' : 'partial', partialFailed: partialFailed || rules.partialFailed }
  }

  /** The kernel as it is, and the options as the machine's addresses make them. */
  async #read(node: NodeOptions): Promise<{ kernel: Kernel; wanted: undefined; ownAddresses: readonly string[] }> {
    const { ipvs, ipset, iptables } = this.#tools, { config } = this.#context
    await this.#prepare(config)
    const [servers, sets, interfaces] = await Promise.all([ipvs.save(), ipset.save(), ipvs.interfaces()])
    const options = ipvsOptions(node, { config, interfaces, randomFully: iptables.randomFully })
    const isOwned = () => false // this mode's chains are the same ones whatever Services there are
    this.#rules = new IptablesApplier(iptables, { jumps: jumps(node), log: this.#context.log, canary: chains.canary, isOwned })
    this.#made = { node, options, rules: ruleGenerator(options), wanted: wantedGenerator(options) }
    const kernel = readKernel({ servers, sets, interfaces }, this.family)
    return { kernel, wanted: undefined, ownAddresses: options.ownAddresses }
  }

  /** Settings of the kernel; without them IPVS works worse or not at all, so that refusing one is an error. */
  async #prepare(config: ProxyConfig): Promise<void> {
    const { ipvs } = this.#tools
    const wanted = sysctls(config), held = await ipvs.sysctls([release, ...wanted.map(({ name }) => name)])
    for (const { name, value } of wanted.filter(isFor(held.get(release)!))) if (held.get(name) !== String(value)) await ipvs.setSysctl(name, value)
    const { tcpTimeout: tcp, tcpFinTimeout: tcpFin, udpTimeout: udp } = config.ipvs
    if (tcp > 0 || tcpFin > 0 || udp > 0) await ipvs.setTimeouts({ tcp, tcpFin, udp })
  }

  /** In the order that leaves no packet without what it needs. */
  async #write(changes: Transaction, ruleset: Ruleset, hasDevice: boolean): Promise<RulesApplied> {
    const { ipvs, ipset } = this.#tools, { metrics, labels } = this.#context
    if (changes.setsBefore) await ipset.restore(changes.setsBefore)
    let rules: RulesApplied
    try { rules = await this.#rules!.apply(ruleset) } catch (error) {
      metrics.add('sync_proxy_rules_iptables_restore_failures_total', labels)
      throw error
    }
    if (rules.partialFailed) metrics.add('sync_proxy_rules_iptables_partial_restore_failures_total', labels)
    // Before the servers: where it is, cleanup looks for some.
    if (!hasDevice) await this.#makeDevice()
    if (changes.servers) await ipvs.restore(changes.servers)
    if (changes.addresses) await ipvs.ip(changes.addresses)
    if (changes.setsAfter) await ipset.restore(changes.setsAfter)
    return rules
  }

  /** Of both families; the other's plane may be faster. */
  async #makeDevice(): Promise<void> {
    const { ipvs } = this.#tools
    try { await ipvs.ip(`link add ${device} type dummy\n`) } catch (error) {
      if (!(await ipvs.interfaces()).has(device)) throw error
    }
  }

  #watchDrain(): void {
    clearTimeout(this.#timer)
    if (this.#drain.size === 0) return
    this.#timer = setTimeout(() => {
      this.#alone(() => this.#deleteDrained()).catch(error => {
        this.#context.log.error('cannot delete endpoints that have drained: it will be tried again', error, this.#context.labels)
      }).finally(() => this.#watchDrain())
    }, this.#context.drainCheckMs ?? drainCheckMs)
    this.#timer.unref()
  }

  async #deleteDrained(): Promise<void> {
    const { ipvs } = this.#tools, kernel = this.#applied?.kernel
    if (!kernel) return // the next sync finds what drains in the kernel
    const keys = new Set([...this.#drain.values()].map(({ server }) => server))
    const gone = drained(this.#drain, parseConnections(await ipvs.list([...keys])), Date.now())
    if (gone.length === 0) return
    try { await ipvs.restore(deletionLines(gone)) } catch (error) { this.forget(); throw error }
    for (const { server, endpoint } of gone) kernel.servers.get(server)?.endpoints.delete(endpoint)
    this.#drain = stillDraining(this.#drain, one => kernel.servers.get(one.server)?.endpoints.get(one.endpoint))
  }

  #record(ruleset: Ruleset): void {
    const { metrics, labels } = this.#context, total = ruleCount(ruleset)
    for (const table of ['filter', 'nat'] as const) metrics.set('sync_proxy_rules_iptables_total', total[table], { ...labels, table })
  }
}

/** Chains that no other mode has. */
const telltales = [['filter', chains.ipvsFilter], ['nat', chains.loadBalancer], ['mangle', chains.canary]] as const
const anyOf = async (all: readonly Promise<boolean>[]) => (await Promise.all(all)).includes(true)

export async function cleanup({ inForce, config, netns }: CleanupContext): Promise<void> {
  const ipvs = await findIpvs(netns)
  if (typeof ipvs !== 'string') {
    const text = cleanupServers(await ipvs.save(), { hasDevice: (await ipvs.interfaces()).has(device), isOurs: address => !isExcluded(address, config) })
    if (text) await ipvs.restore(text)
    if ((await ipvs.interfaces()).has(device)) await ipvs.ip(`link del ${device}\n`)
  }
  for (const family of [4, 6] as const) {
    const iptables = await findIptables(family, netns)
    // Reading whole tables takes seconds where there are many Services.
    const isHere = iptables && await anyOf(telltales.map(([table, chain]) => iptables.hasChain(table, chain)))
    const text = isHere && cleanupRules(await saveAll(iptables), inForce)
    if (text) await iptables.restore(text)
  }
  // Only now does no rule refer to them any more.
  const ipset = await findIpset(netns), text = ipset && cleanupSets(await ipset.save())
  if (text) await ipset.restore(text)
}
