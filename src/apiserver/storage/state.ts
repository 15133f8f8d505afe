// The state machine under every storage that keeps its data in memory: the current entries in key
// order, and the latest events. Pure: it does not write to disk and wakes nobody.
import { CompactedError, type Entry, type ListResult, type StorageEvent, type Transaction, type Value } from './storage.ts'

/** Entries that share the first segment of their key (`pods`), sorted. */
interface Bucket { readonly keys: string[]; readonly entries: Map<string, Entry> }

export class State {
  revision = 0
  compactedRevision = 0
  readonly #buckets = new Map<string, Bucket>()
  // A ring would save the shifts; an array cut in large steps is as fast and simpler.
  #events: StorageEvent[] = []

  get(key: string): Entry | undefined {
    return this.#buckets.get(bucketName(key))?.entries.get(key)
  }

  get historyLength(): number { return this.#events.length }

  /** Applies the transaction as the next revision and returns its events; undefined when a compare fails. */
  apply(transaction: Transaction): StorageEvent[] | undefined {
    for (const { key, modRevision } of transaction.compares) {
      if ((this.get(key)?.modRevision ?? 0) !== modRevision) return undefined
    }
    const revision = this.revision + 1
    const events: StorageEvent[] = []
    for (const key of transaction.deletes ?? []) {
      const old = this.get(key)
      if (old) events.push({ revision, key, old, now: undefined })
    }
    for (const { key, value } of transaction.puts ?? []) {
      const old = this.get(key)
      const now = { key, value: stamped(value, revision), createRevision: old?.createRevision ?? revision, modRevision: revision }
      events.push({ revision, key, old, now })
    }
    if (events.length > 0) this.replay(revision, events)
    return events
  }

  /** Takes over events that were decided elsewhere: `apply` above, or a log that is read back. */
  replay(revision: number, events: readonly StorageEvent[]): void {
    for (const event of events) this.#set(event.key, event.now)
    this.#events.push(...events)
    this.revision = revision
  }

  /** Takes back the latest events, which a log failed to keep. */
  undo(events: readonly StorageEvent[]): void {
    for (const event of events.toReversed()) this.#set(event.key, event.old)
    this.#events.length -= events.length
    this.revision = (events[0]?.revision ?? this.revision + 1) - 1
  }

  /** An entry that was written before the history begins. */
  load(entry: Entry): void { this.#set(entry.key, entry) }

  list(prefix: string, { revision = this.revision, limit = Infinity, after = '' }: { revision?: number; limit?: number; after?: string } = {}): ListResult {
    const { keys, entries } = revision === this.revision
      ? this.#buckets.get(bucketName(prefix)) ?? { keys: [], entries: new Map<string, Entry>() }
      : this.#at(prefix, revision)
    const start = after > prefix ? position(keys, after + '\0') : position(keys, prefix)
    let end = start
    while (end < keys.length && end - start < limit && keys[end]!.startsWith(prefix)) end++
    let last = end
    while (last < keys.length && keys[last]!.startsWith(prefix)) last++
    return { entries: keys.slice(start, end).map(key => entries.get(key)!), revision, remaining: last - end }
  }

  /** The events after `revision`, oldest first. */
  since(revision: number): readonly StorageEvent[] {
    if (revision < this.compactedRevision) throw new CompactedError(revision, this.compactedRevision)
    let start = this.#events.length
    while (start > 0 && this.#events[start - 1]!.revision > revision) start--
    return this.#events.slice(start)
  }

  /** Forgets the history up to `revision` and returns it. */
  compact(revision: number): readonly StorageEvent[] {
    const upTo = Math.min(revision, this.revision)
    if (upTo <= this.compactedRevision) return []
    this.compactedRevision = upTo
    const keep = this.#events.findIndex(event => event.revision > upTo)
    return this.#events.splice(0, keep < 0 ? this.#events.length : keep)
  }

  /** The revision to compact to so that at most `length` events stay. */
  revisionToKeep(length: number): number {
    return this.#events.at(-length - 1)?.revision ?? this.compactedRevision
  }

  /** The bucket as it was: the current one with the later events undone. */
  #at(prefix: string, revision: number): Bucket {
    const now = this.#buckets.get(bucketName(prefix))
    const entries = new Map(now?.entries)
    for (const event of this.since(revision).toReversed()) {
      if (!event.key.startsWith(prefix)) continue
      if (event.old) entries.set(event.key, event.old)
      else entries.delete(event.key)
    }
    return { keys: [...entries.keys()].sort(), entries }
  }

  #set(key: string, entry: Entry | undefined): void {
    const name = bucketName(key)
    let bucket = this.#buckets.get(name)
    if (!bucket) this.#buckets.set(name, bucket = { keys: [], entries: new Map() })
    const { keys, entries } = bucket
    if (entry && !entries.has(key)) keys.splice(position(keys, key), 0, key)
    if (!entry && entries.has(key)) keys.splice(position(keys, key), 1)
    if (entry) entries.set(key, entry)
    else entries.delete(key)
  }
}

const bucketName = (key: string): string => {
  const slash = key.indexOf('/')
  return slash < 0 ? key : key.slice(0, slash)
}

/** The first index whose key is not below `key`. */
function position(keys: readonly string[], key: string): number {
  let low = 0, high = keys.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (keys[middle]! < key) low = middle + 1
    else high = middle
  }
  return low
}

function stamped(value: Value, revision: number): Value {
  const { metadata } = value as { metadata?: { resourceVersion?: string } }
  if (metadata) metadata.resourceVersion = String(revision)
  return deepFreeze(value)
}

export function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value
  Object.freeze(value)
  for (const key in value) deepFreeze(value[key])
  return value
}
