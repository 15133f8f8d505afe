// The garbage collector: deletes what belonged to something that is gone; ends foreground and
// orphaning deletions. Watches every resource that the server lists; decide.ts decides.
import type { OwnerReference } from '#api/meta/v1.ts'
import { controllerOf, type KubeObject } from '#api/object.ts'
import { groupVersion, resources, type Resource } from '#api/resources.ts'
import { discover } from '#client/discovery.ts'
import { isConflict, isNotFound } from '#lib/errors.ts'
import type { Context } from '../apply.ts'
import { blocking, verdict } from './decide.ts'
import { foreground, Graph, isDeletingDependents, isOrphaning, orphan, type Entry, type OwnerState } from './graph.ts'

/** New kinds are looked for this often. */
const discoveryMs = 30_000
const ignored = new Set(['events']) // they come and go by the thousand and own nothing

export function startGarbageCollector(context: Context): void {
  const { client } = context
  const log = context.log.named('garbagecollector'), recorder = context.recorder('garbage-collector-controller')
  const graph = new Graph(), kinds = new Map<string, Resource>()
  const known = () => Object.values<Resource>(resources).filter(resource => !resource.createOnly)
  const informers = known().filter(watches).map(watch)
  const queue = context.run({ name: 'garbagecollector', informers, workers: 20, sync })
  const discovery = context.run({ name: 'discovery', informers, workers: 1, sync: lookForKinds })
  discovery.add('kinds')

  function watches(resource: Resource): boolean { return !ignored.has(resource.plural) }

  function watch(resource: Resource) {
    kinds.set(`${groupVersion(resource)}/${resource.kind}`, resource)
    const informer = context.informer<KubeObject>(resource)
    informer.onChange(({ old, now }) => { if (now) changed({ resource, metadata: now.metadata }, old); else removed(old!) })
    return informer
  }

  function changed(entry: Entry, old: KubeObject | undefined): void {
    graph.set(entry)
    const uid = entry.metadata.uid!
    if (!sameOwners(old, entry) && !allPresent(entry)) queue.add(uid)
    if (isDeletingDependents(entry) || isOrphaning(entry)) queue.add(uid)
    // An owner that stops blocking, or a dependent that lost its reference, may free the one that waits.
    for (const { uid: owner } of [...entry.metadata.ownerReferences ?? [], ...old?.metadata.ownerReferences ?? []]) if (waits(owner)) queue.add(owner)
    if (isDeletingDependents(entry)) for (const dependent of graph.dependents(uid)) queue.add(dependent.metadata.uid!)
  }
  function removed(object: KubeObject): void {
    const uid = object.metadata.uid!
    graph.delete(uid)
    for (const dependent of graph.dependents(uid)) queue.add(dependent.metadata.uid!)
    for (const { uid: owner } of object.metadata.ownerReferences ?? []) if (waits(owner)) queue.add(owner)
  }
  function waits(uid: string): boolean { const entry = graph.get(uid); return entry !== undefined && isDeletingDependents(entry) }

  /** The usual case, which costs no request: every owner is here and none waits for its dependents. */
  function allPresent({ metadata }: Entry): boolean {
    return (metadata.ownerReferences ?? []).every(reference => {
      const owner = graph.get(reference.uid)
      return owner !== undefined && owner.metadata.name === reference.name && !isDeletingDependents(owner) && (owner.metadata.namespace ?? metadata.namespace) === metadata.namespace
    })
  }

  async function lookForKinds(): Promise<void> {
    const { found } = await discover(client, ['list', 'watch', 'delete'])
    for (const resource of found) {
      if (kinds.has(`${groupVersion(resource)}/${resource.kind}`) || !watches(resource)) continue
      log.info('watching a new kind', { kind: resource.kind })
      watch(resource)
    }
    discovery.addAfter('kinds', discoveryMs)
  }

  async function sync(uid: string): Promise<void> {
    const entry = graph.get(uid)
    if (!entry) return
    if (isOrphaning(entry)) return letGo(entry)
    if (isDeletingDependents(entry)) return endForeground(entry)
    if (allPresent(entry)) return
    // The informer may lag: a deletion is decided on what the server says now.
    const fresh = await read(entry.resource, entry.metadata.namespace, entry.metadata.name)
    if (fresh?.metadata.uid !== uid) return
    const current: Entry = { resource: entry.resource, metadata: fresh.metadata }
    const owners = await Promise.all((fresh.metadata.ownerReferences ?? []).map(async reference => ({ reference, state: await stateOf(reference, current) })))
    await perform(current, verdict(current, owners, graph.dependents(uid)))
  }

  async function perform(entry: Entry, decided: ReturnType<typeof verdict>): Promise<void> {
    const { namespace, name, uid, resourceVersion } = entry.metadata
    if (decided.act === 'dropReferences') await patchOwners(entry, owners => owners.filter(owner => !decided.uids.includes(owner.uid)))
    if (decided.act !== 'delete') return
    if (decided.unblock) await patchOwners(entry, owners => owners.map(owner => ({ ...owner, blockOwnerDeletion: false })))
    log.info('deleting what its owners left behind', { resource: entry.resource.plural, name, namespace, policy: decided.policy })
    await client.delete(entry.resource, namespace, name, { propagationPolicy: decided.policy,
      preconditions: { uid, ...(!decided.unblock && { resourceVersion }) } }).catch(ignoreNotFound)
  }

  /** Once nothing blocks any more, the owner may go. */
  async function endForeground(entry: Entry): Promise<void> {
    const held = blocking(entry, graph.dependents(entry.metadata.uid!))
    if (held.length === 0) return removeFinalizer(entry, foreground)
    for (const dependent of held) if (!isDeletingDependents(dependent)) queue.add(dependent.metadata.uid!)
  }

  /** Dependents lose their reference; then the owner may go. */
  async function letGo(entry: Entry): Promise<void> {
    const { uid } = entry.metadata
    await Promise.all(graph.dependents(uid!).map(dependent => patchOwners(dependent, owners => owners.filter(owner => owner.uid !== uid))))
    await removeFinalizer(entry, orphan)
  }

  async function stateOf(reference: OwnerReference, dependent: Entry): Promise<OwnerState> {
    if (graph.isGone(reference.uid)) return 'absent'
    const owner = graph.get(reference.uid), resource = kinds.get(`${reference.apiVersion}/${reference.kind}`)
    if (!resource) return 'unresolvable' // a kind that the server does not (yet) tell of
    if (resource.namespaced && !dependent.metadata.namespace) return 'unresolvable'
    const namespace = resource.namespaced ? dependent.metadata.namespace : undefined
    if (owner && owner.metadata.namespace === namespace && owner.metadata.name === reference.name) return isDeletingDependents(owner) ? 'waiting' : 'present'
    const found = await read(resource, namespace, reference.name)
    if (found?.metadata.uid === reference.uid) return isDeletingDependents({ resource, metadata: found.metadata }) ? 'waiting' : 'present'
    if (owner && owner.metadata.namespace !== namespace) recorder.event({ apiVersion: groupVersion(dependent.resource), kind: dependent.resource.kind, metadata: dependent.metadata }, 'Warning', 'OwnerRefInvalidNamespace',
      `ownerRef [${reference.apiVersion}/${reference.kind}, namespace: ${namespace ?? ''}, name: ${reference.name}, uid: ${reference.uid}] does not exist in namespace "${namespace ?? ''}"`)
    return 'absent'
  }

  async function read(resource: Resource, namespace: string | undefined, name: string): Promise<KubeObject | undefined> {
    return client.get<KubeObject>(resource, namespace, name).catch(ignoreNotFound)
  }

  /** Replaces the list of references; the version makes sure that none that was just added is lost. */
  async function patchOwners({ resource, metadata }: Entry, change: (owners: readonly OwnerReference[]) => OwnerReference[]): Promise<void> {
    const ownerReferences = change(metadata.ownerReferences ?? [])
    await client.patch(resource, metadata.namespace, metadata.name, { metadata: { uid: metadata.uid, resourceVersion: metadata.resourceVersion, ownerReferences } }).catch(ignoreNotFound)
  }
  async function removeFinalizer({ resource, metadata }: Entry, finalizer: string): Promise<void> {
    const finalizers = (metadata.finalizers ?? []).filter(other => other !== finalizer)
    try {
      await client.patch(resource, metadata.namespace, metadata.name, { metadata: { uid: metadata.uid, resourceVersion: metadata.resourceVersion, finalizers } })
    } catch (error) {
      if (!isConflict(error)) return ignoreNotFound(error)
      throw error
    }
  }
}

const sameOwners = (old: KubeObject | undefined, entry: Entry) =>
  old !== undefined && controllerOf(old)?.uid === entry.metadata.ownerReferences?.find(owner => owner.controller)?.uid &&
  JSON.stringify(old.metadata.ownerReferences) === JSON.stringify(entry.metadata.ownerReferences)
const ignoreNotFound = (error: unknown): undefined => { if (!isNotFound(error)) throw error }
