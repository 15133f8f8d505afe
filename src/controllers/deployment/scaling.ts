// How many replicas each set gets: when the deployment's own number changed (in proportion), and
// step by step during a rollout (upstream's sync.go and rolling.go). Each function answers with the
// sets whose number changes; an empty answer means there is nothing to do.
import type { Deployment, ReplicaSet } from '#api/apps/v1.ts'
import { active, byCreation, desiredReplicas, fenceposts, isRolling, total, wanted, type Sets } from './replicasets.ts'
import { desiredOf, maxOf } from './revision.ts'

export interface Scale { readonly set: ReplicaSet; readonly replicas: number }

const available = (set: ReplicaSet) => set.status?.availableReplicas ?? 0
const changed = (scales: readonly Scale[]) => scales.filter(({ set, replicas }) => replicas !== wanted(set))

/** The deployment's number is not the one that the active sets were computed from. */
export const isScaling = (deployment: Deployment, { newSet, old }: Sets): boolean =>
  active(newSet ? [...old, newSet] : old).some(set => {
    const desired = desiredOf(set)
    return desired !== undefined && desired !== desiredReplicas(deployment)
  })

/** A deployment whose number changed, or which is paused: one set takes all, several share in proportion. */
export function scale(deployment: Deployment, sets: Sets): Scale[] {
  const all = [...sets.old, ...(sets.newSet ? [sets.newSet] : [])]
  const only = activeOrLatest(all, sets)
  if (only) return [{ set: only, replicas: desiredReplicas(deployment) }]
  if (isSaturated(deployment, sets.newSet)) return active(sets.old).map(set => ({ set, replicas: 0 }))
  return isRolling(deployment) ? proportional(deployment, active(all)) : []
}

function activeOrLatest(all: readonly ReplicaSet[], { newSet, old }: Sets): ReplicaSet | undefined {
  const running = active(all)
  if (running.length === 1) return running[0]
  return running.length === 0 ? newSet ?? [...old].sort(byCreation).at(-1) : undefined
}

const isSaturated = (deployment: Deployment, set: ReplicaSet | undefined): boolean => {
  const replicas = desiredReplicas(deployment)
  return set !== undefined && wanted(set) === replicas && desiredOf(set) === replicas && available(set) === replicas
}

/** Every set keeps its share; what rounding leaves over goes to the largest. */
function proportional(deployment: Deployment, running: readonly ReplicaSet[]): Scale[] {
  const replicas = desiredReplicas(deployment)
  const toAdd = (replicas > 0 ? replicas + fenceposts(deployment).maxSurge : 0) - total(running, wanted)
  const sorted = [...running].sort((a, b) => wanted(b) - wanted(a) || (toAdd > 0 ? byCreation(b, a) : byCreation(a, b)))
  let added = 0
  const shares = sorted.map(set => {
    const share = toAdd === 0 ? 0 : proportion(deployment, set, { toAdd, added })
    added += share
    return wanted(set) + share
  })
  if (shares.length > 0 && toAdd !== 0) shares[0] = Math.max(0, shares[0]! + toAdd - added)
  return sorted.map((set, i) => ({ set, replicas: shares[i]! }))
}

// GetReplicaSetProportion and getReplicaSetFraction.
function proportion(deployment: Deployment, set: ReplicaSet, { toAdd, added }: { toAdd: number; added: number }): number {
  if (wanted(set) === 0 || toAdd === added) return 0
  const fraction = shareOf(deployment, set), allowed = toAdd - added
  return toAdd > 0 ? Math.min(fraction, allowed) : Math.max(fraction, allowed)
}
function shareOf(deployment: Deployment, set: ReplicaSet): number {
  const replicas = desiredReplicas(deployment)
  if (replicas === 0) return -wanted(set)
  const before = maxOf(set) || (deployment.status?.replicas ?? 0)
  if (before === 0) return 0
  return Math.round(wanted(set) * (replicas + fenceposts(deployment).maxSurge) / before) - wanted(set)
}

/** How large the new set may be now: all that maxSurge leaves free (NewRSNewReplicas). */
export function newSetReplicas(deployment: Deployment, { newSet, old }: Sets): number {
  const replicas = desiredReplicas(deployment), current = newSet ? wanted(newSet) : 0
  if (!isRolling(deployment) || current > replicas) return replicas
  const free = replicas + fenceposts(deployment).maxSurge - total(old, wanted) - current
  return free <= 0 ? current : current + Math.min(free, replicas - current)
}

export function scaleNew(deployment: Deployment, sets: Sets): Scale[] {
  return sets.newSet ? changed([{ set: sets.newSet, replicas: newSetReplicas(deployment, sets) }]) : []
}

/** Old sets give up pods as far as maxUnavailable allows: those that are not available first (reconcileOldReplicaSets). */
export function scaleOld(deployment: Deployment, { newSet, old }: Sets): Scale[] {
  const minAvailable = desiredReplicas(deployment) - fenceposts(deployment).maxUnavailable
  const newWanted = newSet ? wanted(newSet) : 0, newUnavailable = newWanted - (newSet ? available(newSet) : 0)
  const maxCleanup = total(old, wanted) + newWanted - minAvailable - newUnavailable
  if (total(old, wanted) === 0 || maxCleanup <= 0) return []
  const sorted = [...old].sort(byCreation)
  const replicas = new Map(sorted.map(set => [set, wanted(set)]))
  take(replicas, maxCleanup, (set, current) => Math.max(0, current - available(set)))
  const spare = total(old, available) + (newSet ? available(newSet) : 0) - minAvailable
  if (spare > 0) take(replicas, spare, (_, current) => current)
  return changed([...replicas].map(([set, count]) => ({ set, replicas: count })))
}

/** Takes up to `most` in all, up to `from` of each, in order. */
function take(replicas: Map<ReplicaSet, number>, most: number, from: (set: ReplicaSet, current: number) => number): void {
  for (const [set, current] of replicas) {
    const count = Math.min(most, from(set, current))
    replicas.set(set, current - count)
    most -= count
  }
}

export const scaleToZero = (old: readonly ReplicaSet[]): Scale[] => active(old).map(set => ({ set, replicas: 0 }))
