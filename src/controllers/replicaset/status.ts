// A ReplicaSet's status from its pods (upstream's calculateStatus).
import type { ReplicaSet, ReplicaSetCondition, ReplicaSetStatus } from '#api/apps/v1.ts'
import type { Pod } from '#api/core/v1.ts'
import { time } from '#lib/clock.ts'
import { isAvailable, isReady } from '../pods/state.ts'

export interface StatusInput {
  readonly active: readonly Pod[]
  readonly terminating: readonly Pod[]
  /** What went wrong in this sync, with the number of pods that were missing or too many. */
  readonly failure: { readonly reason: 'FailedCreate' | 'FailedDelete'; readonly message: string } | undefined
  readonly now: number
}

export function status(set: ReplicaSet, { active, terminating, failure, now }: StatusInput): ReplicaSetStatus {
  const labels = Object.entries(set.spec.template?.metadata?.labels ?? {})
  const ready = active.filter(isReady)
  const conditions = conditionsWith(set.status?.conditions ?? [], failure, now)
  return {
    replicas: active.length,
    fullyLabeledReplicas: active.filter(pod => labels.every(([key, value]) => pod.metadata.labels?.[key] === value)).length,
    readyReplicas: ready.length,
    availableReplicas: ready.filter(pod => isAvailable(pod, set.spec.minReadySeconds ?? 0, now)).length,
    terminatingReplicas: terminating.length,
    observedGeneration: set.metadata.generation ?? 0,
    ...(conditions.length > 0 && { conditions }),
  }
}

/** Whether the server's copy differs: zero and absent are the same there. */
export function sameStatus(a: ReplicaSetStatus | undefined, b: ReplicaSetStatus): boolean {
  const numbers = ['replicas', 'fullyLabeledReplicas', 'readyReplicas', 'availableReplicas', 'terminatingReplicas', 'observedGeneration'] as const
  const facts = (conditions: ReplicaSetCondition[] = []) => conditions.map(c => `${c.type} ${c.status} ${c.reason} ${c.message}`).join('\n')
  return numbers.every(name => (a?.[name] ?? 0) === (b[name] ?? 0)) && facts(a?.conditions) === facts(b.conditions)
}

function conditionsWith(conditions: readonly ReplicaSetCondition[], failure: StatusInput['failure'], now: number): ReplicaSetCondition[] {
  const others = conditions.filter(condition => condition.type !== 'ReplicaFailure')
  if (!failure) return others
  // Upstream adds the condition only when it is not there yet, and so keeps its first message.
  const known = conditions.find(condition => condition.type === 'ReplicaFailure')
  return [...others, known ?? { type: 'ReplicaFailure', status: 'True', lastTransitionTime: time(now), ...failure }]
}
