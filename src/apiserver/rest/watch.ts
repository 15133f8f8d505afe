// Watching a collection: which storage events a watcher sees and as what. An object that begins to match
// a selector is ADDED, one that ceases to is DELETED; a deleted object carries the version of its deletion.
// Time (bookmarks, timeouts) comes in by `tick`, one call a second for all watches.
import { groupVersion } from '#api/resources.ts'
import type { Status } from '#lib/errors.ts'
import { CompactedError, type StorageEvent } from '../storage/storage.ts'
import { expired } from './errors.ts'
import { invalidListOptions, list, oneKey, revisionOf, selected, type Selection } from './list.ts'
import type { Content } from './metadata.ts'
import { deepFreeze } from '../storage/state.ts'
import type { Store } from './store.ts'

export type WatchEvent =
  | { readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK'; readonly object: Content }
  | { readonly type: 'ERROR'; readonly object: Status }

export interface WatchRequest {
  readonly namespace: string | undefined
  readonly selection: Selection
  readonly resourceVersion?: string | undefined
  readonly resourceVersionMatch?: string | undefined
  readonly allowWatchBookmarks?: boolean | undefined
  readonly sendInitialEvents?: boolean | undefined
  readonly timeoutSeconds?: number | undefined
}

export interface Sink {
  event(event: WatchEvent): void
  /** The server ends the watch; nothing follows. */
  end(): void
}

/** A watch that has been accepted; it begins when somebody takes its events. */
export interface Watch { start(sink: Sink): () => void }

// Upstream's bookmarks come about once a minute; its watches last 30 to 60 minutes.
const bookmarkInterval = 60_000
const longest = 30 * 60_000

interface Running { tick(now: number): void; end(): void }

/** All watches of a server. */
export class Watches {
  readonly #running = new Set<Running>()

  tick(now: number): void { for (const watch of [...this.#running]) watch.tick(now) }
  /** Ends all watches. */
  close(): void { for (const watch of [...this.#running]) watch.end() }
  get size(): number { return this.#running.size }

  /** Throws StatusError when the options are refused. */
  watch(store: Store, request: WatchRequest): Watch {
    checkOptions(request)
    const { storage } = store.backend
    const revision = revisionOf(request.resourceVersion, storage)
    return { start: sink => this.#start(store, request, { sink, revision }) }
  }

  #start(store: Store, request: WatchRequest, { sink, revision }: { sink: Sink; revision: number | undefined }): () => void {
    const { storage } = store.backend
    const started = store.backend.now()
    const end = started + (request.timeoutSeconds ? request.timeoutSeconds * 1000 : longest * (1 + (started % 1000) / 1000))
    let lastBookmark = started
    let stopStorage = () => {}
    const stop = () => { stopStorage(); this.#running.delete(running) }
    const finish = () => { stop(); sink.end() }
    const running: Running = { end: finish, tick: now => {
      if (now >= end) return finish()
      if (!request.allowWatchBookmarks || now - lastBookmark < bookmarkInterval) return
      lastBookmark = now
      sink.event({ type: 'BOOKMARK', object: bookmark(store, storage.revision) })
    } }
    this.#running.add(running)
    // Without a version, or on request, the watch begins with all that is there now.
    const initial = request.sendInitialEvents ?? revision === undefined
    const from = initial ? storage.revision : revision ?? storage.revision
    try {
      if (initial) sendInitial(store, request, sink)
      stopStorage = storage.watch(oneKey(store, request.namespace, request.selection) ?? store.prefixOf(request.namespace), from, events => {
        for (const event of events) {
          const seen = asSeen(store, event, request.selection)
          if (seen) sink.event(seen)
        }
      })
    } catch (error) {
      if (!(error instanceof CompactedError)) throw error
      sink.event({ type: 'ERROR', object: expired(`too old resource version: ${from} (${error.compactedRevision})`).status })
      finish()
    }
    return stop
  }
}

function sendInitial(store: Store, request: WatchRequest, sink: Sink): void {
  const { storage } = store.backend
  const { revision } = storage
  for (const object of list(store, { namespace: request.namespace, selection: request.selection }).items) sink.event({ type: 'ADDED', object })
  if (!request.sendInitialEvents || !request.allowWatchBookmarks) return
  // KEP-3157: tells the client that its copy is complete.
  sink.event({ type: 'BOOKMARK', object: bookmark(store, revision, { 'k8s.io/initial-events-end': 'true' }) })
}

function bookmark(store: Store, revision: number, annotations?: Record<string, string>): Content {
  return deepFreeze({ kind: store.resource.kind, apiVersion: groupVersion(store.resource),
    metadata: { resourceVersion: String(revision), ...(annotations && { annotations }) } }) as unknown as Content
}

/** The event as a watcher with this selection sees it; undefined when it does not. */
export function asSeen(store: Store, event: StorageEvent, selection: Selection): WatchEvent | undefined {
  const old = event.old && store.decode(event.old), now = event.now && store.decode(event.now)
  const matched = old !== undefined && selected(store, old, selection)
  const matches = now !== undefined && selected(store, now, selection)
  if (matches) return { type: matched ? 'MODIFIED' : 'ADDED', object: now }
  return matched ? { type: 'DELETED', object: lastState(event, old) } : undefined
}

const lastStates = new WeakMap<StorageEvent, Content>()

function lastState(event: StorageEvent, old: Content): Content {
  let last = lastStates.get(event)
  if (!last) lastStates.set(event, last = deepFreeze({ ...old, metadata: { ...old.metadata, resourceVersion: String(event.revision) } }))
  return last
}

/** ValidateListOptions with watch. */
function checkOptions({ resourceVersionMatch, sendInitialEvents }: WatchRequest): void {
  const refuse = (text: string) => { throw invalidListOptions('resourceVersionMatch', 'FieldValueForbidden', `Forbidden: ${text}`) }
  if (sendInitialEvents !== undefined && resourceVersionMatch !== 'NotOlderThan') refuse('sendInitialEvents requires setting resourceVersionMatch to NotOlderThan')
  if (sendInitialEvents === undefined && resourceVersionMatch) refuse('resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided')
}
