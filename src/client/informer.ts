// client-go's shared informer: a local, always current copy of one resource, and a call for each
// change. Lists once, watches on, and heals by itself: a lost watch resumes from the last version, an
// expired one (410) relists without ever emptying the copy.
import type { KubeObject } from '#api/object.ts'

export interface Handler<T> {
  /** Called for every addition, change and deletion; `old` is undefined for an addition, `now` for a deletion. */
  (change: { readonly old: T | undefined; readonly now: T | undefined }): void
}

export interface Informer<T extends KubeObject> {
  /** By `namespace/name` (or `name`). */
  get(key: string): T | undefined
  list(): T[]
  /** Objects under an index that `addIndex` made. */
  byIndex(name: string, value: string): T[]
  addIndex(name: string, values: (object: T) => string[]): void
  /** Adds a handler; it is called for what is already here as additions. */
  onChange(handler: Handler<T>): void
  /** Resolves once the first list is complete and its handlers have run. */
  readonly synced: Promise<void>
}
