// What an informer holds: objects by key, their indexes, and the handlers to call. Synchronous:
// when a handler runs, the copy and its indexes already show the change.
import { keyOf, type KubeObject } from '#api/object.ts'

export interface Handler<T> {
  /** Called for every addition, change and deletion; `old` is undefined for an addition, `now` for a deletion. */
  (change: { readonly old: T | undefined; readonly now: T | undefined }): void
}

interface Index<T> { readonly values: (object: T) => string[]; readonly entries: Map<string, Map<string, T>> }

export class Store<T extends KubeObject> {
  readonly #objects = new Map<string, T>()
  readonly #indexes = new Map<string, Index<T>>()
  readonly #handlers: Handler<T>[] = []
  readonly #onError: (error: unknown) => void

  constructor(onError: (error: unknown) => void) { this.#onError = onError }

  get(key: string): T | undefined { return this.#objects.get(key) }
  list(): T[] { return [...this.#objects.values()] }

  byIndex(name: string, value: string): T[] {
    const index = this.#indexes.get(name)
    if (!index) throw new Error(`no index ${name}: addIndex makes one`)
    return [...index.entries.get(value)?.values() ?? []]
  }
  /** An index that exists already keeps its function: those who share an informer agree on names. */
  addIndex(name: string, values: (object: T) => string[]): void {
    if (this.#indexes.has(name)) return
    const index: Index<T> = { values, entries: new Map() }
    this.#indexes.set(name, index)
    for (const [key, object] of this.#objects) enter(index, key, object)
  }

  onChange(handler: Handler<T>): void {
    this.#handlers.push(handler)
    for (const now of this.list()) this.#call(handler, undefined, now)
  }

  set(now: T): void {
    const key = keyOf(now)
    const old = this.#objects.get(key)
    if (old && old.metadata.resourceVersion === now.metadata.resourceVersion) return
    // Deleted and made again while nobody watched: two objects, and so two changes.
    if (old && old.metadata.uid !== now.metadata.uid) { this.delete(old); return this.set(now) }
    this.#objects.set(key, now)
    for (const index of this.#indexes.values()) {
      if (old) leave(index, key, old)
      enter(index, key, now)
    }
    for (const handler of this.#handlers) this.#call(handler, old, now)
  }

  delete(object: T): void {
    const key = keyOf(object)
    const old = this.#objects.get(key)
    if (!old) return
    this.#objects.delete(key)
    for (const index of this.#indexes.values()) leave(index, key, old)
    for (const handler of this.#handlers) this.#call(handler, old, undefined)
  }

  /** Makes the copy equal to a whole list, by the changes that lead there. */
  replace(items: readonly T[]): void {
    const keys = new Set(items.map(keyOf))
    for (const [key, object] of [...this.#objects]) if (!keys.has(key)) this.delete(object)
    for (const item of items) this.set(item)
  }

  #call(handler: Handler<T>, old: T | undefined, now: T | undefined): void {
    try { handler({ old, now }) } catch (error) { this.#onError(error) }
  }
}

function enter<T>(index: Index<T>, key: string, object: T): void {
  for (const value of index.values(object)) {
    const entry = index.entries.get(value)
    if (entry) entry.set(key, object)
    else index.entries.set(value, new Map([[key, object]]))
  }
}

function leave<T>(index: Index<T>, key: string, object: T): void {
  for (const value of index.values(object)) {
    const entry = index.entries.get(value)
    entry?.delete(key)
    if (entry?.size === 0) index.entries.delete(value)
  }
}
