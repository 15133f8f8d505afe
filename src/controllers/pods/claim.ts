// Which objects a controller owns, should adopt and should let go (upstream's ControllerRefManager):
// the label selector says what it wants, the controller reference says what it has.
import type { LabelSelector, OwnerReference } from '#api/meta/v1.ts'
import { controllerOf, matchesSelector, type KubeObject } from '#api/object.ts'

export interface Claim<T> { readonly owned: T[]; readonly adopt: T[]; readonly release: T[] }

export function claim<T extends KubeObject>(owner: KubeObject, selector: LabelSelector | undefined, candidates: readonly T[]): Claim<T> {
  const result: Claim<T> = { owned: [], adopt: [], release: [] }
  const leaving = owner.metadata.deletionTimestamp !== undefined
  for (const object of candidates) {
    const controller = controllerOf(object)
    const matches = matchesSelector(selector, object.metadata.labels)
    if (controller?.uid === owner.metadata.uid) {
      if (matches) result.owned.push(object)
      else if (!leaving) result.release.push(object)
    } else if (!controller && matches && !leaving && !object.metadata.deletionTimestamp) result.adopt.push(object)
  }
  return result
}

export const controllerReference = (owner: KubeObject): OwnerReference => ({
  apiVersion: owner.apiVersion!, kind: owner.kind!, name: owner.metadata.name, uid: owner.metadata.uid!,
  controller: true, blockOwnerDeletion: true,
})
/** Strategic merge patches; the UID makes them fail on a namesake. */
export const adoption = (owner: KubeObject, object: KubeObject) =>
  ({ metadata: { ownerReferences: [controllerReference(owner)], uid: object.metadata.uid } })
export const release = (owner: KubeObject, object: KubeObject) =>
  ({ metadata: { ownerReferences: [{ $patch: 'delete', uid: owner.metadata.uid }], uid: object.metadata.uid } })
