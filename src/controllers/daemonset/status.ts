// A DaemonSet's status from its nodes and pods (upstream's updateDaemonSetStatus).
import type { DaemonSet, DaemonSetStatus } from '#api/apps/v1.ts'
import { isAvailable, isReady } from '../pods/state.ts'
import { fit, hashLabel } from './nodes.ts'
import { podsByNode, type PlanInput } from './plan.ts'

export function status(set: DaemonSet, input: PlanInput): DaemonSetStatus {
  const byNode = podsByNode(input.pods)
  const count = { currentNumberScheduled: 0, numberMisscheduled: 0, desiredNumberScheduled: 0, numberReady: 0, updatedNumberScheduled: 0, numberAvailable: 0 }
  for (const node of input.nodes) {
    // The oldest counts where there are several.
    const pod = [...byNode.get(node.metadata.name) ?? []].sort((a, b) => (a.metadata.creationTimestamp ?? '') < (b.metadata.creationTimestamp ?? '') ? -1 : 1)
      .sort((a, b) => Number(isReady(b)) - Number(isReady(a)))[0]
    if (!fit(set, node).shouldRun) { if (pod) count.numberMisscheduled++; continue }
    count.desiredNumberScheduled++
    if (!pod) continue
    count.currentNumberScheduled++
    if (isReady(pod)) count.numberReady++
    if (isAvailable(pod, set.spec.minReadySeconds ?? 0, input.now)) count.numberAvailable++
    if (pod.metadata.labels?.[hashLabel] === input.hash) count.updatedNumberScheduled++
  }
  return { ...set.status, ...count, numberUnavailable: count.desiredNumberScheduled - count.numberAvailable, observedGeneration: set.metadata.generation }
}

const numbers = ['currentNumberScheduled', 'numberMisscheduled', 'desiredNumberScheduled', 'numberReady', 'updatedNumberScheduled', 'numberAvailable',
  'numberUnavailable', 'observedGeneration', 'collisionCount'] as const
/** Whether the server's copy is as it should be: zero and absent are the same there. */
export const sameStatus = (a: DaemonSetStatus | undefined, b: DaemonSetStatus): boolean => numbers.every(name => (a?.[name] ?? 0) === (b[name] ?? 0))
