// Gives out places in an array that programs read without locks: what was freed rests for a while
// before it is given out again, so that a program in the middle of reading it finds it unchanged. Pure;
// the time is the caller's.

interface Freed { readonly base: number; readonly at: number }

export class ArrayFull extends Error {}

export class Ranges {
  readonly #limit: number
  readonly #restMs: number
  /** By size, oldest first. */
  readonly #freed = new Map<number, Freed[]>()
  #used = 0

  constructor(limit: number, restMs: number) { this.#limit = limit; this.#restMs = restMs }

  /** `count` places in a row. */
  take(count: number, now: number): number {
    const size = sizeClass(count)
    const freed = this.#freed.get(size)
    if (freed?.[0] && now - freed[0].at >= this.#restMs) return freed.shift()!.base
    if (this.#used + size > this.#limit) throw new ArrayFull(`${this.#used} of ${this.#limit} places are in use`)
    this.#used += size
    return this.#used - size
  }

  give(base: number, count: number, now: number): void {
    const size = sizeClass(count)
    const freed = this.#freed.get(size)
    if (freed) freed.push({ base, at: now })
    else this.#freed.set(size, [{ base, at: now }])
  }
}

/** Powers of two and the middle between them: few sizes, so that what is freed fits again. */
export function sizeClass(count: number): number {
  if (count <= 2) return Math.max(count, 1)
  const power = 2 ** Math.ceil(Math.log2(count))
  return count <= power * 3 / 4 ? power * 3 / 4 : power
}
