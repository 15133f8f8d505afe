// What a server does by the clock: ends and bookmarks watches, forgets history, lets Events expire.
// Called once a second with the time, so that tests need no timer.
import type { Event } from '#api/core/v1.ts'
import { deleteObject } from './rest/delete.ts'
import type { Api } from './http/api.ts'
import type { ApiServerConfig } from './config.ts'

const minute = 60_000
/** How long a watch may be away and still resume: etcd's compaction interval in kube-apiserver. */
const historyMinutes = 5

export function housekeeping({ backend, stores, watches }: Api, { eventTtl }: Pick<ApiServerConfig, 'eventTtl'>): { tick(now: number): Promise<void> } {
  const { storage } = backend
  /** The revision at each of the last minutes, oldest first. */
  const revisions: number[] = []
  let nextMinute = 0
  return {
    async tick(now) {
      watches.tick(now)
      if (now < nextMinute) return
      nextMinute = now + minute
      revisions.push(storage.revision)
      if (revisions.length > historyMinutes) await storage.compact(revisions.shift()!)
      await expireEvents(now - eventTtl * 1000)
    },
  }

  async function expireEvents(before: number): Promise<void> {
    const store = stores.get('', 'v1', 'events')
    if (!store) return
    const old = storage.list(store.prefixOf(undefined)).entries.map(entry => entry.value as Event).filter(event => lastSeen(event) < before)
    for (const { metadata: { namespace, name } } of old) {
      await deleteObject(store, { namespace, name }, {}, { user: 'system:apiserver' }).catch(ignoreNotFound)
    }
  }
}

const lastSeen = (event: Event): number =>
  Date.parse(event.series?.lastObservedTime ?? event.lastTimestamp ?? event.eventTime ?? event.metadata.creationTimestamp ?? '')

function ignoreNotFound(error: { status?: { reason?: string } }): void {
  if (error.status?.reason !== 'NotFound') throw error
}
