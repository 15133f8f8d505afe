// Deleting one object or a collection: preconditions, grace, finalizers, propagation (rest.BeforeDelete
// and the generic store's Delete of upstream). An object with grace or finalizers is only marked here.
import type { DeleteOptions as MetaDeleteOptions } from '#api/meta/v1.ts'
import { StatusError } from '#lib/errors.ts'
import { time } from '#lib/clock.ts'
import type { Entry } from '../storage/storage.ts'
import type { Caller } from './backend.ts'
import { badRequest, conflict } from './errors.ts'
import type { Content } from './metadata.ts'
import { finalizersOf, type Store } from './store.ts'

export type DeleteOptions = Pick<MetaDeleteOptions, 'gracePeriodSeconds' | 'propagationPolicy' | 'preconditions' | 'orphanDependents'>

export interface Deletion { readonly object: Content; /** False when it was marked and goes later. */ readonly gone: boolean }

const attempts = 30

export async function deleteObject(store: Store, key: { namespace: string | undefined; name: string }, options: DeleteOptions, caller: Caller): Promise<Deletion> {
  check(options)
  for (let attempt = 0; attempt < attempts; attempt++) {
    const entry = store.entry(key.namespace, key.name)
    const done = await deleteOnce(store, entry, options, caller)
    if (done) return done
  }
  throw conflict(store.resource, key.name, 'the object has been modified; please apply your changes to the latest version and try again')
}

/** Undefined when another writer came between. */
async function deleteOnce(store: Store, entry: Entry, options: DeleteOptions, caller: Caller): Promise<Deletion | undefined> {
  const object = store.decode(entry)
  checkPreconditions(store, object, options)
  store.backend.admission.delete(object, store.resource)
  const marked = mark(store, object, options)
  if (!marked) {
    if (caller.dryRun) return { object, gone: true }
    const removed = await store.remove(entry)
    return removed && { object: removed, gone: true }
  }
  if (marked === object || caller.dryRun) return { object: marked, gone: false }
  const { succeeded, events } = await store.backend.storage.transact({
    compares: [{ key: entry.key, modRevision: entry.modRevision }], puts: [{ key: entry.key, value: store.encode(marked) }],
  })
  return succeeded ? { object: store.decode(events[0]!.now!), gone: false } : undefined
}

/** The object as it must be stored to go later, the same object when nothing changes, undefined when it can go now. */
function mark(store: Store, object: Content, options: DeleteOptions): Content | undefined {
  const grace = graceOf(store, object, options)
  const finalizers = finalizersAfter(object, options)
  const pending = finalizers.length + (finalizersOf(object).length - (object.metadata.finalizers ?? []).length)
  if (grace === 0 && pending === 0) return undefined
  const { deletionTimestamp, deletionGracePeriodSeconds = 0 } = object.metadata
  const shorter = deletionTimestamp !== undefined && grace < deletionGracePeriodSeconds
  const sameFinalizers = finalizers.join() === (object.metadata.finalizers ?? []).join()
  if (deletionTimestamp && !shorter && sameFinalizers) return object
  const marked = structuredClone(object)
  if (finalizers.length > 0) marked.metadata.finalizers = finalizers
  else delete marked.metadata.finalizers
  if (!deletionTimestamp || shorter) {
    marked.metadata.deletionTimestamp = time(store.backend.now() + grace * 1000)
    marked.metadata.deletionGracePeriodSeconds = grace
    if (marked.metadata.generation) marked.metadata.generation++
    // The namespace strategy of upstream: a namespace that is to go says so.
    if (marked.kind === 'Namespace') marked.status = { ...marked.status as object, phase: 'Terminating' }
  }
  return marked
}

/** Seconds; 0 for everything that does not end by itself. */
function graceOf(store: Store, object: Content, options: DeleteOptions): number {
  const usual = store.strategy.gracePeriodSeconds?.(object)
  if (!usual) return 0
  const asked = options.gracePeriodSeconds ?? (object.metadata.deletionTimestamp ? object.metadata.deletionGracePeriodSeconds : undefined) ?? usual
  return asked < 0 ? 1 : asked // upstream's reading of a negative period
}

const foreground = 'foregroundDeletion', orphan = 'orphan'

function finalizersAfter(object: Content, options: DeleteOptions): string[] {
  const now = object.metadata.finalizers ?? []
  const policy = options.propagationPolicy ?? (options.orphanDependents === true ? 'Orphan' : options.orphanDependents === false ? 'Background' : undefined)
  if (policy === undefined) return [...now]
  const others = now.filter(name => name !== foreground && name !== orphan)
  return policy === 'Foreground' ? [...others, foreground] : policy === 'Orphan' ? [...others, orphan] : others
}

function check({ propagationPolicy, orphanDependents }: DeleteOptions): void {
  if (propagationPolicy !== undefined && !['Foreground', 'Background', 'Orphan'].includes(propagationPolicy)) {
    throw new StatusError(422, 'Invalid', `DeleteOptions.meta.k8s.io "" is invalid: propagationPolicy: Unsupported value: ${JSON.stringify(propagationPolicy)}: supported values: "Background", "Foreground", "Orphan"`)
  }
  if (propagationPolicy !== undefined && orphanDependents !== undefined) {
    throw badRequest('orphanDependents and deletionPropagation cannot be both set')
  }
}

function checkPreconditions(store: Store, object: Content, { preconditions }: DeleteOptions): void {
  const { uid, resourceVersion } = object.metadata
  if (preconditions?.uid !== undefined && preconditions.uid !== uid) {
    throw conflict(store.resource, object.metadata.name, `the UID in the precondition (${preconditions.uid}) does not match the UID in record (${uid}). The object might have been deleted and then recreated`)
  }
  if (preconditions?.resourceVersion !== undefined && preconditions.resourceVersion !== resourceVersion) {
    throw conflict(store.resource, object.metadata.name, `the ResourceVersion in the precondition (${preconditions.resourceVersion}) does not match the ResourceVersion in record (${resourceVersion}). The object might have been modified`)
  }
}
