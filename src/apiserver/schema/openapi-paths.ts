// The `paths` of an OpenAPI 3.0 document: what can be done with each resource, with the parameters
// that kubectl looks for (fieldValidation, dryRun, fieldManager) and the x-kubernetes-action and
// -group-version-kind by which it finds an operation.
import type { Resource } from '#api/resources.ts'
import { groupVersion } from '#api/resources.ts'
import type { GroupVersionKind, Json, JsonObject } from './openapi-schemas.ts'
import { componentName, refTo } from './openapi-schemas.ts'
import { packageOfApiVersion } from './schema.ts'

const query = (name: string, type: string, description: string): JsonObject =>
  ({ name, in: 'query', description, schema: { type, uniqueItems: true } })
const inPath = (name: string, description: string): JsonObject =>
  ({ name, in: 'path', description, required: true, schema: { type: 'string', uniqueItems: true } })

const nameParameter = (resource: Resource) => inPath('name', `name of the ${resource.kind}`)
const namespaceParameter = inPath('namespace', 'the namespace of the object')
const pretty = query('pretty', 'string', "'true' indents the answer")
const dryRun = query('dryRun', 'string', "'All' checks the request and stores nothing")
const fieldManager = query('fieldManager', 'string', 'who makes the change, for managedFields')
const fieldValidation = query('fieldValidation', 'string', 'what happens to unknown and duplicate fields: Ignore, Warn (the default) or Strict')
const force = query('force', 'boolean', 'takes over conflicting fields in a server-side apply')
const writes = [dryRun, fieldManager, fieldValidation]
const deletes = [dryRun, query('gracePeriodSeconds', 'integer', 'seconds before the object goes; 0 is at once'),
  query('orphanDependents', 'boolean', 'deprecated: use propagationPolicy'),
  query('propagationPolicy', 'string', 'what happens to dependents: Orphan, Background or Foreground')]
const lists = [query('allowWatchBookmarks', 'boolean', 'sends BOOKMARK events in a watch'),
  query('continue', 'string', 'the token of the answer before, for the next page'),
  query('fieldSelector', 'string', 'only objects whose fields match'),
  query('labelSelector', 'string', 'only objects whose labels match'),
  query('limit', 'integer', 'how many objects in one answer'),
  query('resourceVersion', 'string', 'as of which version'),
  query('resourceVersionMatch', 'string', 'how resourceVersion is meant: Exact or NotOlderThan'),
  query('sendInitialEvents', 'boolean', 'begins a watch with the objects that exist'),
  query('timeoutSeconds', 'integer', 'ends the request after that time'),
  query('watch', 'boolean', 'streams changes instead of listing')]

const meta = (name: string) => refTo(componentName('meta/v1', name))
const content = (schema: JsonObject, types: readonly string[] = ['application/json', 'application/yaml']): JsonObject =>
  Object.fromEntries(types.map(type => [type, { schema }]))
const jsonOnly = ['application/json', 'application/yaml', 'application/vnd.kubernetes.protobuf']
const patchTypes = ['application/json-patch+json', 'application/merge-patch+json', 'application/strategic-merge-patch+json']

interface Operation {
  readonly id: string
  readonly action: string
  readonly kind: GroupVersionKind
  readonly parameters?: readonly JsonObject[]
  /** Of the request's body. */
  readonly body?: JsonObject
  readonly answer: JsonObject
  readonly codes?: readonly string[]
}

function operation({ id, action, kind, parameters = [], body, answer, codes = ['200'] }: Operation): JsonObject {
  const answers = Object.fromEntries(codes.map(code => [code, { description: { 200: 'OK', 201: 'Created', 202: 'Accepted' }[code] ?? 'OK', content: content(answer) }]))
  return {
    operationId: id,
    'x-kubernetes-action': action,
    'x-kubernetes-group-version-kind': { ...kind },
    ...(parameters.length && { parameters: [...parameters] }),
    ...(body && { requestBody: { required: true, content: content(body, action === 'patch' ? patchTypes : jsonOnly) } }),
    responses: { ...answers, 401: { description: 'Unauthorized' } },
  }
}

interface Names { readonly resource: Resource; readonly gvk: GroupVersionKind; readonly self: JsonObject; readonly list: JsonObject; readonly suffix: string }

function namesOf(resource: Resource): Names {
  const { group, version, kind } = resource, packageName = packageOfApiVersion(groupVersion(resource))
  const camel = `${group === '' ? 'Core' : group.split('.')[0]!.replace(/^./, letter => letter.toUpperCase())}${version.replace(/^v/, 'V')}`
  return { resource, gvk: { group, version, kind }, self: refTo(componentName(packageName, kind)),
    list: refTo(componentName(packageName, `${kind}List`)), suffix: `${camel}${resource.namespaced ? 'Namespaced' : ''}${kind}` }
}

