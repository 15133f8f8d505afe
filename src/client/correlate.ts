// client-go's EventCorrelator as a value with a clock handed in: the same event again becomes a
// count, many alike become one "(combined from similar events)", and a source that floods is cut
// off. Decides only; events.ts writes.
import type { Event } from '#api/core/v1.ts'

/** What becomes of an event: a new object, a new count on one that exists, or nothing. */
export type Correlated = { readonly act: 'create' | 'update'; readonly event: Event } | { readonly act: 'drop' }

const maxEntries = 4096
const similarLimit = 10, similarWindowMs = 600_000
const burst = 25, tokensPerMs = 1 / 300_000

interface Seen { readonly name: string; readonly namespace: string; readonly count: number; readonly firstTimestamp: string | undefined }
interface Similar { readonly messages: Set<string>; last: number }
interface Bucket { tokens: number; at: number }

export class EventCorrelator {
  readonly #seen = new Map<string, Seen>()
  readonly #similar = new Map<string, Similar>()
  readonly #buckets = new Map<string, Bucket>()

  correlate(event: Event, now: number): Correlated {
    const { message, key } = this.#aggregate(event, now)
    if (!this.#allow(event, now)) return { act: 'drop' }
    const seen = this.#seen.get(key)
    const next: Event = { ...event, message, count: (seen?.count ?? 0) + 1,
      ...(seen && { firstTimestamp: seen.firstTimestamp, metadata: { ...event.metadata, name: seen.name, namespace: seen.namespace } }) }
    remember(this.#seen, key, { name: next.metadata.name, namespace: next.metadata.namespace ?? '', count: next.count!, firstTimestamp: next.firstTimestamp })
    return { act: seen ? 'update' : 'create', event: next }
  }

  /** The object that counted this event is gone from the server: the next one is a new one. */
  forget(event: Event): void {
    for (const [key, seen] of this.#seen) if (seen.name === event.metadata.name && seen.namespace === event.metadata.namespace) this.#seen.delete(key)
  }

  // EventAggregator: more than ten messages of one reason about one object within ten minutes share one event.
  #aggregate(event: Event, now: number): { message: string; key: string } {
    const group = sourceKey(event) + objectKey(event) + [event.type, event.reason, event.reportingComponent].join(' ')
    const known = this.#similar.get(group)
    const similar = known && now - known.last <= similarWindowMs ? known : { messages: new Set<string>(), last: now }
    similar.messages.add(event.message ?? '')
    similar.last = now
    remember(this.#similar, group, similar)
    if (similar.messages.size < similarLimit) return { message: event.message ?? '', key: `${group} ${event.message}` }
    if (similar.messages.size > similarLimit) similar.messages.delete(similar.messages.values().next().value!)
    return { message: `(combined from similar events): ${event.message}`, key: group }
  }

  // EventSourceObjectSpamFilter: 25 at once for a source and an object, then one each five minutes.
  #allow(event: Event, now: number): boolean {
    const key = sourceKey(event) + objectKey(event)
    const known = this.#buckets.get(key) ?? { tokens: burst, at: now }
    const tokens = Math.min(burst, known.tokens + (now - known.at) * tokensPerMs)
    remember(this.#buckets, key, { tokens: Math.max(0, tokens >= 1 ? tokens - 1 : tokens), at: now })
    return tokens >= 1
  }
}

const sourceKey = ({ source }: Event) => `${source?.component}/${source?.host ?? ''} `
const objectKey = ({ involvedObject: o }: Event) => `${o.apiVersion}/${o.kind}/${o.namespace ?? ''}/${o.name}/${o.uid ?? ''}/${o.fieldPath ?? ''} `

/** A map that forgets what was used longest ago. */
function remember<V>(map: Map<string, V>, key: string, value: V): void {
  map.delete(key)
  map.set(key, value)
  if (map.size > maxEntries) map.delete(map.keys().next().value!)
}
