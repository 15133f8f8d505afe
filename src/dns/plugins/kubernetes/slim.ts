// A Transport for one kind that keeps little: lists come in pages, each object is stripped before the
// next page is asked for, and one that is known already in this version is not made again. So a
// relist costs a page, and not a second copy of the cluster. Pure: it only wraps another Transport.
import type { KubeList, KubeObject } from '#api/object.ts'
import { keyOf } from '#api/object.ts'
import type { Transport, WatchEvent } from '#client/transport.ts'
import type { Strip } from './objects.ts'

/** The first page is small, because nobody knows yet how heavy an object is; the others hold about so many parts. */
export const firstPage = 40
const mostParts = 5000, mostObjects = 2000

export interface SlimOptions<T extends KubeObject> {
  readonly strip: Strip<T>
  /** Of how many parts an object is (endpoints of a slice); 1 unless told. */
  readonly parts?: (object: T) => number
  /** The object that is held under a key. */
  known(key: string): T | undefined
}

export function slimTransport<T extends KubeObject>(transport: Transport, { strip, parts = () => 1, known }: SlimOptions<T>): Transport {
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
      let first: KubeList<T> | undefined, limit = firstPage
      for (let token: string | undefined; ;) {
        const page = await transport.request({ ...request, query: { ...request.query, limit: String(limit), continue: token } }) as KubeList<T>
        let heavy = 0
        for (const object of page.items ?? []) {
          heavy += parts(object)
          const kept = slim(object)
          if (kept) items.push(kept)
        }
        // The first page's version: what changed while the others were fetched comes again by the watch.
        first ??= page
        token = page.metadata.continue
        limit = Math.min(mostObjects, Math.max(10, Math.floor(mostParts * page.items.length / Math.max(heavy, 1))))
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
