// A deployment's status: its counts, and the conditions Available, Progressing and ReplicaFailure
// that `kubectl rollout status` reads (upstream's progress.go and deployment_util.go).
import type { Deployment, DeploymentCondition, DeploymentStatus, ReplicaSet } from '#api/apps/v1.ts'
import { time } from '#lib/clock.ts'
import { millis } from '../pods/state.ts'
import { desiredReplicas, fenceposts, total, wanted, type Sets } from './replicasets.ts'

export type Condition = Pick<DeploymentCondition, 'type' | 'status' | 'reason' | 'message'>

export const conditionOf = (status: DeploymentStatus | undefined, type: string): DeploymentCondition | undefined =>
  status?.conditions?.find(condition => condition.type === type)

/** MaxInt32 means no deadline. */
const deadline = (deployment: Deployment) => {
  const seconds = deployment.spec.progressDeadlineSeconds
  return seconds === undefined || seconds === 2147483647 ? undefined : seconds * 1000
}

/** The counts, and whether enough are available (calculateStatus). */
export function counts(deployment: Deployment, { newSet, old }: Sets, now: number): DeploymentStatus {
  const all = newSet ? [...old, newSet] : [...old]
  const availableReplicas = total(all, set => set.status?.availableReplicas ?? 0)
  const enough = availableReplicas >= desiredReplicas(deployment) - fenceposts(deployment).maxUnavailable
  const collisionCount = deployment.status?.collisionCount
  return {
    observedGeneration: deployment.metadata.generation,
    replicas: total(all, set => set.status?.replicas ?? 0),
    updatedReplicas: newSet?.status?.replicas ?? 0,
    readyReplicas: total(all, set => set.status?.readyReplicas ?? 0),
    availableReplicas,
    unavailableReplicas: Math.max(0, total(all, wanted) - availableReplicas),
    terminatingReplicas: total(all, set => set.status?.terminatingReplicas ?? 0),
    ...(collisionCount !== undefined && { collisionCount }),
    conditions: withCondition(deployment.status?.conditions ?? [], enough
      ? { type: 'Available', status: 'True', reason: 'MinimumReplicasAvailable', message: 'Deployment has minimum availability.' }
      : { type: 'Available', status: 'False', reason: 'MinimumReplicasUnavailable', message: 'Deployment does not have minimum availability.' }, now),
  }
}

export const isComplete = (deployment: Deployment, status: DeploymentStatus): boolean => {
  const replicas = desiredReplicas(deployment)
  return status.updatedReplicas === replicas && status.replicas === replicas && status.availableReplicas === replicas &&
    (status.observedGeneration ?? 0) >= (deployment.metadata.generation ?? 0)
}

/** The status after a step of a rollout (syncRolloutStatus). */
export function rolloutStatus(deployment: Deployment, sets: Sets, now: number): DeploymentStatus {
  const next = counts(deployment, sets, now)
  const before = conditionOf(deployment.status, 'Progressing')
  let conditions = next.conditions ?? []
  if (deadline(deployment) === undefined) conditions = conditions.filter(condition => condition.type !== 'Progressing')
  else if (!(next.replicas === next.updatedReplicas && before?.reason === 'NewReplicaSetAvailable')) conditions = withProgress(deployment, { sets, next, conditions, now })
  const failure = replicaFailure(sets)
  conditions = failure ? withCondition(conditions, failure, now) : conditions.filter(condition => condition.type !== 'ReplicaFailure')
  return { ...next, conditions }
}

