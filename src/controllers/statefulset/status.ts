// A StatefulSet's status from its pods (upstream's updateStatus and completeRollingUpdate), and which
// of its revisions nobody needs any more.
import type { ControllerRevision, StatefulSet, StatefulSetStatus } from '#api/apps/v1.ts'
import { isAvailable, isReady } from '../pods/state.ts'
import { revisionOf } from './identity.ts'
import type { PlanInput } from './rules.ts'

export function status(set: StatefulSet, { pods, current, update, now }: PlanInput): StatefulSetStatus {
  const ready = pods.filter(pod => pod.status?.phase === 'Running' && isReady(pod))
  const staying = pods.filter(pod => !pod.metadata.deletionTimestamp)
  const of = (name: string) => staying.filter(pod => revisionOf(pod) === name).length
  const next: StatefulSetStatus = {
    ...set.status, observedGeneration: set.metadata.generation, collisionCount: set.status?.collisionCount ?? 0,
    replicas: pods.length, readyReplicas: ready.length, availableReplicas: ready.filter(pod => isAvailable(pod, set.spec.minReadySeconds ?? 0, now)).length,
    currentReplicas: of(current.name), updatedReplicas: of(update.name), currentRevision: current.name, updateRevision: update.name,
  }
  const wanted = set.spec.replicas ?? 1
  const isComplete = set.spec.updateStrategy?.type !== 'OnDelete' && [next.replicas, next.readyReplicas, next.updatedReplicas].every(count => count === wanted)
  return isComplete ? { ...next, currentRevision: update.name, currentReplicas: next.updatedReplicas } : next
}

const numbers = ['observedGeneration', 'replicas', 'readyReplicas', 'availableReplicas', 'currentReplicas', 'updatedReplicas', 'collisionCount'] as const
const names = ['currentRevision', 'updateRevision'] as const
/** Whether the server's copy is as it should be: zero and absent are the same there. */
export const sameStatus = (a: StatefulSetStatus | undefined, b: StatefulSetStatus): boolean =>
  numbers.every(name => (a?.[name] ?? 0) === (b[name] ?? 0)) && names.every(name => a?.[name] === b[name])

/** Beyond revisionHistoryLimit, oldest first, none that is in use (truncateHistory). */
export function unneeded(set: StatefulSet, revisions: readonly ControllerRevision[], { pods, current, update }: PlanInput): ControllerRevision[] {
  const live = new Set([current.name, update.name, ...pods.map(revisionOf)]), limit = set.spec.revisionHistoryLimit ?? 10
  const past = revisions.filter(revision => !live.has(revision.metadata.name)).sort((a, b) => a.revision - b.revision)
  return limit < 0 ? [] : past.slice(0, Math.max(0, past.length - limit))
}
