// Entries up to a number, by the question's key. Full, it gives up what was not asked for since the
// hand last passed (the CLOCK algorithm): an entry costs a bit, an eviction a step or two.

interface Used { used: boolean }

export class Store<Entry extends Used> {
  readonly #capacity: number
  readonly #entries = new Map<string, Entry>()
  #hand: MapIterator<[string, Entry]> = this.#entries.entries()
  evictions = 0

  constructor(capacity: number) { this.#capacity = capacity }

  get size(): number { return this.#entries.size }
  get(key: string): Entry | undefined { return this.#entries.get(key) }
  delete(key: string): boolean { return this.#entries.delete(key) }

  set(key: string, entry: Entry): void {
    if (!this.#entries.has(key) && this.#entries.size >= this.#capacity) this.#evict()
    this.#entries.set(key, entry)
  }

  #evict(): void {
    // At most one round clears all marks, so this ends.
    for (;;) {
      const { value } = this.#hand.next()
      if (!value) { this.#hand = this.#entries.entries(); continue }
      const [key, entry] = value
      if (entry.used) { entry.used = false; continue }
      this.#entries.delete(key)
      this.evictions++
      return
    }
  }
}
