// Leader election by a Lease, with client-go's rules: the lease is ours when nobody holds it, when
// we hold it, or when its holder has not been seen to renew it for leaseDuration by our own clock
// (clocks of different machines are never compared).
import type { Lease } from '#api/coordination/v1.ts'
import { resources } from '#api/resources.ts'
import { microTime, systemClock, type Clock } from '#lib/clock.ts'
import { isConflict, isAlreadyExists, isNotFound } from '#lib/errors.ts'
import type { Log } from '#lib/log.ts'
import type { Client, Draft } from './client.ts'

export interface LeaderOptions {
  readonly namespace: string
  readonly name: string
  /** Unique among the candidates: host name and process. */
  readonly identity: string
  /** Works as the leader until the signal aborts; the signal aborts when the lease is lost. */
  lead(signal: AbortSignal): Promise<void> | void
  readonly log: Log
  readonly signal: AbortSignal
  readonly clock?: Clock
  readonly leaseDurationMs?: number
  readonly renewDeadlineMs?: number
  readonly retryPeriodMs?: number
}

/** Takes part in the election until the signal aborts; gives the lease up then, so that another may start at once. */
export async function runLeaderElection(client: Client, options: LeaderOptions): Promise<void> {
  const elector = new Elector(client, options)
  while (!options.signal.aborted) {
    if (!await elector.acquire()) return
    const term = new AbortController()
    const leading = Promise.resolve(options.lead(term.signal))
      .catch(error => options.log.error('the leader failed', error, { lease: options.name }))
    await elector.renewUntilLost()
    term.abort(new Error('no longer the leader'))
    await leading
    await elector.release()
  }
}

class Elector {
  readonly #client: Client
  readonly #options: LeaderOptions
  readonly #clock: Clock
  readonly #duration: number
  readonly #renewDeadline: number
  readonly #retry: number
  #observed: { lease: Lease; at: number } | undefined

  constructor(client: Client, options: LeaderOptions) {
    this.#client = client
    this.#options = options
    this.#clock = options.clock ?? systemClock
    this.#duration = options.leaseDurationMs ?? 15_000
    this.#renewDeadline = options.renewDeadlineMs ?? 10_000
    this.#retry = options.retryPeriodMs ?? 2_000
  }

  /** False when the signal aborted first. */
  async acquire(): Promise<boolean> {
    const { signal } = this.#options
    while (!signal.aborted) {
      if (await this.#tryAcquireOrRenew()) return true
      await this.#clock.sleep(this.#retry * (1 + 1.2 * Math.random()), signal).catch(() => {}) // JitterFactor
    }
    return false
  }

  async renewUntilLost(): Promise<void> {
    const { signal, log, name } = this.#options
    for (let renewed = this.#clock.now(); !signal.aborted;) {
      await this.#clock.sleep(this.#retry, signal).catch(() => {})
      if (signal.aborted) return
      if (await this.#tryAcquireOrRenew()) renewed = this.#clock.now()
      else if (this.#clock.now() - renewed >= this.#renewDeadline) {
        log.warn('lost the lease', { lease: name })
        return
      }
    }
  }

  async release(): Promise<void> {
    const held = this.#observed?.lease
    if (held?.spec.holderIdentity !== this.#options.identity) return
    const now = microTime(this.#clock.now())
    await this.#client.update<Lease>(resources.leases, { ...held,
      spec: { ...held.spec, holderIdentity: undefined, leaseDurationSeconds: 1, renewTime: now, acquireTime: now } })
      .catch(error => this.#options.log.warn('lease not released', { lease: this.#options.name, err: (error as Error).message }))
    this.#observed = undefined
  }

  async #tryAcquireOrRenew(): Promise<boolean> {
    try {
      const lease = await this.#read()
      if (!lease) { this.#observe(await this.#create()); return true }
      if (this.#heldByAnother(lease)) return false
      this.#observe(await this.#client.update<Lease>(resources.leases, { ...lease, spec: this.#claim(lease) }))
      return true
    } catch (error) {
      // Another candidate was faster, or the server cannot be reached: the next round tells.
      if (!isConflict(error) && !isAlreadyExists(error)) this.#options.log.warn('lease not renewed', { lease: this.#options.name, err: (error as Error).message })
      return false
    }
  }

  async #read(): Promise<Lease | undefined> {
    try {
      const lease = await this.#client.get<Lease>(resources.leases, this.#options.namespace, this.#options.name)
      if (lease.metadata.resourceVersion !== this.#observed?.lease.metadata.resourceVersion) this.#observe(lease)
      return lease
    } catch (error) {
      if (isNotFound(error)) return undefined
      throw error
    }
  }

  #observe(lease: Lease): void { this.#observed = { lease, at: this.#clock.now() } }

  #heldByAnother(lease: Lease): boolean {
    const { holderIdentity, leaseDurationSeconds = 0 } = lease.spec
    if (!holderIdentity || holderIdentity === this.#options.identity) return false
    return this.#clock.now() < this.#observed!.at + leaseDurationSeconds * 1000
  }

  #claim(lease?: Lease): Lease['spec'] {
    const now = microTime(this.#clock.now())
    const mine = lease?.spec.holderIdentity === this.#options.identity
    return { holderIdentity: this.#options.identity, leaseDurationSeconds: Math.round(this.#duration / 1000), renewTime: now,
      acquireTime: mine ? lease.spec.acquireTime : now,
      leaseTransitions: !lease ? 0 : (lease.spec.leaseTransitions ?? 0) + (mine ? 0 : 1) }
  }

  #create(): Promise<Lease> {
    const { namespace, name } = this.#options
    const draft: Draft<Lease> = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata: { namespace, name }, spec: this.#claim() }
    return this.#client.create(resources.leases, namespace, draft)
  }
}
