// Who owns whom: every object of the cluster by UID, with its owners and dependents (upstream's
// uidToNode graph). Values only; decide.ts asks it, apply.ts feeds it.
import type { OwnerReference } from '#api/meta/v1.ts'
import type { KubeObject } from '#api/object.ts'
import type { Resource } from '#api/resources.ts'

/** What the collector knows of an object; it needs nothing but metadata. */
export interface Entry { readonly resource: Resource; readonly metadata: KubeObject['metadata'] }

export const foreground = 'foregroundDeletion', orphan = 'orphan'
export const isDeleting = ({ metadata }: Entry): boolean => metadata.deletionTimestamp !== undefined
/** Waits until its dependents are gone. */
export const isDeletingDependents = (entry: Entry): boolean => isDeleting(entry) && (entry.metadata.finalizers ?? []).includes(foreground)
/** Waits until its dependents have been let go. */
export const isOrphaning = (entry: Entry): boolean => isDeleting(entry) && (entry.metadata.finalizers ?? []).includes(orphan)

export class Graph {
  readonly #entries = new Map<string, Entry>()
  readonly #dependents = new Map<string, Set<string>>() // owner's UID -> UIDs
  /** UIDs whose deletion was seen: nothing with one of them will ever come back. */
  readonly #gone = new Set<string>()

  get(uid: string): Entry | undefined { return this.#entries.get(uid) }
  isGone(uid: string): boolean { return this.#gone.has(uid) }
  dependents(uid: string): Entry[] { return [...this.#dependents.get(uid) ?? []].flatMap(id => this.#entries.get(id) ?? []) }
  hasDependents(uid: string): boolean { return (this.#dependents.get(uid)?.size ?? 0) > 0 }

  set(entry: Entry): void {
    const uid = entry.metadata.uid!
    this.#unlink(uid)
    this.#entries.set(uid, entry)
    for (const { uid: owner } of entry.metadata.ownerReferences ?? []) {
      if (!this.#dependents.has(owner)) this.#dependents.set(owner, new Set())
      this.#dependents.get(owner)!.add(uid)
    }
  }
  delete(uid: string): void {
    this.#unlink(uid)
    this.#entries.delete(uid)
    // UIDs are random; what was gone longest ago is asked for least.
    this.#gone.add(uid)
    if (this.#gone.size > 10_000) this.#gone.delete(this.#gone.values().next().value!)
  }

  #unlink(uid: string): void {
    for (const { uid: owner } of this.#entries.get(uid)?.metadata.ownerReferences ?? []) {
      const dependents = this.#dependents.get(owner)
      dependents?.delete(uid)
      if (dependents?.size === 0) this.#dependents.delete(owner)
    }
  }
}

/** How an owner is there: `unresolvable` when the reference can never be looked up (a namespaced owner of a cluster-scoped object). */
export type OwnerState = 'present' | 'absent' | 'waiting' | 'unresolvable'
export interface OwnerWithState { readonly reference: OwnerReference; readonly state: OwnerState }
