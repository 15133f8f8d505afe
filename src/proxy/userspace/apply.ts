// The userspace mode at work: one proxy socket for each portal, held while its Service port exists,
// and the iptables rules that lead there. Opens what is new, then writes rules, then closes what is
// gone, so that no rule ever leads to a closed socket.
import { readFileSync } from 'node:fs'
import { networkInterfaces } from 'node:os'
import { findConntrack, type Conntrack } from '#host/conntrack.ts'
import { findIptables, type Iptables } from '#host/iptables.ts'
import { run } from '#host/run.ts'
import { readSysctl } from '#host/sysctl.ts'
import { equal } from '#lib/equal.ts'
import type { Log } from '#lib/log.ts'
import { parseFlows, staleFlows } from '../conntrack.ts'
import type { Applied, CleanupContext, DataPlane, NodeOptions, PlaneContext, Refusal } from '../dataplane.ts'
import { IptablesApplier, saveAll } from '../iptables/apply.ts'
import { removal } from '../iptables/cleanup.ts'
import { ruleCount, tables, type Ruleset } from '../iptables/ruleset.ts'
import type { ProxiedPort } from '../state.ts'
import { Affinity, Balancer } from './balancer.ts'
import { FreePorts, onFreePort, parsePortRange } from './free-ports.ts'
import { boundAddress, hostAddress, isLoopback } from './host-address.ts'
import { chains, isBoundToHostIP, isPortChain, type PortalOptions } from './port-rules.ts'
import { affinityKey, isProxiable, portals, type Portal } from './portals.ts'
import { jumps, ruleGenerator, type PortNumbers } from './rules.ts'
import { TcpProxySocket } from './tcp/server.ts'
import { UdpProxySocket } from './udp/server.ts'
import { udpPortals } from './udp-portals.ts'

export const needs = 'root or CAP_NET_ADMIN; the command iptables (nft or legacy), ip6tables for IPv6; proxies TCP and UDP, not SCTP'

export async function create(context: PlaneContext): Promise<DataPlane | Refusal> {
  const { family, netns, config, log } = context
  if (netns) return { refused: 'the userspace mode proxies with sockets of its own process: run the process in that network namespace instead' }
  if (isLoopback(config.bindAddress)) return { refused: `bindAddress ${config.bindAddress}: cannot proxy on localhost; leave it out, or give the node's address` }
  const found = await findIptables(family)
  if (!found) return { refused: `${family === 4 ? 'iptables' : 'ip6tables'} does not work here: install it (apt install iptables) and run as root or with CAP_NET_ADMIN` }
  await raiseFileLimit(log)
  log.info('using iptables', { ...context.labels, command: found.command })
  return new UserspacePlane(found, context, await machine())
}

/** What a plane finds on the machine. */
export const machine = async (): Promise<Machine> => ({ conntrack: await findConntrack(), portRange: parsePortRange(await readSysctl('net/ipv4/ip_local_port_range')) })
export interface Machine { readonly conntrack: Conntrack | undefined; readonly portRange: readonly [number, number] }

export async function cleanup({ netns }: CleanupContext): Promise<void> {
  for (const family of [4, 6] as const) {
    const found = await findIptables(family, netns)
    if (found) await removeRules(found)
  }
}

async function removeRules(iptables: Iptables): Promise<void> {
  const saved = await saveAll(iptables), ours: readonly string[] = Object.values(chains)
  const isOurs = (chain: string) => ours.includes(chain) || isPortChain(chain)
  const text = tables.map(table => removal(table, saved[table], { jumps: jumps.filter(jump => jump.table === table), isOurs })).join('')
  if (text) await iptables.restore(text)
}

/** A connection takes two file descriptors: what a process is usually given is soon used up. */
const wantedFiles = 262_144
async function raiseFileLimit(log: Log): Promise<void> {
  const now = Number(/^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1] ?? Infinity)
  if (now >= wantedFiles) return
  try { await run(['prlimit', '--pid', String(process.pid), `--nofile=${wantedFiles}:${wantedFiles}`]) } catch (error) {
    log.warn(`at most ${Math.floor(now / 2)} connections at once: the limit of open files cannot be raised`, { now, err: error })
  }
}

type ProxySocket = TcpProxySocket | UdpProxySocket
interface OpenPortal { readonly socket: ProxySocket; readonly balancer: Balancer }

