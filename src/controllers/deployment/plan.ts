// One step of a deployment: what to do to its replica sets now, and the status to show (upstream's
// syncDeployment, rolloutRolling and rolloutRecreate). Each step is computed from what is there, so
// a step that failed half way is simply computed again.
import type { Deployment, DeploymentStatus, ReplicaSet } from '#api/apps/v1.ts'
import type { Pod } from '#api/core/v1.ts'
import { equal } from '#lib/equal.ts'
import { isTerminal } from '../pods/state.ts'
import { active, byRevision, desiredReplicas, draft, fenceposts, isRolling, sets, total, wanted, type Sets } from './replicasets.ts'
import { isScaling, newSetReplicas, scale, scaleNew, scaleOld, scaleToZero, type Scale } from './scaling.ts'
import { nextRevision, replicasAnnotations, revisionAnnotation, setAnnotations } from './revision.ts'
import { conditionOf, counts, isComplete, pauseCondition, rolloutStatus, withCondition, type Condition } from './status.ts'

/** A set as it should be; `from` is its number of replicas before. */
export interface Change { readonly set: ReplicaSet; readonly from: number }

export interface Plan {
  /** The set for a new template; the rest of the plan waits for it. */
  readonly create?: ReplicaSet
  readonly change: readonly Change[]
  /** Sets beyond revisionHistoryLimit. */
  readonly remove: readonly ReplicaSet[]
  readonly status: DeploymentStatus
  /** The deployment's revision annotation, where it must change. */
  readonly revision?: string
}

export interface PlanInput {
  readonly sets: readonly ReplicaSet[]
  /** All pods of all the sets. */
  readonly pods: readonly Pod[]
  readonly now: number
}

export function plan(given: Deployment, { sets: all, pods, now }: PlanInput): Plan {
  const found = sets(given, all)
  if (given.metadata.deletionTimestamp) return { change: [], remove: [], status: counts(given, found, now) }
  const deployment = shown(given, pauseCondition(given) ?? foundCondition(given, found), now)
  if (deployment.spec.paused || isScaling(deployment, found)) {
    return { ...changes(deployment, found, scale(deployment, found)), status: counts(deployment, found, now),
      remove: deployment.spec.paused ? expired(deployment, found.old) : [] }
  }
  const step = isRolling(deployment) ? rolling(deployment, found) : recreate(deployment, found, pods)
  if (step === 'create') return creation(deployment, found, now)
  return { ...changes(deployment, found, step), status: rolloutStatus(deployment, found, now),
    remove: step.length === 0 && deployment.status && isComplete(deployment, deployment.status) ? expired(deployment, found.old) : [] }
}

/** Up as far as maxSurge allows; only then down as far as maxUnavailable allows. */
function rolling(deployment: Deployment, found: Sets): Scale[] | 'create' {
  if (!found.newSet) return 'create'
  const up = scaleNew(deployment, found)
  return up.length > 0 ? up : scaleOld(deployment, found)
}

/** Nothing new before all old pods have ended. */
function recreate(deployment: Deployment, found: Sets, pods: readonly Pod[]): Scale[] | 'create' {
  const down = scaleToZero(found.old)
  if (down.length > 0 || oldPodsRun(found, pods)) return down
  return found.newSet ? scaleNew(deployment, found) : 'create'
}

function oldPodsRun({ newSet, old }: Sets, pods: readonly Pod[]): boolean {
  const ofNew = (pod: Pod) => newSet !== undefined && pod.metadata.ownerReferences?.some(owner => owner.uid === newSet.metadata.uid)
  return total(old, set => set.status?.replicas ?? 0) > 0 || pods.some(pod => !ofNew(pod) && !isTerminal(pod))
}

