// The query parameters of the verbs, read once and refused in upstream's words when they are wrong.
import type { DeleteOptions } from '../rest/delete.ts'
import { parseFieldSelector, parseLabelSelector } from '../schema/selectors.ts'
import { badRequest, invalid } from '../rest/errors.ts'
import type { ListRequest, Selection } from '../rest/list.ts'
import type { Store } from '../rest/store.ts'
import type { WatchRequest } from '../rest/watch.ts'
import { parseBody } from './body.ts'
import type { Request } from './request.ts'
import { isTrue, type RequestInfo } from './requestinfo.ts'

const text = (query: URLSearchParams, name: string): string | undefined => query.get(name) || undefined

function integer(query: URLSearchParams, name: string): number | undefined {
  const value = text(query, name)
  if (value === undefined) return undefined
  if (!/^-?\d{1,15}$/.test(value)) throw badRequest(`strconv.ParseInt: parsing ${JSON.stringify(value)}: invalid syntax`)
  return Number(value)
}

export function dryRunOf(query: URLSearchParams, kind: string, inBody: unknown = undefined): boolean {
  const asked = [...query.getAll('dryRun'), ...(Array.isArray(inBody) ? inBody as unknown[] : [])].filter(value => value !== '')
  const wrong = asked.find(value => value !== 'All')
  if (wrong !== undefined) {
    throw invalid({ group: 'meta.k8s.io', kind }, '', [{ field: 'dryRun', reason: 'FieldValueNotSupported', message: `Unsupported value: ${JSON.stringify(wrong)}: supported values: "All"` }])
  }
  return asked.length > 0
}

export function selectionOf(store: Store, query: URLSearchParams): Selection {
  const labels = text(query, 'labelSelector'), fields = text(query, 'fieldSelector')
  const selector = fields === undefined ? undefined : parseFieldSelector(fields)
  for (const field of selector?.keys ?? []) if (!isSelectable(store, field)) throw badRequest(`field label not supported: ${field}`)
  return { labels: labels === undefined ? undefined : parseLabelSelector(labels), fields: selector }
}

// Which fields exist is known from an object without content: every selectable field has a text, empty or not.
function isSelectable(store: Store, field: string): boolean {
  if (field === 'metadata.name' || (field === 'metadata.namespace' && store.resource.namespaced)) return true
  const empty = { metadata: { name: '' }, spec: {}, status: {}, involvedObject: {}, regarding: {}, source: {} }
  return Object.hasOwn(store.strategy.selectableFields?.(empty) ?? {}, field)
}

const namespaceOf = (info: RequestInfo): string | undefined => info.namespace || undefined

export const listRequest = (store: Store, info: RequestInfo, query: URLSearchParams): ListRequest => ({
  namespace: namespaceOf(info), selection: selectionOf(store, query), resourceVersion: text(query, 'resourceVersion'),
  resourceVersionMatch: text(query, 'resourceVersionMatch'), limit: integer(query, 'limit'), continue: text(query, 'continue'),
})

export const watchRequest = (store: Store, info: RequestInfo, query: URLSearchParams): WatchRequest => ({
  namespace: namespaceOf(info), selection: watchSelection(store, info, query), resourceVersion: text(query, 'resourceVersion'),
  resourceVersionMatch: text(query, 'resourceVersionMatch'), allowWatchBookmarks: isTrue(query.get('allowWatchBookmarks')),
  sendInitialEvents: query.has('sendInitialEvents') ? isTrue(query.get('sendInitialEvents')) : undefined, timeoutSeconds: integer(query, 'timeoutSeconds'),
})

// `GET .../pods/web?watch=true` watches one object.
function watchSelection(store: Store, info: RequestInfo, query: URLSearchParams): Selection {
  const selection = selectionOf(store, query)
  return info.name && !selection.fields ? { ...selection, fields: parseFieldSelector(`metadata.name=${info.name}`) } : selection
}

export function deleteOptions(request: Request): DeleteOptions & { dryRun: boolean } {
  const { query } = request
  const value = parseBody(request)?.value ?? {}
  if (typeof value !== 'object' || value === null) throw badRequest('the body of a delete must be a DeleteOptions')
  const { kind, gracePeriodSeconds, propagationPolicy, preconditions, orphanDependents, dryRun } = value as DeleteOptions & { kind?: string; dryRun?: unknown }
  if (kind !== undefined && kind !== 'DeleteOptions') throw badRequest(`${kind} cannot be handled as a DeleteOptions`)
  if (gracePeriodSeconds !== undefined && !Number.isInteger(gracePeriodSeconds)) throw badRequest('gracePeriodSeconds must be an integer')
  const options: DeleteOptions = {
    gracePeriodSeconds: integer(query, 'gracePeriodSeconds') ?? gracePeriodSeconds,
    propagationPolicy: text(query, 'propagationPolicy') ?? propagationPolicy,
    orphanDependents: query.has('orphanDependents') ? isTrue(query.get('orphanDependents')) : orphanDependents, preconditions,
  } as DeleteOptions
  return { ...options, dryRun: dryRunOf(query, 'DeleteOptions', dryRun) }
}
