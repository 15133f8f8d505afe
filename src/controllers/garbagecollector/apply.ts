// The garbage collector: deletes what belonged to something that is gone; ends foreground and
// orphaning deletions. Watches every resource that the server lists; decide.ts decides.
import type { OwnerReference } from '#api/meta/v1.ts'
import type { KubeObject } from '#api/object.ts'
import { groupVersion, resources, type Resource } from '#api/resources.ts'
import type { Client } from '#client/client.ts'
import { discover } from '#client/discovery.ts'
import type { EventRecorder } from '#client/events.ts'
import type { WorkQueue } from '#client/workqueue.ts'
import { equal } from '#lib/equal.ts'
import { isConflict, isNotFound } from '#lib/errors.ts'
import type { Log } from '#lib/log.ts'
import type { Context } from '../apply.ts'
import { blocking, verdict } from './decide.ts'
import { foreground, Graph, isDeletingDependents, isOrphaning, orphan, type Entry, type OwnerState } from './graph.ts'

/** New kinds are looked for this often. */
const discoveryMs = 30_000
/** Events come and go by the thousand and own nothing. */
const watches = (resource: Resource) => !resource.createOnly && resource.plural !== 'events'
const known = Object.values<Resource>(resources).filter(watches)

export function startGarbageCollector(context: Context): void { new GarbageCollector(context).start() }

class GarbageCollector {
  readonly #context: Context
  readonly #client: Client
  readonly #log: Log
  readonly #recorder: EventRecorder
  readonly #graph = new Graph()
  /** By apiVersion and kind, as owner references name them. */
  readonly #kinds = new Map<string, Resource>()
  readonly #queue: WorkQueue
  readonly #discovery: WorkQueue

  constructor(context: Context) {
    this.#context = context
    this.#client = context.client
    this.#log = context.log.named('garbagecollector')
    this.#recorder = context.recorder('garbage-collector-controller')
    const informers = known.map(resource => context.informer(resource))
    this.#queue = context.run({ name: 'garbagecollector', informers, workers: 20, sync: uid => this.#sync(uid) })
    this.#discovery = context.run({ name: 'discovery', informers, workers: 1, sync: () => this.#lookForKinds() })
  }

  start(): void {
    for (const resource of known) this.#watch(resource)
    this.#discovery.add('kinds')
  }

