// The proxy of one node at work: takes changes in, and brings the kernel to the desired state, one
// sync at a time. Deciding is state.ts and the mode's own rules; this file is timing, failure and order.
import type { Node } from '#api/core/v1.ts'
import type { DataPlane } from './dataplane.ts'
import { FamilyProxy, type FamilyOptions } from './family/apply.ts'
import { healthCheckAnswer, healthChecks, type HealthCheck } from './health.ts'
import type { HealthCheckServers } from './server.ts'
import type { Change } from './state.ts'

export interface ServiceProxyOptions extends FamilyOptions {
  /** One for each IP family that this machine has. */
  readonly planes: readonly DataPlane[]
  readonly healthChecks: HealthCheckServers
  /** Called once, when the first sync of every family has succeeded: what an earlier mode left may go now. */
  readonly onFirstSync?: () => Promise<void>
}

/** Changes that belong together (a Service and its EndpointSlice) arrive within this time. */
const gatherMs = 1
const maxRestMs = 1000
const firstRetryMs = 1000

export class ServiceProxy {
  readonly #options: ServiceProxyOptions
  readonly #families: readonly FamilyProxy[]
  #node: Node | undefined
  #checks = new Map<number, HealthCheck>()
  #changed = false
  #running: Promise<void> | undefined
  #timer: NodeJS.Timeout | undefined
  #periodic: NodeJS.Timeout | undefined
  #started = false
  #hasSynced = false
  #restUntil = 0
  #retryMs = firstRetryMs

  constructor(options: ServiceProxyOptions) {
    this.#options = options
    this.#families = options.planes.map(plane => new FamilyProxy(plane, options))
  }

  /** Nothing is written before `start`. */
  change(change: Change): void {
    if (change.kind === 'Node' && change.key === this.#options.nodeName) this.#setNode(change.now)
    const changes = this.#families.filter(family => family.change(change))
    if (changes.length > 0) this.#queue()
  }

  /** All objects have arrived: the first sync starts, and every later change follows by itself. */
  start(): void {
    this.#started = true
    this.#queue()
    this.#periodic = setInterval(() => { void this.#checkFlushed() }, this.#options.config.syncPeriod)
  }

  /** Writes every rule anew. */
  resync(): void {
    for (const family of this.#families) family.forget()
    this.#queue()
  }

  /** Resolves when no sync runs any more. The rules stay: connections outlive the proxy, as upstream. */
  async stop(): Promise<void> {
    this.#started = false
    clearTimeout(this.#timer)
    clearInterval(this.#periodic)
    await this.#running
    await Promise.all(this.#families.map(family => family.stop()))
    this.#options.healthChecks.close()
  }

  usesTopologyKeys(): boolean { return this.#families.some(family => family.state.usesTopologyKeys()) }

  #setNode(node: Node | undefined): void {
    this.#options.health.node(node)
    this.#node = node
    if (this.#families.some(family => family.setNode(node))) this.#queue()
  }

  #queue(): void {
    this.#changed = true
    if (!this.#started) return
    const now = Date.now()
    for (const family of this.#families) this.#options.health.queued(family.family, now)
    this.#options.metrics.set('sync_proxy_rules_last_queued_timestamp_seconds', now / 1000)
    if (!this.#running && !this.#timer) this.#schedule(Math.max(gatherMs, this.#restUntil - now))
  }

  #schedule(ms: number): void {
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      this.#running = this.#sync().finally(() => {
        this.#running = undefined
        if (this.#changed && this.#started && !this.#timer) this.#schedule(Math.max(gatherMs, this.#restUntil - Date.now()))
      })
    }, ms)
  }

  async #sync(): Promise<void> {
    this.#changed = false
    const started = Date.now()
    const results = await Promise.allSettled(this.#families.map(family => family.sync()))
    this.#serveHealthChecks()
    const failed = results.filter(result => result.status === 'rejected')
    for (const { reason } of failed) this.#options.log.error('a sync failed: the rules in force stay, and it will be tried again', reason, { retryMs: this.#retryMs })
    const took = Date.now() - started
    // With no minimum set, rest as long as the work took: a storm of changes costs half a core at most.
    this.#restUntil = Date.now() + (failed.length > 0 ? this.#retryMs : this.#options.config.minSyncPeriod || Math.min(took, maxRestMs))
    this.#retryMs = failed.length > 0 ? Math.min(this.#retryMs * 2, this.#options.config.syncPeriod) : firstRetryMs
    if (failed.length > 0) this.#changed = true
    else await this.#afterFirstSync()
  }

  async #afterFirstSync(): Promise<void> {
    if (this.#hasSynced) return
    this.#hasSynced = true
    await this.#options.onFirstSync?.()
  }

  #serveHealthChecks(): void {
    const { health, healthChecks: servers } = this.#options
    this.#checks = healthChecks(this.#families.flatMap(family => family.ports))
    const addresses = this.#families.map(family => family.options?.nodePortAddresses ?? 'all')
    servers.update(this.#checks.keys(), addresses.includes('all') ? undefined : addresses.flat(), port => {
      const check = this.#checks.get(port)
      return check && healthCheckAnswer(check, health.isHealthy(Date.now()))
    })
  }

  async #checkFlushed(): Promise<void> {
    if (this.#running) return
    const due = await Promise.all(this.#families.map(family => family.isFullSyncDue()))
    if (due.some(Boolean)) this.#queue()
  }
}
