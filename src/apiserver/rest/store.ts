// One kind's objects in the storage: create, read and change, with the strategy's defaults and rules,
// metadata, reservations and optimistic concurrency. Knows nothing of HTTP. Deleting is in delete.ts.
import type { KubeObject } from '#api/object.ts'
import { groupVersion, type Resource } from '#api/resources.ts'
import { equal } from '#lib/equal.ts'
import { StatusError } from '#lib/errors.ts'
import { time } from '#lib/clock.ts'
import type { FieldError, Reservation, Strategy, StrategyContext } from '../registry/strategy.ts'
import type { Compare, Entry, Transaction } from '../storage/storage.ts'
import type { Backend, Caller } from './backend.ts'
import { alreadyExists, internal, invalid, modified, notFound } from './errors.ts'
import { carryOver, countGeneration, generatedName, initialise, type Content } from './metadata.ts'

/** How an object looks in this version and in storage, where the two differ (events). */
export interface Conversion {
  decode(stored: KubeObject): KubeObject
  encode(draft: KubeObject): KubeObject
}

export interface StoreOptions {
  /** The first segment of the keys: two versions of one resource share it. */
  readonly prefix: string
  readonly strategy: Strategy
  readonly conversion?: Conversion | undefined
}

export type Change = (old: Content) => Content | Promise<Content>
export type Subresource = '' | 'status' | 'finalize' | 'scale' | 'binding'

const attempts = 30
// RetryGenerateName: how often a generated name that is taken is replaced.
const nameAttempts = 8

export class Store {
  readonly resource: Resource
  readonly strategy: Strategy
  readonly backend: Backend
  readonly prefix: string
  readonly #conversion: Conversion | undefined
  readonly #decoded = new WeakMap<object, Content>()

  constructor(backend: Backend, { prefix, strategy, conversion }: StoreOptions) {
    this.backend = backend
    this.prefix = prefix
    this.strategy = strategy
    this.resource = strategy.resource
    this.#conversion = conversion
  }

  key(namespace: string | undefined, name: string): string {
    return this.resource.namespaced ? `${this.prefix}/${namespace}/${name}` : `${this.prefix}/${name}`
  }

  /** The prefix of all keys of a namespace, or of all. */
  prefixOf(namespace: string | undefined): string {
    return this.resource.namespaced && namespace ? `${this.prefix}/${namespace}/` : `${this.prefix}/`
  }

