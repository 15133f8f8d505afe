// The result of one probe over time: thresholds as upstream's prober worker counts them. Pure.
import type { Probe } from '#api/core/v1.ts'

export type ProbeKind = 'startup' | 'readiness' | 'liveness'
export interface ProbeState {
  readonly result: 'success' | 'failure' | 'unknown'
  /** The last raw outcome and how many times in a row it came. */
  readonly last?: boolean
  readonly run: number
}

/** Upstream's initialValue: not ready, alive, not known to have started. */
export const initialState = (kind: ProbeKind): ProbeState =>
  ({ result: kind === 'readiness' ? 'failure' : kind === 'liveness' ? 'success' : 'unknown', run: 0 })

export function afterProbe(state: ProbeState, success: boolean, probe: Probe): ProbeState {
  const run = state.last === success ? state.run + 1 : 1
  const threshold = success ? probe.successThreshold ?? 1 : probe.failureThreshold ?? 3
  return { result: run < threshold ? state.result : success ? 'success' : 'failure', last: success, run }
}

export const periodMs = (probe: Probe): number => (probe.periodSeconds ?? 10) * 1000
export const timeoutMs = (probe: Probe): number => (probe.timeoutSeconds ?? 1) * 1000

/**
 * Until a startup or readiness probe has succeeded for the first time it is also asked between its
 * periods, the more often the younger the container is, so that a container is ready when it is, not up
 * to a period later. Such an extra attempt only counts when it succeeds.
 */
export interface Attempt { readonly waitMs: number; readonly extra: boolean }

const minQuickMs = 50, maxQuickMs = 1_000, quickForMs = 30_000

/** `ageMs`: since probing began; `sincePeriodMs`: since the last attempt that counts. */
export function nextAttempt(kind: ProbeKind, state: ProbeState, probe: Probe, { ageMs, sincePeriodMs }: { ageMs: number; sincePeriodMs: number }): Attempt {
  const rest = Math.max(0, periodMs(probe) - sincePeriodMs)
  const quick = Math.min(Math.max(minQuickMs, ageMs / 4), maxQuickMs)
  const wanted = kind !== 'liveness' && state.result !== 'success' && !state.last && ageMs < quickForMs
  return wanted && quick < rest ? { waitMs: quick, extra: true } : { waitMs: rest, extra: false }
}

/**
 * The first attempt. Upstream waits a random part of a period; here readiness and startup are asked at
 * once (uncounted, as nothing can listen yet), liveness after one period.
 */
export function firstAttempt(kind: ProbeKind, probe: Probe): Attempt {
  const delay = (probe.initialDelaySeconds ?? 0) * 1000
  return kind === 'liveness' ? { waitMs: delay || periodMs(probe), extra: false } : { waitMs: delay, extra: delay === 0 }
}
