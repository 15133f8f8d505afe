// When a deleted pod may be told to stop. Upstream sends SIGTERM at once, while proxies still send new
// connections; Fairway waits until the EndpointSlices no longer offer the pod, plus a margin for the
// proxies to follow, within a bound. Pure.
import type { Pod } from '#api/core/v1.ts'
import type { EndpointSlice } from '#api/discovery/v1.ts'

/** From the slices' change until every proxy has dropped the endpoint. */
const marginMs = 500
const boundMs = 2_000

/** Whether slices name the pod at all, and whether one still offers it for new connections. */
export interface Offer { readonly held: boolean; readonly offered: boolean }

export function podOffer(slices: readonly EndpointSlice[], uid: string): Offer {
  const own = slices.flatMap(slice => slice.endpoints ?? []).filter(endpoint => endpoint.targetRef?.uid === uid)
  // An absent `ready` counts as true (discovery/v1).
  return { held: own.length > 0, offered: own.some(({ conditions }) => conditions?.ready !== false && conditions?.terminating !== true) }
}

export interface Drain { readonly since: number; readonly quietSince?: number }

/** `done`: the pod may be stopped; else ask again at `wakeAt` or when a slice changes. */
export function drain(pod: Pod, offer: Offer, before: Drain | undefined, now: number): { drain: Drain; done: boolean; wakeAt?: number } {
  const since = before?.since ?? now
  const wasReady = pod.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True')
  if (pod.spec.hostNetwork || !wasReady || (!offer.held && !before?.quietSince)) return { drain: { since, quietSince: now }, done: true }
  const quietSince = offer.offered ? undefined : before?.quietSince ?? now
  const bound = since + Math.min(boundMs, (pod.metadata.deletionGracePeriodSeconds ?? 30) * 500)
  const until = quietSince === undefined ? bound : Math.min(quietSince + marginMs, bound)
  return { drain: { since, ...(quietSince !== undefined && { quietSince }) }, done: now >= until, wakeAt: until }
}