export type UserspaceContext = Pick<PlaneContext, 'config' | 'metrics' | 'labels' | 'log'>

export class UserspacePlane implements DataPlane {
  readonly family
  /** Flows lead to our own sockets, which end with their endpoint; those that lead to an earlier process's are deleted here. */
  readonly usesConntrack = false
  readonly #context: UserspaceContext
  readonly #iptables: Iptables
  readonly #conntrack: Conntrack | undefined
  readonly #applier: IptablesApplier
  readonly #ports: FreePorts
  readonly #open = new Map<string, OpenPortal>()
  readonly #affinities = new Map<string, Affinity>()
  readonly #refused = new Set<string>()
  /** The ports whose portals are open and have their endpoints; `#anew` when that is not certain. */
  #served: ReadonlySet<ProxiedPort> = new Set()
  #anew = true
  /** Sockets that rules still lead to, and others have replaced. */
  #replaced: OpenPortal[] = []
  #options: PortalOptions | undefined
  #generate: (ports: readonly ProxiedPort[], numbers: PortNumbers) => Ruleset = () => { throw new Error('no options yet') }
  #udp: ReadonlyMap<string, ReadonlySet<string>> = new Map()

  constructor(iptables: Iptables, context: UserspaceContext, { conntrack, portRange }: Machine) {
    this.#ports = new FreePorts(portRange, Math.random())
    this.#iptables = iptables
    this.#context = context
    this.#conntrack = conntrack
    this.family = iptables.family
    this.#applier = new IptablesApplier(iptables, { jumps, log: context.log, canary: chains.canary, isOwned: isPortChain })
  }

