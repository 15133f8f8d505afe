// The pods that wait for a node: ready ones by priority and then by arrival, and those that found
// none and wait for the cluster to change (upstream's SchedulingQueue). Values only; apply.ts has the
// timers.
import type { Pod } from '#api/core/v1.ts'
import { keyOf } from '#api/object.ts'
import { equal } from '#lib/equal.ts'

interface Entry { pod: Pod; attempts: number; /** When it may be tried again, in ms. */ notBefore: number; readonly order: number }

// Upstream waits at least 1 s, but takes pods out early when it has nothing else to do (SchedulerPopFromBackoffQ);
// a short first wait comes to the same, and keeps a crowd of hopeless pods from being tried at every change.
const initialBackoff = 20, maxBackoff = 10_000

export class SchedulingQueue {
  readonly #ready = new Map<string, Entry>()
  readonly #parked = new Map<string, Entry>()
  /** Taken and not yet bound or parked. */
  readonly #taken = new Map<string, Entry>()
  #order = 0

  /** A new pod, or a new version of one that waits; a parked pod whose spec or labels changed is ready again. */
  set(pod: Pod): void {
    const key = keyOf(pod)
    const known = this.#ready.get(key) ?? this.#taken.get(key) ?? this.#parked.get(key)
    if (!known) { this.#ready.set(key, { pod, attempts: 0, notBefore: 0, order: this.#order++ }); return }
    const changed = !equal(known.pod.spec, pod.spec) || !equal(known.pod.metadata.labels, pod.metadata.labels)
    known.pod = pod
    if (changed && this.#parked.delete(key)) this.#ready.set(key, known)
  }
  delete(pod: Pod): void { for (const map of [this.#ready, this.#parked, this.#taken]) map.delete(keyOf(pod)) }

  /** The next pod to place. */
  take(): Pod | undefined {
    let next: Entry | undefined
    for (const entry of this.#ready.values()) if (!next || before(entry, next)) next = entry
    if (!next) return undefined
    this.#ready.delete(keyOf(next.pod))
    this.#taken.set(keyOf(next.pod), next)
    return next.pod
  }

  /** It found no node: it waits until something changes, and at least for its backoff. */
  park(pod: Pod, now: number): void {
    const entry = this.#taken.get(keyOf(pod))
    if (!entry) return // deleted meanwhile
    this.#taken.delete(keyOf(pod))
    entry.notBefore = now + Math.min(initialBackoff * 2 ** entry.attempts, maxBackoff)
    entry.attempts++
    this.#parked.set(keyOf(entry.pod), entry)
  }

  /** Something changed: parked pods are ready; answers in how many ms the next one that is still backing off will be, if any. */
  wake(now: number): number | undefined {
    let next: number | undefined
    for (const [key, entry] of this.#parked) {
      if (entry.notBefore > now) { next = Math.min(next ?? Infinity, entry.notBefore - now); continue }
      this.#parked.delete(key)
      this.#ready.set(key, entry)
    }
    return next
  }
  get parked(): number { return this.#parked.size }
}

const priority = ({ pod }: Entry) => pod.spec.priority ?? 0
const before = (a: Entry, b: Entry) => priority(a) !== priority(b) ? priority(a) > priority(b) : a.order < b.order
