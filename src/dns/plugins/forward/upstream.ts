// One upstream as the forwarder sees it: whether it is believed to answer, and the probes that find
// out. The sockets are behind `Link`. Pure: time comes with Env.
import type { Env } from '../../plugin.ts'
import { rcodeName } from '../../wire/types.ts'

export interface Asked {
  /** The reply to this very question, its id checked; rejects with what the network said. */
  readonly reply: Promise<Buffer>
  /** Nobody waits any longer. */
  cancel(): void
}
/** The connections to one upstream. */
export interface Link {
  /** `dns`: over UDP, or TCP when asked for; `tls`: always over TLS. The message's id is chosen anew. */
  ask(message: Buffer, tcp: boolean): Asked
  close(): void
}

/** How long a probe may take. */
const probeTimeout = 1000

export interface UpstreamOptions {
  readonly to: string
  readonly link: Link
  readonly probe: Buffer
  readonly interval: number
  readonly maxFails: number
  readonly tcp: boolean
}

const buckets = Array.from({ length: 16 }, (_, i) => 0.00025 * 2 ** i)

export class Upstream {
  readonly to: string
  readonly link: Link
  /** Something was not answered, and nothing since: others are asked first. */
  suspect = false
  readonly #options: UpstreamOptions
  readonly #env: Env
  #fails = 0
  #stop: (() => void) | undefined
  #closed = false

  constructor(options: UpstreamOptions, env: Env) {
    this.to = options.to
    this.link = options.link
    this.#options = options
    this.#env = env
  }

  get isDown(): boolean { return this.#options.maxFails > 0 && this.#fails > this.#options.maxFails }

  answered(rcode: number, ms: number): void {
    this.suspect = false
    this.#env.metrics.histogram('coredns_proxy_request_duration_seconds', 'Histogram of the time each request took.', ['proxy_name', 'to', 'rcode'], buckets)
      .with('forward', this.to, rcodeName(rcode)).observe(ms / 1000)
  }

  /** A query was not answered: is anybody there? Probes until one is answered. */
  unanswered(): void {
    this.suspect = true
    if (this.#options.maxFails > 0 && !this.#stop && !this.#closed) this.#probe()
  }

  #probe(): void {
    const asked = this.#options.link.ask(this.#options.probe, this.#options.tcp)
    const ended = (healthy: boolean) => {
      this.#stop?.()
      if (this.#closed) return
      if (healthy) {
        if (this.isDown) this.#env.log.info('the upstream answers again', { upstream: this.to })
        this.#fails = 0
        this.suspect = false
        this.#stop = undefined
        return
      }
      this.#fails++
      if (this.isDown && this.#fails === this.#options.maxFails + 1) this.#env.log.warn('the upstream does not answer and is passed over until it does', { upstream: this.to })
      this.#env.metrics.counter('coredns_proxy_healthcheck_failures_total', 'Counter of the number of failed healthchecks.', ['proxy_name', 'to']).with('forward', this.to).inc()
      this.#stop = this.#env.later(this.#options.interval, () => this.#probe())
    }
    this.#stop = this.#env.later(probeTimeout, () => { asked.cancel(); ended(false) })
    asked.reply.then(() => ended(true), () => { if (!this.#closed) ended(false) })
  }

  close(): void {
    this.#closed = true
    this.#stop?.()
    this.link.close()
  }
}
