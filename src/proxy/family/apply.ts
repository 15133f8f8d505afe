// One IP family of the proxy, in whichever mode: its state, its data plane and its figures. One sync
// at a time, told when by ../apply.ts.
import { networkInterfaces } from 'node:os'
import type { Node } from '#api/core/v1.ts'
import type { Conntrack } from '#host/conntrack.ts'
import { equal } from '#lib/equal.ts'
import type { Log } from '#lib/log.ts'
import type { Family } from '#net/ip.ts'
import type { ProxyConfig } from '../config.ts'
import { parseFlows, staleFlows, udpTargets, type UdpTargets } from '../conntrack.ts'
import type { Applied, DataPlane, NodeOptions } from '../dataplane.ts'
import type { ProxyHealth } from '../health.ts'
import type { Metrics } from '../metrics.ts'
import { nodeOptions } from '../node.ts'
import { ProxyState, type Change, type ProxiedPort } from '../state.ts'

export interface FamilyOptions {
  readonly config: ProxyConfig
  readonly nodeName: string
  /** undefined: stale UDP flows stay until they time out. */
  readonly conntrack: Conntrack | undefined
  readonly metrics: Metrics
  readonly health: ProxyHealth
  readonly log: Log
}

const fullSyncPeriodMs = 3_600_000
/** With more endpoints than this the hourly full sync is left out: it costs more than it may heal (as upstream). */
const largeClusterEndpoints = 1000

export class FamilyProxy {
  readonly family: Family
  readonly state: ProxyState
  ports: readonly ProxiedPort[] = []
  options: NodeOptions | undefined
  readonly #plane: DataPlane
  readonly #options: FamilyOptions
  readonly #labels: { readonly ip_family: string }
  #node: Node | undefined
  #udp: UdpTargets = new Map()
  #lastFullSync = 0
  #pending = { Service: 0, EndpointSlice: 0, Node: 0 }
  #triggers = new Set<number>()

  constructor(plane: DataPlane, options: FamilyOptions) {
    this.#plane = plane
    this.family = plane.family
    this.#options = options
    this.#labels = { ip_family: `IPv${plane.family}` }
    this.state = new ProxyState({ nodeName: options.nodeName, family: plane.family })
  }

  change(change: Change): boolean {
    const matters = this.state.applyChange(change)
    if (!matters) return false
    this.#pending[change.kind]++
    if (change.kind === 'EndpointSlice') this.#noteTrigger(change.now?.metadata.annotations)
    return true
  }

  /** True when the rules depend on what changed. */
  setNode(node: Node | undefined): boolean {
    this.#node = node
    return this.options !== undefined && !equal(this.options, this.#nodeOptions())
  }

  forget(): void { this.#plane.forget() }
  stop(): Promise<void> { return this.#plane.stop() }

  async isFullSyncDue(): Promise<boolean> {
    const endpoints = this.ports.reduce((sum, port) => sum + port.reachable.length, 0)
    if (Date.now() - this.#lastFullSync > fullSyncPeriodMs && endpoints <= largeClusterEndpoints) { this.forget(); return true }
    if (await this.#plane.checkFlushed()) {
      this.#options.log.warn('another program removed the rules: writing all of them anew', this.#labels)
      return true
    }
    return !equal(this.options, this.#nodeOptions()) // the machine got or lost an address
  }

  async sync(): Promise<void> {
    const { metrics } = this.#options
    const started = performance.now()
    const pending = this.#takePending()
    this.options = this.#nodeOptions()
    this.ports = this.state.ports()
    try {
      const applied = await this.#plane.apply(this.ports, this.options)
      this.#record(applied, (performance.now() - started) / 1000)
    } catch (error) {
      for (const trigger of pending) this.#triggers.add(trigger)
      throw error
    }
    await this.#cleanConntrack()
    for (const trigger of pending) metrics.observe('network_programming_duration_seconds', (Date.now() - trigger) / 1000, this.#labels)
    this.#options.health.updated(this.family, Date.now())
  }

  #nodeOptions(): NodeOptions {
    const { config } = this.#options
    return nodeOptions(config, { family: this.family, node: this.#node, machine: config.nodePortAddresses.length === 0 ? [] : machineAddresses() })
  }

  async #cleanConntrack(): Promise<void> {
    const { conntrack, metrics, log } = this.#options
    if (!this.#plane.usesConntrack) return
    const targets = udpTargets(this.ports, this.#udp)
    if (equal([...targets.keys()], [...this.#udp.keys()]) && [...targets].every(([key, endpoints]) => equal([...endpoints], [...this.#udp.get(key)!]))) return
    this.#udp = udpTargets(this.ports)
    if (!conntrack) return
    const started = performance.now()
    try {
      const flows = staleFlows(parseFlows(await conntrack.listUdp(this.family)), targets, new Set(machineAddresses()))
      await conntrack.deleteUdp(this.family, flows)
      metrics.add('conntrack_reconciler_deleted_entries_total', this.#labels, flows.length)
      metrics.observe('conntrack_reconciler_sync_duration_seconds', (performance.now() - started) / 1000, this.#labels)
    } catch (error) {
      log.error('cannot delete stale UDP flows: their clients keep a removed endpoint until they pause', error, this.#labels)
    }
  }

  #noteTrigger(annotations: Record<string, string> | undefined): void {
    const time = Date.parse(annotations?.['endpoints.kubernetes.io/last-change-trigger-time'] ?? '')
    if (this.#lastFullSync > 0 && !Number.isNaN(time)) this.#triggers.add(time)
  }

  #takePending(): number[] {
    const { metrics } = this.#options
    metrics.add('sync_proxy_rules_service_changes_total', this.#labels, this.#pending.Service)
    metrics.add('sync_proxy_rules_endpoint_changes_total', this.#labels, this.#pending.EndpointSlice)
    this.#pending = { Service: 0, EndpointSlice: 0, Node: 0 }
    const triggers = [...this.#triggers]
    this.#triggers.clear()
    return triggers
  }

  #record({ sync }: Applied, seconds: number): void {
    const { metrics } = this.#options, labels = this.#labels
    metrics.observe('sync_proxy_rules_duration_seconds', seconds, labels)
    metrics.observe(sync === 'full' ? 'sync_full_proxy_rules_duration_seconds' : 'sync_partial_proxy_rules_duration_seconds', seconds, labels)
    metrics.set('sync_proxy_rules_last_timestamp_seconds', Date.now() / 1000, labels)
    if (sync === 'full') this.#lastFullSync = Date.now()
    const without = (policy: 'internalPolicyLocal' | 'externalPolicyLocal') =>
      this.ports.filter(port => port[policy] && port.hasEndpoints && port.local.length === 0).length
    metrics.set('sync_proxy_rules_no_local_endpoints_total', without('internalPolicyLocal'), { ...labels, traffic_policy: 'internal' })
    metrics.set('sync_proxy_rules_no_local_endpoints_total', without('externalPolicyLocal'), { ...labels, traffic_policy: 'external' })
  }
}

const machineAddresses = (): string[] => Object.values(networkInterfaces()).flatMap(list => (list ?? []).map(({ address }) => address))
