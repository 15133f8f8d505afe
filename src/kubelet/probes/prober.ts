// Runs the probes of one container for as long as it lives and keeps what they say. When and how
// often is in machine.ts; how a probe is made is given in.
import type { Container as ContainerSpec, Probe } from '#api/core/v1.ts'
import type { Clock } from '#lib/clock.ts'
import type { ProbeView } from '../pods/snapshot.ts'
import { afterProbe, firstAttempt, initialState, nextAttempt, type ProbeKind, type ProbeState } from './machine.ts'

export interface Outcome { readonly success: boolean; readonly output: string }
export interface ProberOptions {
  readonly spec: ContainerSpec
  /** Milliseconds since 1970. */
  readonly startedAt: number
  readonly clock: Clock
  readonly signal: AbortSignal
  attempt(probe: Probe, kind: ProbeKind): Promise<Outcome>
  /** The view has changed. */
  changed(): void
  /** A counted attempt failed: event Unhealthy. */
  unhealthy(kind: ProbeKind, output: string): void
}

export const hasProbes = (spec: ContainerSpec): boolean => !!(spec.startupProbe || spec.readinessProbe || spec.livenessProbe)

export class Prober {
  view: ProbeView
  readonly #options: ProberOptions

  constructor(options: ProberOptions) {
    this.#options = options
    this.view = { started: !options.spec.startupProbe, ready: false }
  }

  /** Runs until the signal; a failed liveness or startup probe ends it, as the container is then replaced. */
  async run(): Promise<void> {
    const { spec } = this.#options
    if (spec.startupProbe && !await this.#startup(spec.startupProbe)) return
    await Promise.all([
      spec.readinessProbe && this.#loop('readiness', spec.readinessProbe, state => { this.#see({ ready: state.result === 'success' }); return true }),
      spec.livenessProbe && this.#loop('liveness', spec.livenessProbe, state => {
        if (state.result === 'failure') this.#see({ failed: 'liveness' })
        return state.result !== 'failure'
      }),
    ])
  }

  async #startup(probe: Probe): Promise<boolean> {
    let started = false
    await this.#loop('startup', probe, state => {
      started = state.result === 'success'
      if (started) this.#see({ started })
      if (state.result === 'failure') this.#see({ failed: 'startup' })
      return state.result === 'unknown'
    })
    return started
  }

  #see(change: Partial<ProbeView>): void {
    const next = { ...this.view, ...change }
    const same = next.ready === this.view.ready && next.started === this.view.started && next.failed === this.view.failed
    this.view = next
    if (!same) this.#options.changed()
  }

  /** Probes until `go` says stop or the signal ends it. */
  async #loop(kind: ProbeKind, probe: Probe, go: (state: ProbeState) => boolean): Promise<void> {
    const { clock, signal, startedAt } = this.#options
    let state = initialState(kind)
    let { waitMs, extra } = firstAttempt(kind, probe)
    const began = kind === 'liveness' && this.#options.spec.startupProbe ? clock.now() : startedAt
    waitMs = Math.max(0, began + waitMs - clock.now())
    for (let countedAt = began; await this.#wait(waitMs);) {
      if (!extra) countedAt = clock.now()
      const outcome = await this.#options.attempt(probe, kind).catch(error => ({ success: false, output: (error as Error).message }))
      if (signal.aborted) return
      if (!extra || outcome.success) {
        state = afterProbe(state, outcome.success, probe)
        if (!outcome.success) this.#options.unhealthy(kind, outcome.output)
        if (!go(state)) return
      }
      const now = clock.now();
      ({ waitMs, extra } = nextAttempt(kind, state, probe, { ageMs: now - began, sincePeriodMs: now - countedAt }))
    }
  }

  /** False when the container is gone meanwhile. */
  async #wait(ms: number): Promise<boolean> {
    if (ms <= 0) return !this.#options.signal.aborted
    try { await this.#options.clock.sleep(ms, this.#options.signal); return true } catch { return false }
  }
}
