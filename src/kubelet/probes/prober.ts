// Runs the probes of one container for as long as it lives and keeps what they say. When and how
// often is in machine.ts; how a probe is made is given in.
import type { Container as ContainerSpec, Probe } from '#api/core/v1.ts'
import type { Clock } from '#lib/clock.ts'
import type { ProbeView } from '../pods/snapshot.ts'
import { afterProbe, initialState, nextAttempt, type ProbeKind, type ProbeState } from './machine.ts'

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
    let state = initialState(kind), extra = false, extras = 0
    const delay = startedAt + (probe.initialDelaySeconds ?? 0) * 1000 - clock.now()
    if (delay > 0 && !await this.#wait(delay)) return
    let periodBegan = clock.now()
    while (!signal.aborted) {
      if (!extra) { periodBegan = clock.now(); extras = 0 }
      const outcome = await this.#options.attempt(probe, kind).catch(error => ({ success: false, output: (error as Error).message }))
      if (signal.aborted) return
      if (!extra || outcome.success) {
        state = afterProbe(state, outcome.success, probe)
        if (!outcome.success) this.#options.unhealthy(kind, outcome.output)
        if (!go(state)) return
      }
      const next = nextAttempt(kind, state, probe, clock.now() - periodBegan, extras)
      if (next.extra) extras++
      extra = next.extra
      if (!await this.#wait(next.waitMs)) return
    }
  }

  async #wait(ms: number): Promise<boolean> {
    try { await this.#options.clock.sleep(ms, this.#options.signal); return true } catch { return false }
  }
}
