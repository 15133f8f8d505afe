// What a URL asks for: upstream's RequestInfo (apiserver/pkg/endpoints/request/requestinfo.go). RBAC,
// routing and error texts all read this.

export interface RequestInfo {
  readonly isResource: boolean
  /** Kubernetes's verb for resources (`list`, `deletecollection`), the HTTP method in lower case otherwise. */
  readonly verb: string
  readonly path: string
  readonly group: string
  readonly version: string
  readonly namespace: string
  /** Plural. */
  readonly resource: string
  readonly name: string
  readonly subresource: string
}

// Under /namespaces/NAME/ these are parts of the namespace itself, all else is a resource inside it.
const namespaceSubresources = new Set(['status', 'finalize'])
const verbs: Readonly<Record<string, string>> = { POST: 'create', GET: 'get', HEAD: 'get', PUT: 'update', PATCH: 'patch', DELETE: 'delete' }

/** Undefined when a segment is not valid percent-encoding. */
export function requestInfo(method: string, path: string, query: URLSearchParams): RequestInfo | undefined {
  const parts = segments(path)
  if (!parts) return undefined
  const other: RequestInfo = { isResource: false, verb: method.toLowerCase(), path, group: '', version: '', namespace: '', resource: '', name: '', subresource: '' }
  const legacy = parts[0] === 'api'
  if (!(legacy ? parts.length >= 3 : parts[0] === 'apis' && parts.length >= 4)) return other
  const [group, version] = legacy ? ['', parts[1]!] : [parts[1]!, parts[2]!]
  const place = placeOf(parts.slice(legacy ? 2 : 3))
  return { ...other, isResource: true, group, version, ...place, ...named(verbOf(method, place.name, query), place.name, query) }
}

function segments(path: string): string[] | undefined {
  try {
    return path.split('/').filter(part => part !== '').map(decodeURIComponent)
  } catch {
    return undefined
  }
}

function placeOf(rest: readonly string[]): Pick<RequestInfo, 'namespace' | 'resource' | 'name' | 'subresource'> {
  const [first, second = '', third, ...others] = rest
  if (first === 'namespaces' && third !== undefined && !namespaceSubresources.has(third)) {
    return { namespace: second, resource: third, name: others[0] ?? '', subresource: others.slice(1).join('/') }
  }
  const subresource = [third, ...others].filter(part => part !== undefined).join('/')
  return { namespace: first === 'namespaces' ? second : '', resource: first!, name: second, subresource }
}

function verbOf(method: string, name: string, query: URLSearchParams): string {
  const verb = verbs[method] ?? ''
  if (name !== '') return verb === 'get' && isTrue(query.get('watch')) ? 'watch' : verb
  if (verb === 'get') return isTrue(query.get('watch')) ? 'watch' : 'list'
  return verb === 'delete' ? 'deletecollection' : verb
}

// A list of `metadata.name=x` is about x: RBAC's resourceNames apply to it.
function named(verb: string, name: string, query: URLSearchParams): Pick<RequestInfo, 'verb' | 'name'> {
  if (name !== '' || !['list', 'watch', 'deletecollection'].includes(verb)) return { verb, name }
  const only = /^metadata\.name=([^,]+)$/.exec(query.get('fieldSelector') ?? '')
  return { verb, name: only?.[1] ?? '' }
}

/** strconv.ParseBool as query parameters are read: `watch`, `watch=1`, `watch=true`. */
export const isTrue = (text: string | null): boolean => text !== null && !['0', 'false', 'False', 'FALSE', 'f', 'F'].includes(text)