  async apply(ports: readonly ProxiedPort[], nodeOptions: NodeOptions): Promise<Applied> {
    const options = this.#portalOptions(nodeOptions)
    // Only what changed is looked at: this thread carries everybody's bytes.
    const anew = this.#anew, now = new Set(ports)
    const come = anew ? ports : ports.filter(port => !this.#served.has(port)), gone = [...this.#served].filter(port => !now.has(port))
    const wanted = new Map(come.flatMap(portals).map(portal => [portal.key, portal]))
    this.#anew = true // until all is well
    this.#sayWhatIsLeftOut(come)
    await this.#openPortals(wanted, options)
    const applied = await this.#write(ports)
    this.#closePortals((anew ? [...this.#open.keys()] : gone.flatMap(portals).map(({ key }) => key)).filter(key => !wanted.has(key)))
    for (const key of new Set(gone.map(affinityKey)).difference(new Set(come.map(affinityKey)))) this.#affinities.delete(key)
    this.#served = now
    if ([...come, ...gone].some(({ protocol }) => protocol === 'UDP')) await this.#cleanConntrack(ports, options)
    const failed = [...wanted.keys()].filter(key => !this.#open.has(key))
    // All that can serve serves by now; throwing has the rest tried again.
    if (failed.length > 0) throw new Error(`cannot listen for ${failed.length} Service ports: ${failed.slice(0, 5).join(', ')}`)
    this.#anew = false
    return applied
  }

  async checkFlushed(): Promise<boolean> {
    const now = performance.now()
    for (const affinity of this.#affinities.values()) affinity.expire(now)
    if (await this.#applier.checkFlushed()) return true
    // Sockets on an address that the machine has no more hear nothing.
    return this.#options !== undefined && this.#hostIP(this.#options) !== this.#options.hostIP
  }
  forget(): void { this.#applier.forget() }

  /** All rules lead to this process, so all go. */
  async stop(): Promise<void> {
    try { await removeRules(this.#iptables) } catch (error) {
      this.#context.log.error('cannot remove the rules that lead to this process: Services are refused until a proxy runs again', error)
    }
    for (const { socket } of [...this.#open.values(), ...this.#replaced]) socket.destroy()
    this.#open.clear()
    this.forget()
  }

  #portalOptions(nodeOptions: NodeOptions): PortalOptions {
    const options = { ...nodeOptions, hostIP: this.#hostIP(nodeOptions), boundToHostIP: this.#boundAddress() !== undefined }
    if (!equal(options, this.#options)) {
      this.#options = options
      this.#anew = true
    }
    if (this.#anew) this.#generate = ruleGenerator(options)
    return options
  }

  #boundAddress(): string | undefined { return boundAddress(this.#context.config.bindAddress, this.family) }
  #hostIP({ nodeIP }: NodeOptions): string { return this.#boundAddress() ?? hostAddress(machineAddresses(), this.family, nodeIP) }

  /** Opens what is missing or listens on the wrong address, and gives every socket its endpoints. */
  async #openPortals(wanted: ReadonlyMap<string, Portal>, options: PortalOptions): Promise<void> {
    const opening: Promise<void>[] = []
    for (const portal of wanted.values()) {
      const old = this.#open.get(portal.key)
      const address = isBoundToHostIP(portal, options) ? options.hostIP : undefined
      if (old?.socket.address === address && old) { this.#update(old, portal); continue }
      if (old) this.#replaced.push(old)
      this.#open.delete(portal.key)
      opening.push(this.#openPortal(portal, address))
    }
    await Promise.all(opening)
  }

  #closePortals(keys: readonly string[]): void {
    for (const key of keys) {
      this.#open.get(key)?.socket.close()
      this.#open.delete(key)
    }
    for (const { socket } of this.#replaced) socket.close()
    this.#replaced = []
  }

  async #openPortal(portal: Portal, address: string | undefined): Promise<void> {
    const { log, config } = this.#context
    const affinity = this.#affinities.getOrInsertComputed(affinityKey(portal.port), () => new Affinity())
    const balancer = new Balancer(affinity)
    const common = { family: this.family, balancer, name: portal.port.id, log }
    try {
      const socket = await onFreePort<ProxySocket>(this.#ports, port => portal.protocol === 'UDP'
        ? UdpProxySocket.open({ ...common, address: address!, idleMs: config.udpIdleTimeout }, port) : TcpProxySocket.open({ ...common, address }, port))
      const opened = { socket, balancer }
      this.#update(opened, portal)
      this.#open.set(portal.key, opened)
    } catch (error) {
      log.error(`cannot listen for ${portal.key}`, error, { address })
    }
  }

  #update({ socket, balancer }: OpenPortal, { endpoints, port }: Portal): void {
    if (balancer.update(endpoints, port.affinitySeconds)) socket.endpointsChanged()
  }

  async #write(ports: readonly ProxiedPort[]): Promise<Applied> {
    const { metrics, labels } = this.#context
    const ruleset = this.#generate(ports, key => this.#open.get(key)?.socket.number)
    try {
      const applied = await this.#applier.apply(ruleset)
      if (applied.partialFailed) metrics.add('sync_proxy_rules_iptables_partial_restore_failures_total', labels)
      if (applied.sync === 'none') return applied
      const total = ruleCount(ruleset)
      for (const table of ['filter', 'nat'] as const) metrics.set('sync_proxy_rules_iptables_total', total[table], { ...labels, table })
      return applied
    } catch (error) {
      metrics.add('sync_proxy_rules_iptables_restore_failures_total', labels)
      throw error
    }
  }

  #sayWhatIsLeftOut(ports: readonly ProxiedPort[]): void {
    for (const port of ports) {
      if (isProxiable(port) || this.#refused.has(port.id)) continue
      this.#refused.add(port.id)
      this.#context.log.warn(`${port.id}: the userspace mode does not proxy ${port.protocol}: use another mode for it`)
    }
  }

  /** UDP flows that an earlier process or another mode led elsewhere would stay there for as long as their client sends. */
  async #cleanConntrack(ports: readonly ProxiedPort[], { hostIP }: PortalOptions): Promise<void> {
    const targets = udpPortals(ports, { hostIP, numberOf: key => this.#open.get(key)?.socket.number })
    if (equal(Object.fromEntries([...targets].map(([key, to]) => [key, [...to]])), Object.fromEntries([...this.#udp].map(([key, to]) => [key, [...to]])))) return
    const gone = [...this.#udp.keys()].filter(key => !targets.has(key)).map(key => [key, new Set<string>()] as const)
    this.#udp = targets
    if (!this.#conntrack) return
    try {
      const flows = staleFlows(parseFlows(await this.#conntrack.listUdp(this.family)), new Map([...targets, ...gone]), new Set(machineAddresses()))
      await this.#conntrack.deleteUdp(this.family, flows)
    } catch (error) {
      this.#context.log.error('cannot delete stale UDP flows: their clients are not heard until they pause', error, this.#context.labels)
    }
  }
}

const machineAddresses = (): string[] => Object.values(networkInterfaces()).flatMap(list => (list ?? []).map(({ address }) => address))
