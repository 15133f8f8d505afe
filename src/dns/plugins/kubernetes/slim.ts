// A Transport for one kind that keeps little: lists come in pages, each object is stripped before the
// next page is asked for, and one that is known already in this version is not made again. So a
// relist costs a page, and not a second copy of the cluster. Pure: it only wraps another Transport.
import type { KubeList, KubeObject } from '#api/object.ts'
import { keyOf } from '#api/object.ts'
import type { Transport, WatchEvent } from '#client/transport.ts'
import type { Strip } from './objects.ts'

/** Small enough that a page of full EndpointSlices stays at a few megabytes. */
export const pageSize = 200

export interface SlimOptions<T extends KubeObject> {
  readonly strip: Strip<T>
  /** The object that is held under a key. */
  known(key: string): T | undefined
}

export function slimTransport<T extends KubeObject>(transport: Transport, { strip, known }: SlimOptions<T>): Transport {
  const slim = (object: T): T | undefined => {
    const old = known(keyOf(object))
    if (old && old.metadata.uid === object.metadata.uid && old.metadata.resourceVersion === object.metadata.resourceVersion) return old
    const stripped = strip(object)
    return stripped && Object.freeze(stripped)
  }
  return {
    ...transport,
    async request(request) {
      const items: T[] = []
      let first: KubeList<T> | undefined
      for (let token: string | undefined; ;) {
        const page = await transport.request({ ...request, query: { ...request.query, limit: String(pageSize), continue: token } }) as KubeList<T>
        for (const object of page.items ?? []) {
          const kept = slim(object)
          if (kept) items.push(kept)
        }
        // The first page's version: what changed while the others were fetched comes again by the watch.
        first ??= page
        token = page.metadata.continue
        if (!token) return { ...first, items }
      }
    },
    async *watch(request): AsyncGenerator<WatchEvent> {
      for await (const event of transport.watch(request) as AsyncIterable<WatchEvent<T>>) {
        if (event.type === 'ERROR' || event.type === 'BOOKMARK') { yield event; continue }
        const kept = slim(event.object)
        // What need not be kept is, for whoever keeps it, gone.
        yield kept ? { type: event.type, object: kept } : { type: 'DELETED', object: event.object }
      }
    },
  }
}
