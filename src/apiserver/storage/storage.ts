// What the API server asks of a storage: etcd's semantics in the smallest interface. One global
// revision counts writes; a transaction compares and writes several keys at once; a watch gets every
// event in order. Separate so that the verbs never know which implementation they run on.
// Reads are synchronous: an implementation over a network keeps a copy, as upstream's watch cache does.

/** A JSON object, frozen once stored. */
export type Value = object

export interface Entry {
  readonly key: string
  readonly value: Value
  readonly createRevision: number
  /** The revision of the transaction that wrote this value. */
  readonly modRevision: number
}

/** One changed key. `old` is undefined for a new key, `now` for a deleted one. */
export interface StorageEvent {
  readonly revision: number
  readonly key: string
  readonly old: Entry | undefined
  readonly now: Entry | undefined
}

/** The key's current modRevision must be this; 0 means that the key must not exist (as in etcd). */
export interface Compare { readonly key: string; readonly modRevision: number }

export interface Transaction {
  readonly compares: readonly Compare[]
  /**
   * The storage takes the values over: it sets `metadata.resourceVersion` to the transaction's revision
   * where there is a metadata, and freezes them deeply.
   */
  readonly puts?: readonly { readonly key: string; readonly value: Value }[]
  readonly deletes?: readonly string[]
}

/** `revision` is the transaction's own, or the current one when a compare failed and nothing was written. */
export interface TransactionResult { readonly succeeded: boolean; readonly revision: number; readonly events: readonly StorageEvent[] }

export interface ListResult {
  readonly entries: readonly Entry[]
  /** The snapshot that was read: pass it with `after` to read on consistently. */
  readonly revision: number
  /** How many keys follow the last entry returned. */
  readonly remaining: number
}

export interface Storage {
  /** Of the last transaction whose promise resolved or is about to; what `get` and `list` read. */
  readonly revision: number
  /** History up to this revision is gone: `list` at and `watch` from an earlier one throw CompactedError. */
  readonly compactedRevision: number
  get(key: string): Entry | undefined
  /** Entries whose key starts with `prefix` (which names at least a whole first segment: `pods/`), in the order of keys. */
  list(prefix: string, options?: { readonly revision?: number; readonly limit?: number; readonly after?: string }): ListResult
  /** Resolves once the write is durable; only then do reads and watches see it. */
  transact(transaction: Transaction): Promise<TransactionResult>
  /**
   * Calls `listener` with all events after `fromRevision` in order: at once with those of the past, then
   * after each commit. Returns the function that stops it.
   */
  watch(prefix: string, fromRevision: number, listener: (events: readonly StorageEvent[]) => void): () => void
  /** Forgets the history up to and including `revision`. */
  compact(revision: number): Promise<void>
  close(): Promise<void>
}

export class CompactedError extends Error {
  readonly compactedRevision: number
  constructor(revision: number, compactedRevision: number) {
    super(`revision ${revision} has been compacted; history starts after ${compactedRevision}`)
    this.name = 'CompactedError'
    this.compactedRevision = compactedRevision
  }
}

/** Events kept for watches that come back; older ones are compacted by count, and by the server by age. */
export const maxHistory = 10_000