  #watch(resource: Resource): void {
    this.#kinds.set(`${groupVersion(resource)}/${resource.kind}`, resource)
    this.#context.informer<KubeObject>(resource).onChange(({ old, now }) => { if (now) this.#changed({ resource, metadata: now.metadata }, old); else this.#removed(old!) })
  }

  #changed(entry: Entry, old: KubeObject | undefined): void {
    this.#graph.set(entry)
    const uid = entry.metadata.uid!
    if (!sameOwners(old, entry) && !this.#allPresent(entry)) this.#queue.add(uid)
    if (isDeletingDependents(entry) || isOrphaning(entry)) this.#queue.add(uid)
    // An owner that stops blocking, or a dependent that lost its reference, may free the one that waits.
    for (const { uid: owner } of [...entry.metadata.ownerReferences ?? [], ...old?.metadata.ownerReferences ?? []]) if (this.#waits(owner)) this.#queue.add(owner)
    if (isDeletingDependents(entry)) for (const dependent of this.#graph.dependents(uid)) this.#queue.add(dependent.metadata.uid!)
  }
  #removed(object: KubeObject): void {
    const uid = object.metadata.uid!
    this.#graph.delete(uid)
    for (const dependent of this.#graph.dependents(uid)) this.#queue.add(dependent.metadata.uid!)
    for (const { uid: owner } of object.metadata.ownerReferences ?? []) if (this.#waits(owner)) this.#queue.add(owner)
  }
  #waits(uid: string): boolean { const entry = this.#graph.get(uid); return entry !== undefined && isDeletingDependents(entry) }

  /** The usual case, which costs no request: every owner is here and none waits for its dependents. */
  #allPresent({ metadata }: Entry): boolean {
    return (metadata.ownerReferences ?? []).every(reference => {
      const owner = this.#graph.get(reference.uid)
      return owner !== undefined && owner.metadata.name === reference.name && !isDeletingDependents(owner) && (owner.metadata.namespace ?? metadata.namespace) === metadata.namespace
    })
  }

  async #lookForKinds(): Promise<void> {
    const { found } = await discover(this.#client, ['list', 'watch', 'delete'])
    for (const resource of found) {
      if (this.#kinds.has(`${groupVersion(resource)}/${resource.kind}`) || !watches(resource)) continue
      this.#log.info('watching a new kind', { kind: resource.kind })
      this.#watch(resource)
    }
    this.#discovery.addAfter('kinds', discoveryMs)
  }

  async #sync(uid: string): Promise<void> {
    const entry = this.#graph.get(uid)
    if (!entry) return
    if (isOrphaning(entry)) return this.#letGo(entry)
    if (isDeletingDependents(entry)) return this.#endForeground(entry)
    if (this.#allPresent(entry)) return
    // The informer may lag: a deletion is decided on what the server says now.
    const fresh = await this.#read(entry.resource, entry.metadata.namespace, entry.metadata.name)
    if (fresh?.metadata.uid !== uid) return
    const current: Entry = { resource: entry.resource, metadata: fresh.metadata }
    const owners = await Promise.all((fresh.metadata.ownerReferences ?? []).map(async reference => ({ reference, state: await this.#stateOf(reference, current) })))
    await this.#perform(current, verdict(current, owners, this.#graph.dependents(uid)))
  }

  async #perform(entry: Entry, decided: ReturnType<typeof verdict>): Promise<void> {
    const { namespace, name, uid, resourceVersion } = entry.metadata
    if (decided.act === 'dropReferences') await this.#patchOwners(entry, owners => owners.filter(owner => !decided.uids.includes(owner.uid)))
    if (decided.act !== 'delete') return
    if (decided.unblock) await this.#patchOwners(entry, owners => owners.map(owner => ({ ...owner, blockOwnerDeletion: false })))
    this.#log.info('deleting what its owners left behind', { resource: entry.resource.plural, name, namespace, policy: decided.policy })
    await this.#client.delete(entry.resource, namespace, name, { propagationPolicy: decided.policy,
      preconditions: { uid, ...(!decided.unblock && { resourceVersion }) } }).catch(ignoreNotFound)
  }

  /** Once nothing blocks any more, the owner may go. */
  async #endForeground(entry: Entry): Promise<void> {
    const held = blocking(entry, this.#graph.dependents(entry.metadata.uid!))
    if (held.length === 0) return this.#removeFinalizer(entry, foreground)
    for (const dependent of held) if (!isDeletingDependents(dependent)) this.#queue.add(dependent.metadata.uid!)
  }

  /** Dependents lose their reference; then the owner may go. */
  async #letGo(entry: Entry): Promise<void> {
    const { uid } = entry.metadata
    await Promise.all(this.#graph.dependents(uid!).map(dependent => this.#patchOwners(dependent, owners => owners.filter(owner => owner.uid !== uid))))
    await this.#removeFinalizer(entry, orphan)
  }

  async #stateOf(reference: OwnerReference, dependent: Entry): Promise<OwnerState> {
    if (this.#graph.isGone(reference.uid)) return 'absent'
    const owner = this.#graph.get(reference.uid), resource = this.#kinds.get(`${reference.apiVersion}/${reference.kind}`)
    if (!resource) return 'unresolvable' // a kind that the server does not (yet) tell of
    if (resource.namespaced && !dependent.metadata.namespace) return 'unresolvable'
    const namespace = resource.namespaced ? dependent.metadata.namespace : undefined
    if (owner && owner.metadata.namespace === namespace && owner.metadata.name === reference.name) return isDeletingDependents(owner) ? 'waiting' : 'present'
    const found = await this.#read(resource, namespace, reference.name)
    if (found?.metadata.uid === reference.uid) return isDeletingDependents({ resource, metadata: found.metadata }) ? 'waiting' : 'present'
    if (owner && owner.metadata.namespace !== namespace) this.#recorder.event({ apiVersion: groupVersion(dependent.resource), kind: dependent.resource.kind, metadata: dependent.metadata }, 'Warning', 'OwnerRefInvalidNamespace',
      `ownerRef [${reference.apiVersion}/${reference.kind}, namespace: ${namespace ?? ''}, name: ${reference.name}, uid: ${reference.uid}] does not exist in namespace "${namespace ?? ''}"`)
    return 'absent'
  }

  async #read(resource: Resource, namespace: string | undefined, name: string): Promise<KubeObject | undefined> {
    return this.#client.get<KubeObject>(resource, namespace, name).catch(ignoreNotFound)
  }

  /** Replaces the list of references; the version makes sure that none that was just added is lost. */
  async #patchOwners({ resource, metadata }: Entry, change: (owners: readonly OwnerReference[]) => OwnerReference[]): Promise<void> {
    const ownerReferences = change(metadata.ownerReferences ?? [])
    await this.#client.patch(resource, metadata.namespace, metadata.name, { metadata: { uid: metadata.uid, resourceVersion: metadata.resourceVersion, ownerReferences } }).catch(ignoreNotFound)
  }
  async #removeFinalizer({ resource, metadata }: Entry, finalizer: string): Promise<void> {
    const finalizers = (metadata.finalizers ?? []).filter(other => other !== finalizer)
    try {
      await this.#client.patch(resource, metadata.namespace, metadata.name, { metadata: { uid: metadata.uid, resourceVersion: metadata.resourceVersion, finalizers } })
    } catch (error) {
      if (!isConflict(error)) return ignoreNotFound(error)
      throw error
    }
  }
}

const sameOwners = (old: KubeObject | undefined, entry: Entry) =>
  old !== undefined && equal(old.metadata.ownerReferences, entry.metadata.ownerReferences)
const ignoreNotFound = (error: unknown): undefined => { if (!isNotFound(error)) throw error }
