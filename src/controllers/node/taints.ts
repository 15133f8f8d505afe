// The taints that a node's conditions call for (TaintNodesByCondition), and when a pod must leave
// because of one (the taint eviction controller).
import type { Node, Pod, Taint } from '#api/core/v1.ts'
import { tolerates } from '#api/placement.ts'
import { time } from '#lib/clock.ts'
import { millis } from '../pods/state.ts'

const key = (name: string) => `node.kubernetes.io/${name}`
/** Condition, the status that is bad, the taint. */
const byCondition: readonly [type: string, status: string, taint: string][] = [
  ['Ready', 'False', 'not-ready'], ['Ready', 'Unknown', 'unreachable'], ['MemoryPressure', 'True', 'memory-pressure'], ['DiskPressure', 'True', 'disk-pressure'],
  ['PIDPressure', 'True', 'pid-pressure'], ['NetworkUnavailable', 'True', 'network-unavailable'],
]
const managed = new Set([...byCondition.map(([, , taint]) => key(taint)), key('unschedulable')])
/** Only these drive pods away. */
const evicting = new Set([key('not-ready'), key('unreachable')])

/** All taints of the node as they should be, those that people set included. */
export function taints(node: Node, now: number): Taint[] {
  const has = node.spec.taints ?? []
  const wanted = byCondition.filter(([type, status]) => node.status?.conditions?.some(condition => condition.type === type && condition.status === status))
    .flatMap(([, , taint]): Taint[] => evicting.has(key(taint)) ? [{ key: key(taint), effect: 'NoSchedule' }, { key: key(taint), effect: 'NoExecute' }] : [{ key: key(taint), effect: 'NoSchedule' }])
  if (node.spec.unschedulable) wanted.push({ key: key('unschedulable'), effect: 'NoSchedule' })
  // A kubelet that has not reported yet registers as not ready; only its report says otherwise.
  if (!node.status?.conditions?.some(condition => condition.type === 'Ready')) wanted.push(...has.filter(taint => evicting.has(taint.key)))
  const same = (a: Taint, b: Taint) => a.key === b.key && a.effect === b.effect
  const kept = has.filter(taint => !managed.has(taint.key) || wanted.some(other => same(other, taint)))
  const added = wanted.filter(taint => !has.some(other => same(other, taint)))
  return [...kept, ...added.map(taint => ({ ...taint, timeAdded: time(now) }))]
}

/** In how many ms the pod must leave a node with these taints; undefined when it may stay for ever. */
export function untilEviction(pod: Pod, nodeTaints: readonly Taint[] | undefined, now: number): number | undefined {
  const noExecute = (nodeTaints ?? []).filter(taint => taint.effect === 'NoExecute')
  const deadlines = noExecute.map(taint => {
    const used = (pod.spec.tolerations ?? []).filter(toleration => tolerates(toleration, taint))
    if (used.length === 0) return now
    const seconds = used.flatMap(toleration => toleration.tolerationSeconds ?? [])
    const since = taint.timeAdded ? millis(taint.timeAdded) : now
    return seconds.length === 0 ? Infinity : since + Math.max(0, Math.min(...seconds)) * 1000
  })
  const deadline = Math.min(Infinity, ...deadlines)
  return deadline === Infinity ? undefined : Math.max(0, deadline - now)
}
