// Objects in the representation a client asked for: as they are, as rows of a Table, or their metadata only.
import type { KubeObject } from '#api/object.ts'
import { groupVersion } from '#api/resources.ts'
import { table } from '../registry/table.ts'
import { badRequest } from '../rest/errors.ts'
import type { Listing } from '../rest/list.ts'
import type { Store } from '../rest/store.ts'
import type { WatchEvent } from '../rest/watch.ts'
import { negotiate, type Representation } from './negotiate.ts'
import type { Body, Request, Response } from './request.ts'

type IncludeObject = 'Metadata' | 'Object' | 'None'

function includeObjectOf(query: URLSearchParams): IncludeObject {
  const asked = query.get('includeObject') || 'Metadata'
  if (asked === 'Metadata' || asked === 'Object' || asked === 'None') return asked
  throw badRequest(`unrecognized includeObject value: ${JSON.stringify(asked)}`)
}

const partial = ({ metadata }: KubeObject) => ({ kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata })

const body = (value: object, request: Request, { media }: Representation): Body =>
  ({ type: 'object', value, ...(wantsPretty(request) && { pretty: true }), ...(media === 'yaml' && { yaml: true }) })

// A person at a terminal (curl, wget) gets indented JSON, as upstream gives it.
const wantsPretty = ({ query, headers }: Request): boolean =>
  query.has('pretty') ? ['', '1', 'true'].includes(query.get('pretty')!) : /^(curl|Wget|Mozilla\/5\.0)/.test(headers['user-agent'] ?? '')

export const rawObject = (request: Request, value: object, status = 200): Response =>
  ({ status, headers: {}, body: body(value, request, negotiate(request.headers.accept)) })

export function objectAnswer(request: Request, store: Store, object: KubeObject, status = 200): Response {
  const representation = negotiate(request.headers.accept)
  const value = representation.as === 'Table' ? tableOf(request, store, { items: [object], resourceVersion: object.metadata.resourceVersion ?? '' })
    : representation.as === 'PartialObjectMetadata' ? partial(object) : object
  return { status, headers: {}, body: body(value, request, representation) }
}

export function listAnswer(request: Request, store: Store, listing: Listing): Response {
  const representation = negotiate(request.headers.accept)
  const { items, ...rest } = listing
  const value = representation.as === 'Table' ? tableOf(request, store, listing)
    : representation.as === 'PartialObjectMetadata' ? { kind: 'PartialObjectMetadataList', apiVersion: 'meta.k8s.io/v1', metadata: rest, items: items.map(partial) }
    : { kind: `${store.resource.kind}List`, apiVersion: groupVersion(store.resource), metadata: rest, items }
  return { status: 200, headers: {}, body: body(value, request, representation) }
}

function tableOf(request: Request, store: Store, { items, resourceVersion, ...rest }: Pick<Listing, 'items' | 'resourceVersion'> & Partial<Listing>, withColumns = true): object {
  return table(store.strategy, items, { now: store.backend.now(), includeObject: includeObjectOf(request.query), resourceVersion, withColumns, ...rest })
}

/** How events are sent: of a Table the columns come with the first only. */
export function eventEncoder(request: Request, store: Store): (event: WatchEvent) => object {
  const representation = negotiate(request.headers.accept)
  if (representation.as === 'object') return event => event
  let first = true
  return event => {
    if (event.type === 'ERROR') return event
    if (representation.as === 'PartialObjectMetadata') return { type: event.type, object: partial(event.object) }
    const items = event.type === 'BOOKMARK' ? [] : [event.object]
    const value = tableOf(request, store, { items, resourceVersion: event.object.metadata.resourceVersion! }, first)
    if (event.type === 'BOOKMARK') Object.assign((value as { metadata: object }).metadata, event.object.metadata)
    first = false
    return { type: event.type, object: value }
  }
}