function creation(deployment: Deployment, found: Sets, now: number): Plan {
  const create = draft(deployment, found.old, newSetReplicas(deployment, found))
  const condition: Condition = { type: 'Progressing', status: 'True', reason: 'NewReplicaSetCreated', message: `Created new replica set "${create.metadata.name}"` }
  const status = rolloutStatus(deployment, found, now)
  return { create, change: [], remove: [], status: deployment.spec.progressDeadlineSeconds === undefined ? status
    : { ...status, conditions: withCondition(status.conditions ?? [], condition, now) } }
}

/** The status when the new set could not be made, to be shown while it is tried again. */
export function creationFailed(deployment: Deployment, found: Sets, { name, message, now }: { name: string; message: string; now: number }): DeploymentStatus {
  const status = counts(deployment, found, now)
  const condition: Condition = { type: 'Progressing', status: 'False', reason: 'FailedCreate', message: `Failed to create new replica set "${name}": ${message}` }
  return { ...status, conditions: withCondition(status.conditions ?? [], condition, now) }
}

/** New numbers and new annotations of one set become one change of it. */
function changes(deployment: Deployment, found: Sets, scales: readonly Scale[]): Pick<Plan, 'change' | 'revision'> {
  const { newSet, old } = found
  const annotations = new Map<ReplicaSet, Record<string, string>>()
  if (newSet) annotations.set(newSet, setAnnotations(deployment, newSet, nextRevision(old)))
  const share = replicasAnnotations(desiredReplicas(deployment), desiredReplicas(deployment) + fenceposts(deployment).maxSurge)
  for (const { set } of scales) annotations.set(set, { ...annotations.get(set) ?? set.metadata.annotations, ...share })
  const change = [...annotations].map(([set, wantedAnnotations]): Change => ({ from: wanted(set), set: {
    ...set, metadata: { ...set.metadata, annotations: wantedAnnotations },
    spec: { ...set.spec, replicas: scales.find(scaled => scaled.set === set)?.replicas ?? wanted(set),
      ...(set === newSet && { minReadySeconds: deployment.spec.minReadySeconds }) },
  } })).filter(({ set }) => !equal(significant(set), significant(all(found).find(before => before.metadata.uid === set.metadata.uid)!)))
  const revision = newSet && annotations.get(newSet)![revisionAnnotation]
  return { change, ...(revision !== undefined && revision !== deployment.metadata.annotations?.[revisionAnnotation] && { revision }) }
}
const all = ({ newSet, old }: Sets) => newSet ? [...old, newSet] : [...old]
const significant = (set: ReplicaSet) => ({ annotations: set.metadata.annotations ?? {}, replicas: wanted(set), minReadySeconds: set.spec.minReadySeconds ?? 0 })

/** Old sets that nobody needs for an undo any more (cleanupDeployment). */
function expired(deployment: Deployment, old: readonly ReplicaSet[]): ReplicaSet[] {
  const limit = deployment.spec.revisionHistoryLimit
  if (limit === undefined || limit === 2147483647) return []
  const alive = old.filter(set => !set.metadata.deletionTimestamp).sort(byRevision)
  return alive.slice(0, Math.max(0, alive.length - limit)).filter(set => active([set]).length === 0 && (set.status?.replicas ?? 0) === 0 &&
    (set.metadata.generation ?? 0) <= (set.status?.observedGeneration ?? 0))
}

/** A set that was there before the deployment knew of any progress. */
function foundCondition(deployment: Deployment, { newSet }: Sets): Condition | undefined {
  if (!newSet || deployment.spec.progressDeadlineSeconds === undefined || conditionOf(deployment.status, 'Progressing')) return undefined
  return { type: 'Progressing', status: 'True', reason: 'FoundNewReplicaSet', message: `Found new replica set "${newSet.metadata.name}"` }
}

function shown(deployment: Deployment, condition: Condition | undefined, now: number): Deployment {
  if (!condition) return deployment
  return { ...deployment, status: { ...deployment.status, conditions: withCondition(deployment.status?.conditions ?? [], condition, now) } }
}
