// Performs what workload controllers decide about pods: create and delete with their events, adopt
// and let go. Also the indexes by which a controller finds its pods.
import type { Pod } from '#api/core/v1.ts'
import type { LabelSelector } from '#api/meta/v1.ts'
import { controllerOf, type KubeObject } from '#api/object.ts'
import { resources, type Resource } from '#api/resources.ts'
import type { EventRecorder } from '#client/events.ts'
import type { Informer } from '#client/informer.ts'
import { isConflict, isForbidden, isInvalid, isNotFound, StatusError } from '#lib/errors.ts'
import type { Context } from '../apply.ts'
import { adoption, claim, release } from './claim.ts'
import type { PodDraft } from './template.ts'

/** Objects by the UID of their controller, and those without one by namespace. */
export function addOwnerIndexes(informer: Informer<KubeObject>): void {
  informer.addIndex('controller', object => [controllerOf(object)?.uid ?? `orphans/${object.metadata.namespace}`])
}

/** What the owner has and may adopt. */
export const candidates = <T extends KubeObject>(informer: Informer<T>, owner: KubeObject): T[] =>
  [...informer.byIndex('controller', owner.metadata.uid!), ...informer.byIndex('controller', `orphans/${owner.metadata.namespace}`)]

export interface ClaimOptions<T> {
  readonly owner: { readonly resource: Resource; readonly object: KubeObject }
  readonly selector: LabelSelector | undefined
  /** Those that are not even looked at (finished pods, say). */
  readonly consider?: (object: T) => boolean
}

/** What the owner has, once it has adopted and let go; reads the owner afresh before it adopts, as upstream's RecheckDeletionTimestamp. */
export async function claimOf<T extends KubeObject>(context: Context, resource: Resource, options: ClaimOptions<T>): Promise<T[]> {
  const { owner, selector, consider = () => true } = options
  const found = claim(owner.object, selector, candidates(context.informer<T>(resource), owner.object).filter(consider))
  const { namespace } = owner.object.metadata
  await Promise.all(found.release.map(object => ignoreGone(
    context.client.patch(resource, namespace, object.metadata.name, release(owner.object, object), { type: 'strategic' }))))
  if (found.adopt.length === 0) return found.owned
  const fresh = await context.client.get<KubeObject>(owner.resource, namespace, owner.object.metadata.name)
  if (fresh.metadata.uid !== owner.object.metadata.uid || fresh.metadata.deletionTimestamp) return found.owned
  const adopted = await Promise.all(found.adopt.map(object => ignoreGone(
    context.client.patch<T>(resource, namespace, object.metadata.name, adoption(owner.object, object), { type: 'strategic' }))))
  return [...found.owned, ...adopted.filter(object => object !== undefined)]
}

/** The object went, or became another's, since we looked: both are fine. */
const ignoreGone = <T>(request: Promise<T>): Promise<T | undefined> => request.catch((error: unknown) => {
  if (isNotFound(error) || isInvalid(error) || isConflict(error)) return undefined
  throw error
})

export async function createPod(context: Context, recorder: EventRecorder, { owner, pod }: { owner: KubeObject; pod: PodDraft }): Promise<Pod> {
  try {
    const created = await context.client.create<Pod>(resources.pods, owner.metadata.namespace, pod)
    recorder.event(owner, 'Normal', 'SuccessfulCreate', `Created pod: ${created.metadata.name}`)
    return created
  } catch (error) {
    if (!isNamespaceTerminating(error)) recorder.event(owner, 'Warning', 'FailedCreate', `Error creating: ${(error as Error).message}`)
    throw error
  }
}

export async function deletePod(context: Context, recorder: EventRecorder, { owner, pod }: { owner: KubeObject; pod: Pod }): Promise<void> {
  try {
    await context.client.delete(resources.pods, pod.metadata.namespace, pod.metadata.name, { preconditions: { uid: pod.metadata.uid } })
    recorder.event(owner, 'Normal', 'SuccessfulDelete', `Deleted pod: ${pod.metadata.name}`)
  } catch (error) {
    if (!isNotFound(error) && !isConflict(error)) recorder.event(owner, 'Warning', 'FailedDelete', `Error deleting: ${(error as Error).message}`)
    throw error
  }
}

/** Nothing can be made in the namespace any more, and nothing will be asked of it again. */
export const isNamespaceTerminating = (error: unknown): boolean => isForbidden(error) &&
  (error as StatusError).status.details?.causes?.some(cause => cause.reason === 'NamespaceTerminating') === true
