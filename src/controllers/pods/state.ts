// The questions that all workload controllers ask of a pod (upstream's pkg/api/v1/pod and
// controller_utils.go). Pure; times are milliseconds since 1970.
import type { Pod, PodCondition } from '#api/core/v1.ts'

export const condition = (pod: Pod, type: string): PodCondition | undefined => pod.status?.conditions?.find(c => c.type === type)
export const isReady = (pod: Pod): boolean => condition(pod, 'Ready')?.status === 'True'
export const isTerminal = (pod: Pod): boolean => pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed'
export const isActive = (pod: Pod): boolean => !isTerminal(pod) && !pod.metadata.deletionTimestamp
/** On its way out, but its processes may still run. */
export const isTerminating = (pod: Pod): boolean => !isTerminal(pod) && pod.metadata.deletionTimestamp !== undefined

export const millis = (time: string | undefined): number => time === undefined ? 0 : Date.parse(time)

/** Ready for at least minReadySeconds. */
export function isAvailable(pod: Pod, minReadySeconds: number, now: number): boolean {
  const ready = condition(pod, 'Ready')
  if (ready?.status !== 'True') return false
  return minReadySeconds === 0 || (ready.lastTransitionTime !== undefined && millis(ready.lastTransitionTime) + minReadySeconds * 1000 <= now)
}

/** Milliseconds until the first of the pods that are only waiting for minReadySeconds becomes available; undefined when none is. */
export function untilAvailable(pods: readonly Pod[], minReadySeconds: number, now: number): number | undefined {
  const waits = minReadySeconds === 0 ? [] : pods.filter(pod => isActive(pod) && isReady(pod) && !isAvailable(pod, minReadySeconds, now))
    .map(pod => millis(condition(pod, 'Ready')?.lastTransitionTime) + minReadySeconds * 1000 - now)
  return waits.length > 0 ? Math.max(1, Math.min(...waits)) : undefined
}

/** The highest restart count of the pod's containers, init containers that keep running included. */
export const maxRestarts = (pod: Pod): { containers: number; sidecars: number } => ({
  containers: Math.max(0, ...(pod.status?.containerStatuses ?? []).map(status => status.restartCount)),
  sidecars: Math.max(0, ...(pod.spec.initContainers ?? []).filter(container => container.restartPolicy === 'Always')
    .map(container => pod.status?.initContainerStatuses?.find(status => status.name === container.name)?.restartCount ?? 0)),
})
