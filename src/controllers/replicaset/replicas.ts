// What a ReplicaSet needs done to its pods: how many to create, which to delete (upstream's manageReplicas).
import type { ReplicaSet } from '#api/apps/v1.ts'
import type { Pod } from '#api/core/v1.ts'
import { podsToDelete } from '../pods/ranking.ts'

export interface Replicas { readonly create: number; readonly delete: readonly Pod[] }

/** No more than this in one go; the next sync does the rest. */
export const burstReplicas = 500

/** `pods` are the set's active pods; `related` are the active pods of all sets of the same owner. */
export function replicas(set: ReplicaSet, pods: readonly Pod[], { related, now }: { related: readonly Pod[]; now: number }): Replicas {
  const excess = pods.length - (set.spec.replicas ?? 1)
  if (excess < 0) return { create: Math.min(-excess, burstReplicas), delete: [] }
  return { create: 0, delete: excess === 0 ? [] : podsToDelete(pods, related, { count: Math.min(excess, burstReplicas), now }) }
}
