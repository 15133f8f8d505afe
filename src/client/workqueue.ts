// client-go's work queue: a key that is added while it waits is there once; one that is added while
// a worker has it comes again when the worker is done. So no two workers ever have the same key.
import { systemClock, type Clock } from '#lib/clock.ts'
import { isConflict } from '#lib/errors.ts'
import type { Log } from '#lib/log.ts'

export interface WorkQueueOptions {
  readonly clock?: Clock
  /** Delay after the first failure of a key, in ms; doubles with each. */
  readonly baseDelay?: number
  readonly maxDelay?: number
}

interface Waiting { readonly at: number; readonly cancel: AbortController }

export class WorkQueue<Key = string> {
  readonly #ready = new Set<Key>() // insertion order is the order of work
  readonly #processing = new Set<Key>()
  readonly #again = new Set<Key>()
  readonly #later = new Map<Key, Waiting>()
  readonly #failures = new Map<Key, number>()
  readonly #workers: ((key: Key | undefined) => void)[] = []
  readonly #clock: Clock
  readonly #baseDelay: number
  readonly #maxDelay: number
  #down = false

  constructor(options: WorkQueueOptions = {}) {
    this.#clock = options.clock ?? systemClock
    this.#baseDelay = options.baseDelay ?? 5
    this.#maxDelay = options.maxDelay ?? 1_000_000
  }

  get length(): number { return this.#ready.size }
  get isShutDown(): boolean { return this.#down }

  add(key: Key): void {
    if (this.#down) return
    if (this.#processing.has(key)) { this.#again.add(key); return }
    const worker = this.#workers.shift()
    if (!worker) { this.#ready.add(key); return }
    this.#processing.add(key)
    worker(key)
  }

  /** Adds after `ms`; of several waits of one key the shortest counts. */
  addAfter(key: Key, ms: number): void {
    if (this.#down) return
    if (ms <= 0) return this.add(key)
    const at = this.#clock.now() + ms
    const known = this.#later.get(key)
    if (known && known.at <= at) return
    known?.cancel.abort()
    const cancel = new AbortController()
    this.#later.set(key, { at, cancel })
    // A timer holds at most 2^31 ms; a key that comes early is harmless.
    this.#clock.sleep(Math.min(ms, 0x7fffffff), cancel.signal).then(() => {
      this.#later.delete(key)
      this.add(key)
    }, () => {}) // only ever rejected by the abort
  }

  /** Adds again after the key's failures' delay: 5 ms, 10 ms, 20 ms, ... */
  addRateLimited(key: Key): void {
    const failures = this.#failures.get(key) ?? 0
    this.#failures.set(key, failures + 1)
    this.addAfter(key, Math.min(this.#baseDelay * 2 ** Math.min(failures, 50), this.#maxDelay))
  }
  forget(key: Key): void { this.#failures.delete(key) }
  failures(key: Key): number { return this.#failures.get(key) ?? 0 }

  /** The next key, which the caller must hand back with `done`; undefined once the queue is shut down. */
  get(): Promise<Key | undefined> {
    const [key] = this.#ready
    if (this.#ready.size > 0 && !this.#down) {
      this.#ready.delete(key!)
      this.#processing.add(key!)
      return Promise.resolve(key)
    }
    return this.#down ? Promise.resolve(undefined) : new Promise(resolve => { this.#workers.push(resolve) })
  }
  done(key: Key): void {
    this.#processing.delete(key)
    if (this.#again.delete(key)) this.add(key)
  }

  /** Workers finish what they have; nothing more is handed out or taken in. */
  shutdown(): void {
    this.#down = true
    for (const { cancel } of this.#later.values()) cancel.abort()
    this.#later.clear()
    this.#ready.clear()
    for (const worker of this.#workers.splice(0)) worker(undefined)
  }
}

export interface WorkerOptions<Key> {
  readonly log: Log
  /** How many keys at once; one unless said. */
  readonly workers?: number
  sync(key: Key): Promise<void>
}

/** Runs workers until the queue is shut down. A key whose sync throws comes again, later each time. */
export async function runWorkers<Key>(queue: WorkQueue<Key>, options: WorkerOptions<Key>): Promise<void> {
  const worker = async () => {
    for (let key = await queue.get(); key !== undefined; key = await queue.get()) {
      try {
        await options.sync(key)
        queue.forget(key)
      } catch (error) {
        if (!queue.isShutDown) {
          // A conflict is everyday life: the copy that it was computed from was a moment old.
          if (!isConflict(error)) options.log.warn('sync failed, will retry', { key: String(key), failures: queue.failures(key) + 1, err: error instanceof Error ? error.message : String(error) })
          queue.addRateLimited(key)
        }
      } finally { queue.done(key) }
    }
  }
  await Promise.all(Array.from({ length: options.workers ?? 1 }, worker))
}
