// Who waits for events, and in which order they get them: after each commit every listener gets the
// events of its prefix, all of them, once. A listener may write: its events queue behind the current ones.
import type { StorageEvent } from './storage.ts'

type Listener = (events: readonly StorageEvent[]) => void
interface Watcher { readonly prefix: string; readonly listener: Listener; seen: number }

export class Watchers {
  readonly #watchers = new Map<string, Set<Watcher>>()
  readonly #queue: (readonly StorageEvent[])[] = []
  #publishing = false

  /** `past` are the events that have happened since the watch's revision, `revision` is the current one. */
  add(prefix: string, listener: Listener, { past, revision }: { past: readonly StorageEvent[]; revision: number }): () => void {
    const watcher: Watcher = { prefix, listener, seen: revision }
    const segment = prefix.slice(0, prefix.indexOf('/') + 1)
    const others = this.#watchers.get(segment) ?? new Set()
    this.#watchers.set(segment, others.add(watcher))
    const matching = past.filter(event => event.key.startsWith(prefix))
    if (matching.length > 0) listener(matching)
    return () => { others.delete(watcher) }
  }

  publish(events: readonly StorageEvent[]): void {
    if (events.length === 0) return
    this.#queue.push(events)
    if (this.#publishing) return
    this.#publishing = true
    try {
      for (let batch = this.#queue.shift(); batch; batch = this.#queue.shift()) this.#deliver(batch)
    } finally { this.#publishing = false }
  }

  #deliver(batch: readonly StorageEvent[]): void {
    const bySegment = Map.groupBy(batch, event => event.key.slice(0, event.key.indexOf('/') + 1))
    for (const [segment, events] of bySegment) {
      for (const watcher of [...this.#watchers.get(segment) ?? []]) {
        // A watch that began while these events were waiting has had them as its past.
        const due = events.filter(event => event.revision > watcher.seen && event.key.startsWith(watcher.prefix))
        if (due.length > 0) watcher.listener(due)
      }
    }
  }
}
