// Pods that nobody will ever end (upstream's podgc): those of nodes that are gone, those that were
// deleted before they had a node, and finished ones beyond a limit.
import type { Pod } from '#api/core/v1.ts'
import { isTerminal, millis } from '../pods/state.ts'

export interface Candidates { readonly finished: readonly Pod[]; readonly unscheduled: readonly Pod[]; readonly orphaned: readonly Pod[] }

export const terminatedPodThreshold = 12_500

/** `hasNode` answers for a node's name; a pod whose node went less than a while ago is the caller's business. */
export function candidates(pods: readonly Pod[], hasNode: (name: string) => boolean): Candidates {
  const finished = pods.filter(pod => isTerminal(pod) && !pod.metadata.deletionTimestamp)
    .sort((a, b) => millis(a.metadata.creationTimestamp) - millis(b.metadata.creationTimestamp))
  return {
    finished: finished.slice(0, Math.max(0, finished.length - terminatedPodThreshold)),
    unscheduled: pods.filter(pod => pod.metadata.deletionTimestamp && !pod.spec.nodeName),
    orphaned: pods.filter(pod => pod.spec.nodeName && !hasNode(pod.spec.nodeName)),
  }
}
