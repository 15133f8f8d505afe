// What we wrote and the informer has not shown yet (client-go's MutationCache), so that a second
// sync within the same millisecond neither conflicts with the first nor creates anything twice.
import { keyOf, type KubeObject } from '#api/object.ts'

export class Writes<T extends KubeObject> {
  readonly #written = new Map<string, T>()
  readonly #removed = new Set<string>() // UIDs

  /** `shown` is what the informer has now: it may have been faster than the answer to our request. */
  wrote(object: T, shown: T | undefined): void {
    if (!shown || version(shown) < version(object)) this.#written.set(keyOf(object), object)
  }
  /** Also for what turned out to be gone when we tried to change it. */
  removed(object: T): void {
    this.#removed.add(object.metadata.uid!)
    this.#written.delete(keyOf(object))
  }

  /** To be called for each change the informer shows. */
  seen(old: T | undefined, now: T | undefined): void {
    if (!now) this.#removed.delete(old!.metadata.uid!)
    const object = (now ?? old)!, written = this.#written.get(keyOf(object))
    // Versions of one server are numbers that rise (KEP-5504); a deletion has the last word.
    if (written && (!now || version(now) >= version(written))) this.#written.delete(keyOf(object))
  }

  /** The informer's objects with our writes applied; `belongs` says which of the written ones were asked for. */
  over(shown: readonly T[], belongs: (object: T) => boolean): T[] {
    if (this.#written.size === 0 && this.#removed.size === 0) return [...shown]
    const result = new Map(shown.filter(object => !this.#removed.has(object.metadata.uid!)).map(object => [keyOf(object), object]))
    for (const [key, object] of this.#written) if (belongs(object)) result.set(key, object)
    return [...result.values()]
  }
}

const version = (object: KubeObject) => BigInt(object.metadata.resourceVersion ?? '0')
