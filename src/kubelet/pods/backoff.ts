// Exponential back-off as client-go's flowcontrol.Backoff keeps it, as a value: restarts of a
// container and pulls of its image wait 10 s, 20 s, ... 5 min. It does not wait; it says until when.

export interface Backoff { readonly delayMs: number; readonly updatedAt: number }
export interface BackoffLimits { readonly initialMs: number; readonly maxMs: number }

/** Upstream's MaxContainerBackOff and the initial 10 s of the kubelet. */
export const containerBackoff: BackoffLimits = { initialMs: 10_000, maxMs: 300_000 }

/** The entry after one more attempt at `now`, for something that last ended at `since`. */
export function nextBackoff(entry: Backoff | undefined, since: number, now: number, limits = containerBackoff): Backoff {
  const delayMs = !entry || expired(entry, since, limits) ? limits.initialMs : Math.min(entry.delayMs * 2, limits.maxMs)
  return { delayMs, updatedAt: now }
}

/** When the next attempt may be made for something that last ended at `since`; `since` itself when it need not wait. */
export const retryAt = (entry: Backoff | undefined, since: number, limits = containerBackoff): number =>
  !entry || expired(entry, since, limits) ? since : since + entry.delayMs

// hasExpired: what ran longer than twice the maximum since the last attempt starts afresh.
const expired = (entry: Backoff, since: number, limits: BackoffLimits) => since - entry.updatedAt > limits.maxMs * 2

/** Go's time.Duration.String for whole seconds, as back-off messages print it: `10s`, `1m20s`, `5m0s`. */
export function duration(ms: number): string {
  const seconds = Math.round(ms / 1000)
  if (seconds < 60) return `${seconds}s`
  const hours = Math.floor(seconds / 3600), minutes = Math.floor(seconds % 3600 / 60)
  return `${hours ? `${hours}h` : ''}${minutes}m${seconds % 60}s`
}
