// One question put to upstreams until one of them answers: the next is asked when one fails, and also
// when one merely takes long, so that a dead upstream costs a moment and not a timeout. Whatever
// happens, it ends within `limit`: below the 5 s after which resolvers give up. Pure: time comes with Env.
import { failure, type Answer, type Env } from '../../plugin.ts'
import type { Query } from '../../query.ts'
import { answerOf, isTruncated } from './reply.ts'
import type { Asked, Upstream } from './upstream.ts'

/** Milliseconds for the whole question. */
export const limit = 3500
/** After so long without a reply the next upstream is asked as well, or the same again when there is no other. */
export const patience = 600
export const againAfter = 1200
/** Between rounds when all have failed at once. */
const pause = 200

export interface RaceOptions {
  readonly message: Buffer
  /** In the order they are asked; not empty. */
  readonly upstreams: readonly Upstream[]
  readonly tcp: boolean
  readonly readTimeout: number
  readonly maxAttempts: number
  readonly failover: ReadonlySet<number>
}
export interface Outcome { readonly answer: Answer; readonly upstream?: Upstream }

export function race(query: Query, options: RaceOptions, env: Env): Promise<Outcome> {
  return new Promise(resolve => new Race(query, options, { env, resolve }).begin())
}

class Race {
  readonly #query: Query
  readonly #options: RaceOptions
  readonly #env: Env
  readonly #resolve: (outcome: Outcome) => void
  readonly #most: number
  readonly #cancels = new Set<() => void>()
  #started = 0
  #open = 0
  #done = false
  #impatience = () => {}
  #why = 'no upstream answered'
  /** An answer that failover goes on from; it is given when nothing better comes. */
  #second: Outcome | undefined

  constructor(query: Query, options: RaceOptions, { env, resolve }: { env: Env; resolve: (outcome: Outcome) => void }) {
    this.#query = query
    this.#options = options
    this.#env = env
    this.#resolve = resolve
    const rounds = Math.max(3, options.upstreams.length)
    this.#most = options.maxAttempts > 0 ? Math.min(options.maxAttempts, rounds) : rounds
  }

  begin(): void {
    this.#cancels.add(this.#env.later(limit, () => this.#end(this.#second)))
    this.#attempt()
  }

  #end(outcome: Outcome | undefined): void {
    if (this.#done) return
    this.#done = true
    this.#impatience()
    for (const cancel of this.#cancels) cancel()
    this.#resolve(outcome ?? { answer: failure(`plugin/forward: ${this.#why}`) })
  }

  #attempt(): void {
    if (this.#done || this.#started >= this.#most) return
    const { upstreams, readTimeout } = this.#options
    const upstream = upstreams[this.#started % upstreams.length]!
    this.#started++
    this.#open++
    const begun = this.#env.now()
    let over = false
    const fail = (why: string) => {
      if (over || this.#done) return
      over = true
      this.#why = `${upstream.to}: ${why}`
      this.#failed(upstream)
    }
    const tooLate = this.#env.later(readTimeout, () => { forget(); fail('no answer in time') })
    this.#cancels.add(tooLate)
    const forget = this.#ask(upstream, this.#options.tcp, { fail, take: reply => {
      tooLate()
      if (over || this.#done) return
      over = true
      this.#open--
      this.#answered(reply, { upstream, ms: this.#env.now() - begun, fail: why => { over = false; this.#open++; fail(why) } })
    } })
    this.#waitNoLonger(upstream)
  }

  #ask(upstream: Upstream, tcp: boolean, { fail, take }: { fail: (why: string) => void; take: (reply: Buffer) => void }): () => void {
    const asked: Asked = upstream.link.ask(this.#options.message, tcp)
    const forget = () => { asked.cancel(); this.#cancels.delete(forget) }
    this.#cancels.add(forget)
    asked.reply.then(reply => {
      this.#cancels.delete(forget)
      if (this.#done || tcp || !isTruncated(reply)) { take(reply); return }
      // Cut: the whole of it comes over TCP (RFC 7766 5). If that fails the asker gets what there is, with TC.
      this.#ask(upstream, true, { take, fail: () => take(reply) })
    }, (error: Error) => { this.#cancels.delete(forget); fail(error.message) })
    return forget
  }

  /** The next one is asked too when this one takes long. */
  #waitNoLonger(upstream: Upstream): void {
    this.#impatience()
    const isOther = this.#started < this.#options.upstreams.length
    this.#impatience = this.#env.later(isOther ? patience : againAfter, () => {
      upstream.unanswered()
      this.#attempt()
    })
  }

  #failed(upstream: Upstream): void {
    this.#open--
    upstream.unanswered()
    if (this.#started < this.#most) {
      if (this.#started < this.#options.upstreams.length) this.#attempt()
      else if (this.#open === 0) this.#cancels.add(this.#env.later(pause, () => { if (this.#open === 0) this.#attempt() }))
    } else if (this.#open === 0) this.#end(this.#second)
  }

  #answered(reply: Buffer, { upstream, ms, fail }: { upstream: Upstream; ms: number; fail: (why: string) => void }): void {
    const answer = answerOf(reply, this.#query)
    if (!answer) { fail('a malformed reply'); return }
    upstream.answered(answer.rcode, ms)
    const outcome = { answer, upstream }
    if (!this.#options.failover.has(answer.rcode)) { this.#end(outcome); return }
    this.#second = outcome
    if (this.#started < this.#options.upstreams.length && this.#started < this.#most) this.#attempt()
    else if (this.#open === 0) this.#end(outcome)
  }
}