const create = ({ gvk, self, suffix }: Names) => operation({ id: `create${suffix}`, action: 'post', kind: gvk, parameters: writes, body: self, answer: self, codes: ['200', '201', '202'] })

function collection(names: Names): JsonObject {
  const { gvk, list, suffix, resource } = names
  return {
    get: operation({ id: `list${suffix}`, action: 'list', kind: gvk, parameters: lists, answer: list }),
    post: create(names),
    delete: operation({ id: `deleteCollection${suffix}`, action: 'deletecollection', kind: gvk, parameters: [...deletes, ...lists], body: meta('DeleteOptions'), answer: meta('Status') }),
    parameters: [...(resource.namespaced ? [namespaceParameter] : []), pretty],
  }
}

function reading({ gvk, self, suffix }: Names, subresource = ''): JsonObject {
  return {
    get: operation({ id: `read${suffix}${subresource}`, action: 'get', kind: gvk, answer: self }),
    put: operation({ id: `replace${suffix}${subresource}`, action: 'put', kind: gvk, parameters: writes, body: self, answer: self, codes: ['200', '201'] }),
    patch: operation({ id: `patch${suffix}${subresource}`, action: 'patch', kind: gvk, parameters: [...writes, force], body: meta('Patch'), answer: self, codes: ['200', '201'] }),
  }
}

const itemParameters = (resource: Resource): Json[] => [nameParameter(resource), ...(resource.namespaced ? [namespaceParameter] : []), pretty]

const item = (names: Names): JsonObject => ({
  ...reading(names),
  delete: operation({ id: `delete${names.suffix}`, action: 'delete', kind: names.gvk, parameters: deletes, body: meta('DeleteOptions'), answer: meta('Status'), codes: ['200', '202'] }),
  parameters: itemParameters(names.resource),
})

/** Subresources whose body is of another kind. */
export const subresourceKinds: Record<string, GroupVersionKind> = {
  scale: { group: 'autoscaling', version: 'v1', kind: 'Scale' },
  eviction: { group: 'policy', version: 'v1', kind: 'Eviction' },
  binding: { group: '', version: 'v1', kind: 'Binding' },
  token: { group: 'authentication.k8s.io', version: 'v1', kind: 'TokenRequest' },
}
const connects = new Set(['exec', 'attach', 'portforward', 'proxy'])

function subresource(names: Names, name: string): JsonObject {
  const { resource, suffix } = names, title = name.replace(/^./, letter => letter.toUpperCase())
  const parameters = itemParameters(resource)
  const other = subresourceKinds[name]
  const kind = other ?? names.gvk
  const self = other ? refTo(componentName(packageOfApiVersion(groupVersion(other)), other.kind)) : names.self
  if (connects.has(name)) {
    const connect = (verb: string) => operation({ id: `connect${verb}${suffix}${title}`, action: 'connect', kind, answer: { type: 'string' } })
    return { get: connect('Get'), post: connect('Post'), parameters }
  }
  if (name === 'log') return { get: operation({ id: `read${suffix}Log`, action: 'get', kind, answer: { type: 'string' } }), parameters }
  if (name === 'finalize') {
    return { put: operation({ id: `replace${suffix}Finalize`, action: 'put', kind, parameters: writes, body: self, answer: self }), parameters }
  }
  if (other && name !== 'scale') {
    return { post: operation({ id: `create${suffix}${title}`, action: 'post', kind, parameters: writes, body: self, answer: self, codes: ['200', '201', '202'] }), parameters }
  }
  return { ...reading({ ...names, gvk: kind, self }, title), parameters }
}

/** The paths of one resource. */
export function pathsOf(resource: Resource): JsonObject {
  const names = namesOf(resource)
  const root = resource.group ? `/apis/${resource.group}/${resource.version}` : `/api/${resource.version}`
  const all = `${root}/${resource.plural}`
  if (resource.createOnly) return { [all]: { post: create(names), parameters: [pretty] } }
  const own = resource.namespaced ? `${root}/namespaces/{namespace}/${resource.plural}` : all
  return {
    ...(resource.namespaced && {
      [all]: { get: operation({ id: `list${names.suffix.replace('Namespaced', '')}ForAllNamespaces`, action: 'list', kind: names.gvk, parameters: lists, answer: names.list }), parameters: [pretty] },
    }),
    [own]: collection(names),
    [`${own}/{name}`]: item(names),
    ...Object.fromEntries(resource.subresources.map(name => [`${own}/{name}/${name}`, subresource(names, name)])),
  }
}
