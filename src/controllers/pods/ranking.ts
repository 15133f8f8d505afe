// Which pods to give up first when there are too many: upstream's ActivePodsWithRanks, rule by rule.
import type { Pod } from '#api/core/v1.ts'
import { condition, isReady, maxRestarts, millis } from './state.ts'

const phases: Record<string, number> = { Pending: 0, Unknown: 1, Running: 2 }
const deletionCost = (pod: Pod) => {
  const text = pod.metadata.annotations?.['controller.kubernetes.io/pod-deletion-cost'] ?? '0'
  return /^-?(0|[1-9]\d{0,9})$/.test(text) ? Number(text) : 0
}
const readySince = (pod: Pod) => millis(condition(pod, 'Ready')?.lastTransitionTime)

// LogarithmicScaleDown: ages count as equal within a power of two (of nanoseconds), and the UID decides.
const magnitude = (age: number) => age > 0 ? Math.floor(Math.log2(age * 1e6)) : -1
function younger(a: Pod, b: Pod, since: (pod: Pod) => number, now: number): number {
  const timeA = since(a), timeB = since(b)
  if (timeA === timeB) return 0
  if (timeA === 0 || timeB === 0) return timeA === 0 ? -1 : 1
  const difference = magnitude(now - timeA) - magnitude(now - timeB)
  return difference || ((a.metadata.uid ?? '') < (b.metadata.uid ?? '') ? -1 : 1)
}

/** The `count` pods to delete. `related` are all active pods of the same owner's sets: nodes with many of them give first. */
export function podsToDelete(pods: readonly Pod[], related: readonly Pod[], { count, now }: { count: number; now: number }): Pod[] {
  if (count >= pods.length) return [...pods]
  const onNode = new Map<string, number>()
  for (const pod of related) if (pod.spec.nodeName) onNode.set(pod.spec.nodeName, (onNode.get(pod.spec.nodeName) ?? 0) + 1)
  const rank = (pod: Pod) => onNode.get(pod.spec.nodeName ?? '') ?? 0
  const compare = (a: Pod, b: Pod): number =>
    Number(!!a.spec.nodeName) - Number(!!b.spec.nodeName) ||
    (phases[a.status?.phase ?? 'Pending'] ?? 0) - (phases[b.status?.phase ?? 'Pending'] ?? 0) ||
    Number(isReady(a)) - Number(isReady(b)) ||
    deletionCost(a) - deletionCost(b) ||
    rank(b) - rank(a) ||
    (isReady(a) && isReady(b) ? younger(a, b, readySince, now) : 0) ||
    maxRestarts(b).containers - maxRestarts(a).containers ||
    maxRestarts(b).sidecars - maxRestarts(a).sidecars ||
    younger(a, b, pod => millis(pod.metadata.creationTimestamp), now)
  return [...pods].sort(compare).slice(0, count)
}
