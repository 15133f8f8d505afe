// The verbs on a resource and its status and scale: from a request to the store and back. Kinds' own
// subresources (log, token, ...) are in subresources.ts.
import { deleteObject } from '../rest/delete.ts'
import { methodNotSupported, notFound } from '../rest/errors.ts'
import { list, revisionOf } from '../rest/list.ts'
import { nameAsInUrl, placeInNamespace, type Content } from '../rest/metadata.ts'
import { fromScale, scaleKind, scaleOf } from '../rest/scale.ts'
import type { Store, Subresource } from '../rest/store.ts'
import { eventEncoder, listAnswer, objectAnswer, rawObject } from './answer.ts'
import type { Api } from './api.ts'
import { decodeObject, kindOf, type Kind } from './body.ts'
import { deleteOptions, dryRunOf, listRequest, watchRequest } from './options.ts'
import { patchOf } from './patch.ts'
import type { Request, Response } from './request.ts'
import type { RequestInfo } from './requestinfo.ts'

export interface Call {
  readonly api: Api
  readonly store: Store
  readonly request: Request
  readonly info: RequestInfo
  /** Collects texts for `Warning` headers. */
  warn(text: string): void
}

/** What a request reads and writes of an object: itself, or its Scale. */
interface View {
  readonly kind: Kind
  readonly subresource: Subresource
  read(object: Content): Content
  write(draft: Content, old: Content): Content
}

const itself = (store: Store, subresource: Subresource): View =>
  ({ kind: kindOf(store.resource), subresource, read: object => object, write: draft => draft })

function viewOf({ store, info }: Call): View | undefined {
  switch (info.subresource) {
    case '': case 'status': case 'finalize': return itself(store, info.subresource)
    case 'scale': return store.strategy.scale && { kind: scaleKind, subresource: '', read: object => scaleOf(store.strategy, object), write: (scale, old) => fromScale(store.strategy, scale, old) }
  }
  return undefined
}

const namespaceOf = ({ store, info }: Call): string | undefined => store.resource.namespaced ? info.namespace : undefined

export async function serveVerb(call: Call): Promise<Response> {
  const { store, info, request } = call
  const view = viewOf(call)
  if (!view) throw notFound(store.resource, info.name)
  switch (info.verb) {
    case 'get': return get(call, view)
    case 'update': return update(call, view)
    case 'patch': return patch(call, view)
  }
  const noPlace = info.verb === 'create' && (info.name !== '' || (store.resource.namespaced && info.namespace === ''))
  if (info.subresource || noPlace) throw methodNotSupported(store.resource, info.verb)
  switch (info.verb) {
    case 'list': return listAnswer(request, store, list(store, listRequest(store, info, request.query)))
    case 'watch': return watch(call)
    case 'create': return create(call)
    case 'delete': return remove(call)
    case 'deletecollection': return removeCollection(call)
  }
  throw methodNotSupported(store.resource, info.verb)
}

function answer({ request, store }: Call, view: View, object: Content, status = 200): Response {
  return view.kind === scaleKind ? rawObject(request, view.read(object), status) : objectAnswer(request, store, object, status)
}

function get(call: Call, view: View): Response {
  revisionOf(call.request.query.get('resourceVersion') ?? undefined, call.store.backend.storage)
  return answer(call, view, call.store.get(namespaceOf(call), call.info.name))
}

function watch({ api, store, info, request }: Call): Response {
  return { status: 200, headers: {}, body: { type: 'watch', watch: api.watches.watch(store, watchRequest(store, info, request.query)), encode: eventEncoder(request, store) } }
}

async function create(call: Call): Promise<Response> {
  const { api, store, request, info, warn } = call
  const dryRun = dryRunOf(request.query, 'CreateOptions')
  const draft = decodeObject(request, kindOf(store.resource), warn)
  placeInNamespace(draft, store.resource, namespaceOf(call))
  api.authorizer.checkEscalation(request.user, info, draft)
  return objectAnswer(request, store, await store.create(draft, { user: request.user.name, dryRun, warn }), 201)
}

async function update(call: Call, view: View): Promise<Response> {
  const { api, store, request, info, warn } = call
  const dryRun = dryRunOf(request.query, 'UpdateOptions')
  const body = decodeObject(request, view.kind, warn)
  nameAsInUrl(body, info.name)
  placeInNamespace(body, store.resource, namespaceOf(call))
  const updated = await store.update(namespaceOf(call), info.name, old => {
    const draft = view.write(structuredClone(body), old)
    api.authorizer.checkEscalation(request.user, info, draft, old)
    return draft
  }, { user: request.user.name, dryRun, warn, subresource: view.subresource })
  return answer(call, view, updated)
}

async function patch(call: Call, view: View): Promise<Response> {
  const { api, store, request, info, warn } = call
  const dryRun = dryRunOf(request.query, 'PatchOptions')
  const warnings = new Set<string>() // a retry must not warn again
  const apply = patchOf(request, view.kind, text => warnings.add(text))
  const updated = await store.update(namespaceOf(call), info.name, old => {
    const body = apply(view.read(old))
    nameAsInUrl(body, info.name)
    placeInNamespace(body, store.resource, namespaceOf(call))
    const draft = view.write(body, old)
    api.authorizer.checkEscalation(request.user, info, draft, old)
    return draft
  }, { user: request.user.name, dryRun, warn, subresource: view.subresource })
  warnings.forEach(text => warn(text))
  return answer(call, view, updated)
}

async function remove(call: Call): Promise<Response> {
  const { store, request, info } = call
  const { dryRun, ...options } = deleteOptions(request)
  const { object, gone } = await deleteObject(store, { namespace: namespaceOf(call), name: info.name }, options, { user: request.user.name, dryRun })
  if (!gone) return objectAnswer(request, store, object)
  const { group, plural } = store.resource
  return rawObject(request, { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success',
    details: { name: info.name, ...(group && { group }), kind: plural, uid: object.metadata.uid } })
}

async function removeCollection(call: Call): Promise<Response> {
  const { store, request, info } = call
  const { dryRun, ...options } = deleteOptions(request)
  const listing = list(store, listRequest(store, info, request.query))
  const deleted = await Promise.all(listing.items.map(async ({ metadata: { namespace, name } }) => {
    try {
      return (await deleteObject(store, { namespace, name }, options, { user: request.user.name, dryRun })).object
    } catch (error) {
      if ((error as { status?: { reason?: string } }).status?.reason === 'NotFound') return undefined // somebody else deleted it
      throw error
    }
  }))
  return listAnswer(request, store, { ...listing, items: deleted.filter(object => object !== undefined) })
}