function withProgress(deployment: Deployment, { sets, next, conditions, now }: { sets: Sets; next: DeploymentStatus; conditions: DeploymentCondition[]; now: number }): DeploymentCondition[] {
  const who = sets.newSet ? `ReplicaSet "${sets.newSet.metadata.name}"` : `Deployment "${deployment.metadata.name}"`
  if (isComplete(deployment, next)) return withCondition(conditions, { type: 'Progressing', status: 'True', reason: 'NewReplicaSetAvailable', message: `${who} has successfully progressed.` }, now)
  if (isProgressing(deployment.status, next)) {
    // Replaced even when only its time changes: the deadline counts from lastUpdateTime.
    const before = conditions.find(condition => condition.type === 'Progressing')
    const since = before?.status === 'True' ? before.lastTransitionTime : time(now)
    return [...conditions.filter(condition => condition !== before), { type: 'Progressing', status: 'True', reason: 'ReplicaSetUpdated',
      message: `${who} is progressing.`, lastUpdateTime: time(now), lastTransitionTime: since }]
  }
  if (isTimedOut(deployment, now)) return withCondition(conditions, { type: 'Progressing', status: 'False', reason: 'ProgressDeadlineExceeded', message: `${who} has timed out progressing.` }, now)
  return conditions
}

function isProgressing(before: DeploymentStatus | undefined, next: DeploymentStatus): boolean {
  const old = (status: DeploymentStatus | undefined) => (status?.replicas ?? 0) - (status?.updatedReplicas ?? 0)
  return next.updatedReplicas! > (before?.updatedReplicas ?? 0) || old(next) < old(before) ||
    next.readyReplicas! > (before?.readyReplicas ?? 0) || next.availableReplicas! > (before?.availableReplicas ?? 0)
}

export function isTimedOut(deployment: Deployment, now: number): boolean {
  const limit = deadline(deployment), progress = conditionOf(deployment.status, 'Progressing')
  if (limit === undefined || !progress || progress.reason === 'NewReplicaSetAvailable') return false
  return progress.reason === 'ProgressDeadlineExceeded' || millis(progress.lastUpdateTime) + limit < now
}

/** Milliseconds until a rollout that stands still must be looked at again; undefined when it need not be (requeueStuckDeployment). */
export function untilDeadline(deployment: Deployment, status: DeploymentStatus, now: number): number | undefined {
  const limit = deadline(deployment), progress = conditionOf(status, 'Progressing')
  if (limit === undefined || !progress || isComplete(deployment, status) || progress.reason === 'ProgressDeadlineExceeded' || progress.reason === 'NewReplicaSetAvailable') return undefined
  return Math.max(0, millis(progress.lastUpdateTime) + limit - now) + 1000
}

// getReplicaFailures: the new set's failure counts before those of old ones.
function replicaFailure({ newSet, old }: Sets): Condition | undefined {
  const of = (set: ReplicaSet) => set.status?.conditions?.find(condition => condition.type === 'ReplicaFailure')
  const found = [...(newSet ? [newSet] : []), ...old].map(of).find(condition => condition !== undefined)
  return found && { type: 'ReplicaFailure', status: found.status, reason: found.reason, message: found.message }
}

/** The condition a pause or its end makes, once (checkPausedConditions). */
export function pauseCondition(deployment: Deployment): Condition | undefined {
  const progress = conditionOf(deployment.status, 'Progressing')
  if (deployment.spec.progressDeadlineSeconds === undefined || progress?.reason === 'ProgressDeadlineExceeded') return undefined
  const shown = progress?.reason === 'DeploymentPaused'
  if (deployment.spec.paused && !shown) return { type: 'Progressing', status: 'Unknown', reason: 'DeploymentPaused', message: 'Deployment is paused' }
  if (!deployment.spec.paused && shown) return { type: 'Progressing', status: 'Unknown', reason: 'DeploymentResumed', message: 'Deployment is resumed' }
  return undefined
}

/** SetDeploymentCondition: nothing changes where status and reason are the same; the transition time only with the status. */
export function withCondition(conditions: readonly DeploymentCondition[], { type, status, reason, message }: Condition, now: number): DeploymentCondition[] {
  const before = conditions.find(condition => condition.type === type)
  if (before?.status === status && before.reason === reason) return [...conditions]
  return [...conditions.filter(condition => condition.type !== type), { type, status, reason, message, lastUpdateTime: time(now),
    lastTransitionTime: before?.status === status ? before.lastTransitionTime : time(now) }]
}
