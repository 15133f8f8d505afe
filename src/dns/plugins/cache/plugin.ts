// cache: keeps what had to be waited for: the answers of `forward`. What is known here already
// (kubernetes, hosts, file, template) is never kept, and so never stale.
import { after, type Answer, type Env, type Packed, type Plugin, type Result, type Serve } from '../../plugin.ts'
import type { Counter } from '../../metrics/registry.ts'
import type { Query } from '../../query.ts'
import { isBelow, showName, type Name } from '../../wire/name.ts'
import { flags, rcodes } from '../../wire/types.ts'
import { parse, type Options } from './config.ts'
import { entryOf, type Entry } from './entry.ts'
import { Store } from './store.ts'

/** EDNS Client Subnet: such answers are for that subnet only (RFC 7871 7.3). */
const clientSubnet = 8
const inZones = (zones: readonly Name[], query: Query) => zones.some(zone => isBelow(query.name, zone))

/** Counts in the series of a server; a block has one or few. */
function lastOf(seriesOf: (server: string) => Counter): (server: string) => void {
  let last: string | undefined, series: Counter | undefined
  return server => {
    if (server !== last || !series) { series = seriesOf(server); last = server }
    series.inc()
  }
}

class Cache {
  readonly #options: Options
  readonly #env: Env
  readonly #next: Serve
  readonly #success: Store<Entry>
  readonly #denial: Store<Entry>
  /** Queries that another query of ours was made of: the answer is composed from several, by a plugin that knows (ExternalName, CNAMEs of a zone file). */
  readonly #composed = new WeakSet<Query>()
  readonly #zonesLabel: string
  readonly #typed: Record<'hits' | 'evictions', Record<'success' | 'denial', (server: string) => void>>
  readonly #count: Record<'requests' | 'misses' | 'prefetch' | 'served_stale', (server: string) => void>

