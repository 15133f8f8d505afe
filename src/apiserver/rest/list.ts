// Reading a collection: selectors, pages on one consistent snapshot, and the meaning of resourceVersion
// (kubernetes.io/docs/reference/using-api/api-concepts, "Resource versions").
import type { KubeObject } from '#api/object.ts'
import type { Selector } from '../schema/selectors.ts'
import { CompactedError, type Entry } from '../storage/storage.ts'
import { badRequest, expired, invalid, tooLargeResourceVersion } from './errors.ts'
import type { Content } from './metadata.ts'
import type { Store } from './store.ts'

/** Undefined lets everything through. */
export interface Selection { readonly labels: Selector | undefined; readonly fields: Selector | undefined }
export interface ListRequest {
  readonly namespace: string | undefined
  readonly selection: Selection
  readonly resourceVersion?: string | undefined
  readonly resourceVersionMatch?: string | undefined
  readonly limit?: number | undefined
  readonly continue?: string | undefined
}
export interface Listing {
  readonly items: readonly Content[]
  readonly resourceVersion: string
  readonly continue?: string
  readonly remainingItemCount?: number
}

export const everything: Selection = { labels: undefined, fields: undefined }

export function selected(store: Store, object: KubeObject, { labels, fields }: Selection): boolean {
  return (!labels || labels.matches(object.metadata.labels)) && (!fields || fields.matches(fieldsOf(store, object)))
}

const fieldsOf = (store: Store, object: KubeObject): Record<string, string> => ({
  ...store.strategy.selectableFields?.(object),
  'metadata.name': object.metadata.name, ...(store.resource.namespaced && { 'metadata.namespace': object.metadata.namespace ?? '' }),
})

/** The key of the only object that a selection can match: what `kubectl wait` and the kubelet ask for. */
export function oneKey(store: Store, namespace: string | undefined, { fields }: Selection): string | undefined {
  const name = fields?.exactValue('metadata.name')
  return name && (namespace || !store.resource.namespaced) ? store.key(namespace, name) : undefined
}

/** The revision of a request's resourceVersion; undefined for any. */
export function revisionOf(text: string | undefined, storage: { readonly revision: number }): number | undefined {
  if (text === undefined || text === '' || text === '0') return undefined
  if (!/^\d{1,15}$/.test(text)) throw invalidListOptions('resourceVersion', 'FieldValueInvalid', `Invalid value: ${JSON.stringify(text)}: strconv.ParseUint: parsing ${JSON.stringify(text)}: invalid syntax`)
  const revision = Number(text)
  if (revision > storage.revision) throw tooLargeResourceVersion(revision, storage.revision)
  return revision
}

export const invalidListOptions = (field: string, reason: 'FieldValueForbidden' | 'FieldValueInvalid' | 'FieldValueNotSupported', message: string) =>
  invalid({ group: 'meta.k8s.io', kind: 'ListOptions' }, '', [{ field, reason, message }])

export function list(store: Store, request: ListRequest): Listing {
  checkOptions(request)
  const { storage } = store.backend
  const token = request.continue ? parseContinue(request.continue) : undefined
  const asked = token ? undefined : revisionOf(request.resourceVersion, storage)
  // With a limit but no match, upstream reads exactly the version that was asked for.
  const exact = request.resourceVersionMatch === 'Exact' || (request.limit && !request.resourceVersionMatch)
  const revision = token ? (token.revision < 0 ? undefined : token.revision) : exact ? asked : undefined
  const prefix = store.prefixOf(request.namespace)
  const one = revision === undefined && oneKey(store, request.namespace, request.selection)
  if (one) {
    const entry = storage.get(one)
    return page(store, { ...request, limit: 0 }, { entries: entry ? [entry] : [], revision: storage.revision })
  }
  return page(store, request, snapshot(() => storage.list(prefix, {
    ...(revision !== undefined && { revision }), ...(token && { after: prefix + token.after }),
  }), token, storage.revision))
}

/** Takes matching objects until the limit. */
function page(store: Store, { selection, limit, namespace }: ListRequest, { entries, revision }: { entries: readonly Entry[]; revision: number }): Listing {
  const items: Content[] = []
  const plain = !selection.labels && !selection.fields
  for (const [index, entry] of entries.entries()) {
    if (limit && items.length === limit) {
      const after = entries[index - 1]!.key.slice(store.prefixOf(namespace).length)
      const rest = plain ? entries.length - index : undefined
      return { items, resourceVersion: String(revision), continue: formatContinue(revision, after), ...(rest !== undefined && { remainingItemCount: rest }) }
    }
    const object = store.decode(entry)
    if (plain || selected(store, object, selection)) items.push(object)
  }
  return { items, resourceVersion: String(revision) }
}

const tooOldToContinue = 'The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided token results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned and now may show up in the list.'

function snapshot<T>(read: () => T, token: Token | undefined, current: number): T {
  try {
    return read()
  } catch (error) {
    if (!(error instanceof CompactedError)) throw error
    if (!token) throw expired('The resourceVersion for the provided list is too old.')
    const refusal = expired(tooOldToContinue)
    Object.assign(refusal.status.metadata, { continue: formatContinue(-1, token.after), resourceVersion: String(current) })
    throw refusal
  }
}

/** `revision` -1 continues on whatever is there now. */
interface Token { readonly revision: number; readonly after: string }

const formatContinue = (revision: number, after: string): string =>
  Buffer.from(JSON.stringify({ v: 'meta.k8s.io/v1', rv: revision, start: `${after}\0` })).toString('base64url')

function parseContinue(text: string): Token {
  try {
    const { v, rv, start } = JSON.parse(Buffer.from(text, 'base64url').toString()) as { v: unknown; rv: unknown; start: unknown }
    if (v === 'meta.k8s.io/v1' && Number.isSafeInteger(rv) && typeof start === 'string' && start.endsWith('\0')) return { revision: rv as number, after: start.slice(0, -1) }
  } catch { /* the same refusal as for other nonsense */ }
  throw badRequest('continue key is not valid: encountered an invalid token')
}

/** ValidateListOptions. */
function checkOptions({ resourceVersion, resourceVersionMatch, continue: token }: ListRequest): void {
  if (token && resourceVersion && resourceVersion !== '0') throw badRequest('specifying resource version is not allowed when using continue')
  if (!resourceVersionMatch) return
  const field = 'resourceVersionMatch'
  if (token) throw invalidListOptions(field, 'FieldValueForbidden', 'Forbidden: resourceVersionMatch is forbidden when continue is provided')
  if (!resourceVersion) throw invalidListOptions(field, 'FieldValueForbidden', 'Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided')
  if (resourceVersionMatch !== 'Exact' && resourceVersionMatch !== 'NotOlderThan') {
    throw invalidListOptions(field, 'FieldValueNotSupported', `Unsupported value: ${JSON.stringify(resourceVersionMatch)}: supported values: "Exact", "NotOlderThan"`)
  }
  if (resourceVersionMatch === 'Exact' && resourceVersion === '0') {
    throw invalidListOptions(field, 'FieldValueForbidden', 'Forbidden: resourceVersionMatch "exact" is forbidden for resourceVersion "0"')
  }
}
