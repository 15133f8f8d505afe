// client-go's shared informer: a local, always current copy of one resource, and a call for each
// change. Lists once, watches on, and heals by itself: a lost watch resumes from the last version, an
// expired one (410) relists without ever emptying the copy.
import type { KubeObject } from '#api/object.ts'
import { groupVersion, type Resource } from '#api/resources.ts'
import { systemClock, type Clock } from '#lib/clock.ts'
import { StatusError } from '#lib/errors.ts'
import type { Log } from '#lib/log.ts'
import type { Client } from './client.ts'
import { Store, type Handler } from './store.ts'
import type { WatchEvent } from './transport.ts'

export type { Handler }

export interface Informer<T extends KubeObject> {
  /** By `namespace/name` (or `name`). */
  get(key: string): T | undefined
  list(): T[]
  /** Objects under an index that `addIndex` made. */
  byIndex(name: string, value: string): T[]
  addIndex(name: string, values: (object: T) => string[]): void
  /** Adds a handler; it is called for what is already here as additions. */
  onChange(handler: Handler<T>): void
  /** Resolves once the first list is complete and its handlers have run. */
  readonly synced: Promise<void>
}

export interface InformerOptions {
  readonly namespace?: string
  readonly labelSelector?: string
  readonly fieldSelector?: string
  readonly log: Log
  /** Ends the informer; `synced` rejects if it was not synced yet. */
  readonly signal: AbortSignal
  readonly clock?: Clock
}

/** Starts at once and runs until the signal. */
export function startInformer<T extends KubeObject>(client: Client, resource: Resource, options: InformerOptions): Informer<T> {
  const reflector = new Reflector<T>(client, resource, options)
  void reflector.run()
  const { store, synced } = reflector
  return {
    get: key => store.get(key), list: () => store.list(), byIndex: (name, value) => store.byIndex(name, value),
    addIndex: (name, values) => store.addIndex(name, values), onChange: handler => store.onChange(handler), synced,
  }
}

const minBackoff = 50, maxBackoff = 30_000
/** A watch is renewed after 5 to 10 minutes (client-go's minWatchTimeout), so that one that died silently is found. */
const watchSeconds = 300

class Reflector<T extends KubeObject> {
  readonly store: Store<T>
  readonly synced: Promise<void>
  readonly #client: Client
  readonly #resource: Resource
  readonly #options: InformerOptions
  readonly #clock: Clock
  #markSynced!: () => void
  #version: string | undefined
  #backoff = minBackoff

  constructor(client: Client, resource: Resource, options: InformerOptions) {
    this.#client = client
    this.#resource = resource
    this.#options = options
    this.#clock = options.clock ?? systemClock
    this.store = new Store<T>(error => options.log.error('a handler failed', error, { resource: resource.plural }))
    this.synced = new Promise((resolve, reject) => {
      this.#markSynced = resolve
      options.signal.addEventListener('abort', () => reject(options.signal.reason), { once: true })
    })
    this.synced.catch(() => {}) // nobody need wait for it
  }

  async run(): Promise<void> {
    const { signal } = this.#options
    while (!signal.aborted) {
      try {
        if (this.#version === undefined) await this.#list()
        const began = this.#clock.now()
        await this.#watch()
        // A server that ends every watch at once must not be asked in a tight loop.
        if (this.#clock.now() - began < 1000) await this.#pause()
      } catch (error) {
        if (signal.aborted) return
        if (isGone(error)) { this.#version = undefined; if (this.#backoff === minBackoff) { this.#backoff *= 2; continue } }
        else this.#options.log.warn('list or watch failed, will retry', { resource: this.#resource.plural, err: (error as Error).message })
        await this.#pause()
      }
    }
  }

  async #pause(): Promise<void> {
    const delay = this.#backoff * (1 + Math.random())
    this.#backoff = Math.min(this.#backoff * 2, maxBackoff)
    await this.#clock.sleep(delay, this.#options.signal).catch(() => {})
  }

  async #list(): Promise<void> {
    const { namespace, labelSelector, fieldSelector } = this.#options
    const list = await this.#client.list<T>(this.#resource, namespace, { labelSelector, fieldSelector })
    this.store.replace(list.items.map(item => this.#typed(item)))
    this.#version = list.metadata.resourceVersion ?? ''
    this.#markSynced()
  }

  /** Items of a list carry no kind of their own. */
  #typed(item: T): T {
    return item.kind ? item : Object.freeze({ apiVersion: groupVersion(this.#resource), kind: this.#resource.kind, ...item })
  }

  async #watch(): Promise<void> {
    const { namespace, labelSelector, fieldSelector, signal } = this.#options
    const events = this.#client.watch<T>(this.#resource, namespace, { labelSelector, fieldSelector, signal,
      resourceVersion: this.#version, allowWatchBookmarks: true, timeoutSeconds: Math.round(watchSeconds * (1 + Math.random())) })
    for await (const event of events) {
      if (signal.aborted) return
      this.#apply(event)
      this.#backoff = minBackoff
    }
  }

  #apply(event: WatchEvent<T>): void {
    if (event.type === 'ERROR') throw StatusError.from(event.object)
    if (event.type === 'DELETED') this.store.delete(event.object)
    else if (event.type !== 'BOOKMARK') this.store.set(event.object)
    this.#version = event.object.metadata.resourceVersion
  }
}

/** The version to resume from is no longer (410), or not yet (after a restore), known to the server: list anew. */
const isGone = (error: unknown) => error instanceof StatusError && (error.status.code === 410 || error.status.reason === 'Expired' ||
  error.status.details?.causes?.some(cause => cause.reason === 'ResourceVersionTooLarge') === true)