  constructor(options: Options, env: Env, next: Serve) {
    this.#options = options
    this.#env = env
    this.#next = next
    this.#success = new Store(options.success.capacity)
    this.#denial = new Store(options.denial.capacity)
    this.#zonesLabel = options.zones.map(showName).join(',')
    const counter = (what: string, help: string) => {
      const family = env.metrics.counter(`coredns_cache_${what}_total`, help, ['server', 'zones', 'view'])
      return lastOf(server => family.with(server, this.#zonesLabel, env.block.view))
    }
    const typed = (what: string, type: string) => {
      const family = env.metrics.counter(`coredns_cache_${what}_total`, `The count of cache ${what}.`, ['server', 'type', 'zones', 'view'])
      return lastOf(server => family.with(server, type, this.#zonesLabel, env.block.view))
    }
    this.#typed = { hits: { success: typed('hits', 'success'), denial: typed('hits', 'denial') }, evictions: { success: typed('evictions', 'success'), denial: typed('evictions', 'denial') } }
    this.#count = {
      requests: counter('requests', 'The count of cache requests.'), misses: counter('misses', 'The count of cache misses. Deprecated, derive misses from cache hits/requests counters.'),
      prefetch: counter('prefetch', 'The number of times the cache has prefetched a cached item.'), served_stale: counter('served_stale', 'The number of requests served from stale cache entries.'),
    }
  }

  serve(query: Query): Result {
    for (let from = query.from; from; from = from.from) this.#composed.add(from)
    if (!inZones(this.#options.zones, query) || hasSubnet(query)) return this.#next(query)
    this.#count.requests(query.server)
    const key = keyOf(query), positive = this.#success.get(key), negative = this.#denial.get(key)
    if (!positive && !negative) return this.#fetch(query, key)
    const now = this.#env.now()
    const { stale } = this.#options
    const isUsable = (entry: Entry | undefined): entry is Entry => entry !== undefined && stale !== undefined && now < entry.expires + stale.for
    const fresh = positive && now < positive.expires ? positive : negative && now < negative.expires ? negative : undefined
    // An old answer is better than a failure that was kept.
    if (fresh && !(fresh.kind === 'servfail' && isUsable(positive))) return this.#hit(query, fresh, { key, now })
    const old = isUsable(positive) ? positive : isUsable(negative) && negative.kind === 'denial' ? negative : undefined
    return old ? this.#stale(query, old, key) : this.#fetch(query, key)
  }

  #hit(query: Query, entry: Entry, { key, now }: { key: string; now: number }): Answer {
    const { prefetch, keepTtl } = this.#options
    const remaining = Math.max(1, Math.ceil((entry.expires - now) / 1000))
    entry.used = true
    this.#counted('hits', entry, query.server)
    if (prefetch) {
      entry.hits = entry.hits > 0 && now - entry.lastHit > prefetch.gap ? 1 : entry.hits + 1
      entry.lastHit = now
      const threshold = Math.max(1, Math.ceil(entry.ttl * prefetch.percent / 100))
      if (entry.hits >= prefetch.amount && remaining <= threshold && !entry.isRefreshing) {
        this.#count.prefetch(query.server)
        this.#refresh(query, entry, key)
      }
    }
    return forAsker(entry.show(keepTtl ? entry.ttl : remaining), query)
  }

  /** In the background; what is kept stays when it fails. */
  #refresh(query: Query, entry: Entry, key: string): void {
    entry.isRefreshing = true
    const done = () => { entry.isRefreshing = false }
    const result = this.#fetch(query.carrying(query.message), key, entry)
    if (result instanceof Promise) result.then(done, done)
    else done()
  }

  #stale(query: Query, entry: Entry, key: string): Result {
    const { verify, timeout } = this.#options.stale!
    const old = () => {
      this.#count.served_stale(query.server)
      this.#counted('hits', entry, query.server)
      entry.used = true
      return forAsker(entry.show(0), query)
    }
    if (!verify) {
      if (!entry.isRefreshing) this.#refresh(query, entry, key)
      return old()
    }
    const result = this.#fetch(query, key, entry)
    const judged = after(result, answer => answer.rcode === rcodes.NOERROR || answer.rcode === rcodes.NXDOMAIN ? answer : old())
    if (!(judged instanceof Promise) || timeout === 0) return judged
    return new Promise((resolve, reject) => {
      const stop = this.#env.later(timeout, () => resolve(old()))
      judged.then(resolve, reject).finally(stop)
    })
  }

  #fetch(query: Query, key: string, before?: Entry): Result {
    this.#count.misses(query.server)
    const result = this.#next(query)
    return result instanceof Promise ? result.then(answer => this.#keep(query, answer, { key, before })) : result
  }

  #keep(query: Query, answer: Answer, { key, before }: { key: string; before: Entry | undefined }): Answer {
    if (query.reached !== 'forward' || this.#composed.has(query) || this.#env.peers().some(peer => peer.owns?.(query))) return answer
    const entry = entryOf(answer, query, { options: this.#options, now: this.#env.now() })
    if (!entry) return answer
    const isSuccess = entry.kind === 'success'
    const disabled = isSuccess ? this.#options.disabled.success : this.#options.disabled.denial
    if (inZones(disabled, query)) return answer
    const [store, other] = isSuccess ? [this.#success, this.#denial] : [this.#denial, this.#success]
    if (before) { entry.hits = before.hits; entry.lastHit = before.lastHit }
    const evictions = store.evictions
    store.set(key, entry)
    if (entry.kind !== 'servfail') other.delete(key)
    if (store.evictions > evictions) this.#counted('evictions', entry, query.server)
    this.#measure(query.server)
    // The asker sees the time that we keep it for, not one and then suddenly another.
    return entry.kind === 'servfail' ? answer : forAsker(entry.show(entry.ttl), query)
  }

  #counted(what: 'hits' | 'evictions', { kind }: Entry, server: string): void {
    this.#typed[what][kind === 'success' ? 'success' : 'denial'](server)
  }
  #measure(server: string): void {
    const family = this.#env.metrics.gauge('coredns_cache_entries', 'The number of elements in the cache.', ['server', 'type', 'zones', 'view'])
    family.with(server, 'success', this.#zonesLabel, this.#env.block.view).set(this.#success.size)
    family.with(server, 'denial', this.#zonesLabel, this.#env.block.view).set(this.#denial.size)
  }
}

function hasSubnet({ edns, end, message }: Query): boolean {
  return edns !== undefined && message.length > end + 11 && edns.options.some(({ code }) => code === clientSubnet)
}

/** The question, and whether DNSSEC records are wanted and whether they are to be checked. */
function keyOf(query: Query): string {
  const variant = (query.dnssec ? 1 : 0) | (query.flags & flags.CD ? 2 : 0)
  return variant === 0 ? query.key : query.key + variant
}

/** AD only for those who would understand it (RFC 6840 5.7). */
function forAsker(packed: Packed, query: Query): Packed {
  if (!(packed.flags & flags.AD) || query.dnssec || query.flags & flags.AD) return packed
  return { ...packed, flags: packed.flags & ~flags.AD }
}

export const plugin: Plugin<Options> = {
  name: 'cache',
  parse,
  setup: (options, env) => ({
    name: 'cache',
    serve(next) {
      const cache = new Cache(options, env, next)
      return query => cache.serve(query)
    },
  }),
}
