// The queries of one route: which upstreams they go to and in which order, equal ones together, and
// no more at once than allowed. Pure: sockets come as Link.
import { failure, isPacked, refused, type Answer, type Env } from '../../plugin.ts'
import { unpack } from '../../answer.ts'
import type { Query } from '../../query.ts'
import type { Route } from './config.ts'
import { keyOf, outgoing } from './reply.ts'
import { limit, race, type Outcome } from './race.ts'
import type { Upstream } from './upstream.ts'

export class Forwarder {
  readonly #route: Route
  readonly #upstreams: readonly Upstream[]
  readonly #env: Env
  readonly #flying = new Map<string, { readonly query: Query; readonly outcome: Promise<Outcome> }>()
  #turn = 0
  #active = 0
  #idle: (() => void) | undefined

  constructor(route: Route, upstreams: readonly Upstream[], env: Env) {
    this.#route = route
    this.#upstreams = upstreams
    this.#env = env
  }

  /** A Promise, but for what is refused at once. */
  ask(query: Query): Answer | Promise<Answer> {
    const { maxConcurrent } = this.#route
    if (maxConcurrent > 0 && this.#active >= maxConcurrent) {
      this.#env.metrics.counter('coredns_forward_max_concurrent_rejects_total', 'Counter of the number of queries rejected because the concurrent queries were at maximum.').with().inc()
      return { ...refused, error: `plugin/forward: concurrent queries exceeded maximum ${maxConcurrent}` }
    }
    if (this.#upstreams.length === 0) return failure("plugin/forward: the file that 'forward' reads names no nameserver")
    const message = outgoing(query), key = keyOf(query, message)
    const same = this.#flying.get(key)
    this.#active++
    const outcome = same?.outcome ?? this.#start(query, message, key)
    return outcome.then(({ answer, upstream }) => {
      this.#active--
      if (this.#active === 0) this.#idle?.()
      query.addMetadata('forward/upstream', () => upstream?.to ?? '')
      // Records carry the case of the one who asked first; a packed answer carries nobody's.
      return same && !isPacked(answer) ? unpack(answer, same.query) : answer
    })
  }

  #start(query: Query, message: Buffer, key: string): Promise<Outcome> {
    const upstreams = this.#order()
    if (!upstreams) return Promise.resolve({ answer: failure('plugin/forward: no healthy upstream') })
    const { readTimeout, maxAttempts, failover, forceTcp } = this.#route
    const outcome = race(query, { message, upstreams, tcp: forceTcp, readTimeout, maxAttempts, failover }, this.#env).finally(() => this.#flying.delete(key))
    this.#flying.set(key, { query, outcome })
    return outcome
  }

  /** Those that are down are left out, those that may be come last. All down: health checks are not believed. */
  #order(): Upstream[] | undefined {
    const all = this.#byPolicy(this.#upstreams)
    const up = all.filter(upstream => !upstream.isDown)
    if (up.length) return up.some(({ suspect }) => suspect) ? [...up.filter(({ suspect }) => !suspect), ...up.filter(({ suspect }) => suspect)] : up
    if (this.#route.failFast) return undefined
    this.#env.metrics.counter('coredns_forward_healthcheck_broken_total', 'Counter of the number of complete failures of the healthchecks.').with().inc()
    return all
  }
  #byPolicy(upstreams: readonly Upstream[]): Upstream[] {
    if (upstreams.length < 2 || this.#route.policy === 'sequential') return [...upstreams]
    const first = this.#route.policy === 'round_robin' ? this.#turn++ % upstreams.length : Math.floor(this.#env.random() * upstreams.length)
    const rest = upstreams.toSpliced(first, 1)
    if (this.#route.policy === 'round_robin') return [...upstreams.slice(first), ...upstreams.slice(0, first)]
    for (let i = rest.length - 1; i > 0; i--) {
      const j = Math.floor(this.#env.random() * (i + 1))
      ;[rest[i], rest[j]] = [rest[j]!, rest[i]!]
    }
    return [upstreams[first]!, ...rest]
  }

  /** What is under way is answered first: it takes no longer than a query may. */
  async close(): Promise<void> {
    if (this.#active > 0) {
      await new Promise<void>(resolve => {
        const stop = this.#env.later(limit, resolve)
        this.#idle = () => { stop(); resolve() }
      })
    }
    for (const upstream of this.#upstreams) upstream.close()
  }
}
