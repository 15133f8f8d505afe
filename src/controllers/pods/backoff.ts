// How long a pod that failed waits before it is deleted, and so replaced: a pod that fails at once,
// again and again, must not be replaced in a loop (upstream's failedPodsBackoff of daemon sets).

const first = 1000, most = 900_000, forgottenAfter = 1_800_000

export class FailureBackoff {
  /** By owner and place. */
  readonly #failures = new Map<string, { count: number; until: number }>()

  /** Milliseconds still to wait; 0 when it may go now, which counts as a failure: the next in this place waits 1 s, 2 s, ... 15 min. */
  wait(place: string, now: number): number {
    const known = this.#failures.get(place)
    if (known && known.until > now) return known.until - now
    const count = known && now - known.until < forgottenAfter ? known.count + 1 : 0
    this.#failures.set(place, { count, until: now + Math.min(first * 2 ** count, most) })
    return 0
  }

  /** The owner is gone. */
  forget(owner: string): void {
    for (const place of this.#failures.keys()) if (place.startsWith(`${owner}/`)) this.#failures.delete(place)
  }
}