  decode(entry: Pick<Entry, 'value'>): Content {
    if (!this.#conversion) return entry.value as Content
    let decoded = this.#decoded.get(entry.value)
    if (!decoded) this.#decoded.set(entry.value, decoded = this.#conversion.decode(entry.value as KubeObject))
    return decoded
  }

  encode(draft: Content): KubeObject { return this.#conversion ? this.#conversion.encode(draft) : draft }

  entry(namespace: string | undefined, name: string): Entry {
    const entry = this.backend.storage.get(this.key(namespace, name))
    if (!entry) throw notFound(this.resource, name)
    return entry
  }

  get(namespace: string | undefined, name: string): Content { return this.decode(this.entry(namespace, name)) }

  context(caller: Caller): StrategyContext {
    return { settings: this.backend.settings, user: caller.user, now: time(this.backend.now()) }
  }

  /** Stores a new object. The draft is used up. */
  async create(draft: Content, caller: Caller): Promise<Content> {
    const generated = !draft.metadata.name && Boolean(draft.metadata.generateName)
    if (draft.metadata.resourceVersion) throw new StatusError(500, '', 'resourceVersion should not be set on objects to be created')
    draft.apiVersion = groupVersion(this.resource)
    draft.kind = this.resource.kind
    await this.backend.admission.create(draft, this.resource)
    const nextName = () => generated ? generatedName(draft.metadata.generateName!, this.backend.suffix()) : draft.metadata.name ?? ''
    initialise(draft, this.resource, { uid: this.backend.uuid(), now: this.backend.now(), name: nextName() })
    this.strategy.defaults?.(draft)
    this.strategy.prepareForCreate?.(draft, this.context(caller))
    for (let attempt = 0; attempt < (generated ? nameAttempts : 1); attempt++) {
      if (attempt > 0) draft.metadata.name = nextName()
      const created = await this.#insert(draft, caller)
      if (created) return created
    }
    throw alreadyExists(this.resource, draft.metadata.name)
  }

  /** Undefined when the name is taken. */
  async #insert(draft: Content, caller: Caller): Promise<Content | undefined> {
    const { storage, admission } = this.backend
    const context = this.context(caller)
    for (let attempt = 0; attempt < attempts; attempt++) {
      const namespace = this.#namespaceCompare(draft.metadata.namespace)
      if (attempt > 0) await admission.create(structuredClone(draft), this.resource) // the namespace may have gone
      const key = this.key(draft.metadata.namespace, draft.metadata.name)
      const object = this.strategy.reserve || caller.dryRun ? structuredClone(draft) : draft
      const reserved = this.reserve(object, undefined, key, context)
      this.#check(object, this.strategy.validate(object, context))
      if (!object.metadata.name) throw nameRequired(this.resource)
      if (storage.get(key)) return undefined
      if (attempt === 0) for (const text of this.strategy.warnings?.(object, undefined) ?? []) caller.warn?.(text)
      if (caller.dryRun) return object
      const { succeeded, events } = await storage.transact({
        compares: [{ key, modRevision: 0 }, ...namespace, ...reserved.compares],
        puts: [{ key, value: this.encode(object) }, ...reserved.puts],
      })
      if (succeeded) return this.decode(events.find(event => event.key === key)!.now!)
    }
    throw internal(`too many writers at ${this.prefix}`)
  }

  // Nothing may be created in a namespace that goes at the same moment.
  #namespaceCompare(namespace: string | undefined): Compare[] {
    if (!this.resource.namespaced) return []
    const entry = this.backend.storage.get(`namespaces/${namespace}`)
    return entry ? [{ key: entry.key, modRevision: entry.modRevision }] : []
  }

  /**
   * Reads, changes, writes; again from the start when another writer was faster. A change whose result
   * carries a resourceVersion is refused (409) when that is not the current one.
   */
  async update(namespace: string | undefined, name: string, change: Change, caller: Caller & { subresource?: Subresource }): Promise<Content> {
    const { storage } = this.backend
    for (let attempt = 0; attempt < attempts; attempt++) {
      const entry = this.entry(namespace, name)
      const old = this.decode(entry)
      const draft = await change(old)
      const asked = draft.metadata.resourceVersion
      if (asked && asked !== '0' && asked !== old.metadata.resourceVersion) throw modified(this.resource, name)
      const next = this.#prepare(draft, old, caller)
      const reserved = this.reserve(next, old, entry.key, this.context(caller))
      this.#validateUpdate(next, old, caller)
      if (attempt === 0) for (const text of this.strategy.warnings?.(next, old) ?? []) caller.warn?.(text)
      if (caller.dryRun) return next
      if (finished(next, old)) {
        const deleted = await this.remove(entry, next)
        if (deleted) return deleted
        continue
      }
      if (equal(next, old) && reserved.puts.length === 0 && reserved.deletes.length === 0) return old
      const { succeeded, events } = await storage.transact({
        compares: [{ key: entry.key, modRevision: entry.modRevision }, ...reserved.compares],
        puts: [{ key: entry.key, value: this.encode(next) }, ...reserved.puts], deletes: reserved.deletes,
      })
      if (succeeded) return this.decode(events.find(event => event.key === entry.key)!.now!)
    }
    throw modified(this.resource, name)
  }

