// What becomes of an object whose owners may be gone (upstream's attemptToDeleteItem), and of one
// that waits for its dependents. Pure: the states of the owners were looked up before.
import { foreground, isDeleting, isDeletingDependents, orphan, type Entry, type OwnerWithState } from './graph.ts'

export type Verdict =
  | { readonly act: 'keep' }
  /** Some owners are gone, others are not: the references to the former go. */
  | { readonly act: 'dropReferences'; readonly uids: readonly string[] }
  /** `unblock`: its own dependents wait for it in a circle, so that it may block nobody. */
  | { readonly act: 'delete'; readonly policy: 'Background' | 'Foreground' | 'Orphan'; readonly unblock: boolean }

export function verdict(entry: Entry, owners: readonly OwnerWithState[], dependents: readonly Entry[]): Verdict {
  if (isDeleting(entry) || owners.length === 0) return { act: 'keep' }
  const solid = owners.filter(owner => owner.state === 'present' || owner.state === 'unresolvable')
  const waiting = owners.filter(owner => owner.state === 'waiting'), absent = owners.filter(owner => owner.state === 'absent')
  if (solid.length > 0) {
    const uids = [...absent, ...waiting].map(owner => owner.reference.uid)
    return uids.length === 0 ? { act: 'keep' } : { act: 'dropReferences', uids }
  }
  if (waiting.length > 0 && dependents.length > 0) return { act: 'delete', policy: 'Foreground', unblock: dependents.some(isDeletingDependents) }
  const finalizers = entry.metadata.finalizers ?? []
  return { act: 'delete', unblock: false, policy: finalizers.includes(orphan) ? 'Orphan' : finalizers.includes(foreground) ? 'Foreground' : 'Background' }
}

/** Dependents that keep an owner with the finalizer foregroundDeletion from going. */
export const blocking = (owner: Entry, dependents: readonly Entry[]): Entry[] =>
  dependents.filter(dependent => dependent.metadata.ownerReferences?.some(reference => reference.uid === owner.metadata.uid && reference.blockOwnerDeletion))