  #prepare(draft: Content, old: Content, caller: Caller & { subresource?: Subresource }): Content {
    draft.apiVersion = groupVersion(this.resource)
    draft.kind = this.resource.kind
    if (caller.subresource === 'status') {
      draft = { ...structuredClone(old), status: draft.status,
        metadata: { ...structuredClone(old.metadata), ...(draft.metadata.uid && { uid: draft.metadata.uid }), ...(draft.metadata.finalizers && { finalizers: draft.metadata.finalizers }) } } as Content
      carryOver(draft, old, this.resource)
      this.strategy.defaults?.(draft)
      return draft
    }
    carryOver(draft, old, this.resource)
    this.backend.admission.update(draft, old, this.resource)
    this.strategy.defaults?.(draft)
    // Upstream writes a binding and a namespace's finalizers past the strategy.
    if (caller.subresource === 'finalize' || caller.subresource === 'binding') return draft
    this.strategy.prepareForUpdate?.(draft, old, this.context(caller))
    countGeneration(draft, old, this.resource)
    return draft
  }

  #validateUpdate(next: Content, old: Content, caller: Caller & { subresource?: Subresource }): void {
    const context = this.context(caller)
    if (caller.subresource === 'status') return this.#check(next, this.strategy.validateStatusUpdate?.(next, old, context) ?? [])
    if (caller.subresource === 'finalize' || caller.subresource === 'binding') return
    this.#check(next, [...this.strategy.validate(next, context), ...this.strategy.validateUpdate?.(next, old, context) ?? []])
  }

  #check(object: Content, errors: readonly FieldError[]): void {
    if (errors.length > 0) throw invalid(this.resource, object.metadata.name, errors)
  }

  /** Deletes an object with its reservations; undefined when it was changed meanwhile. */
  async remove(entry: Entry, last: Content = this.decode(entry)): Promise<Content | undefined> {
    const held = this.#heldBy(this.decode(entry), entry.key)
    const { succeeded } = await this.backend.storage.transact({
      compares: [{ key: entry.key, modRevision: entry.modRevision }],
      deletes: [entry.key, ...held.map(({ key }) => reservationKey(key))],
    })
    return succeeded ? last : undefined
  }

  /** The writes that make the object's reservations hold; chooses values into the draft. */
  reserve(draft: Content, old: Content | undefined, owner: string, context: StrategyContext): Required<Transaction> {
    if (!this.strategy.reserve) return { compares: [], puts: [], deletes: [] }
    const { storage } = this.backend
    const ownerOf = (key: string) => (storage.get(reservationKey(key))?.value as { owner: string } | undefined)?.owner
    const mine = old ? this.#heldBy(old, owner) : []
    const { held, errors } = this.strategy.reserve(draft, old, context, { has: key => (ownerOf(key) ?? owner) !== owner })
    this.#check(draft, errors)
    this.#check(draft, held.filter(({ key }) => (ownerOf(key) ?? owner) !== owner).map(({ taken }) => taken))
    const fresh = [...new Set(held.map(({ key }) => key))].filter(key => ownerOf(key) === undefined)
    const released = mine.filter(({ key }) => ownerOf(key) === owner && !held.some(other => other.key === key))
    return {
      compares: fresh.map(key => ({ key: reservationKey(key), modRevision: 0 })),
      puts: fresh.map(key => ({ key: reservationKey(key), value: { owner } })),
      deletes: released.map(({ key }) => reservationKey(key)),
    }
  }

  // What an object holds follows from the object alone, since all its values are chosen.
  #heldBy(object: Content, owner: string): Reservation[] {
    if (!this.strategy.reserve) return []
    return this.strategy.reserve(structuredClone(object), object, this.context({ user: '' }), { has: () => false }).held
      .filter(({ key }) => (this.backend.storage.get(reservationKey(key))?.value as { owner: string } | undefined)?.owner === owner)
  }
}

const reservationKey = (key: string) => `reservations/${key}`

/** ValidateObjectMeta's finding, for a strategy that does not look: without a name there is no key. */
const nameRequired = (resource: Resource) => invalid(resource, '',
  [{ field: 'metadata.name', reason: 'FieldValueRequired', message: 'Required value: name or generateName is required' }])

/** Names that keep an object from going: its finalizers, and a namespace's own. */
export function finalizersOf(object: Content): readonly string[] {
  const own = object.metadata.finalizers ?? []
  return object.kind === 'Namespace' ? [...own, ...(object.spec as { finalizers?: string[] } | undefined)?.finalizers ?? []] : own
}

/** deletionFinalizersForGarbageCollection's end: the update took the last finalizer of an object that is to go. */
const finished = (next: Content, old: Content): boolean =>
  old.metadata.deletionTimestamp !== undefined && !next.metadata.deletionGracePeriodSeconds && finalizersOf(next).length === 0
