// `/openapi/v3`: the index and one OpenAPI 3.0 document a group-version, made from the resource table
// and the type facts when first asked for, then kept. kubectl explain, apply, create -f and Helm read them.
import { createHash } from 'node:crypto'
import type { Resource } from '#api/resources.ts'
import { groupVersion } from '#api/resources.ts'
import { pathsOf, subresourceKinds } from './openapi-paths.ts'
import type { GroupVersionKind, JsonObject } from './openapi-schemas.ts'
import { Components, componentName } from './openapi-schemas.ts'
import type { StructSchema } from './schema.ts'
import { packageOfApiVersion, structSchema } from './schema.ts'

export interface OpenApiIndex { readonly paths: Readonly<Record<string, { readonly serverRelativeURL: string }>> }
export interface OpenApiDocument {
  readonly openapi: string
  readonly info: { readonly title: string; readonly version: string }
  readonly paths: JsonObject
  readonly components: { readonly schemas: JsonObject; readonly securitySchemes: JsonObject }
}

const kubernetesVersion = 'v1.36.0'

interface Made { readonly document: OpenApiDocument; readonly text: string; readonly hash: string }
const made = new Map<string, Made>()

/** What a set of resources comes to, so that equal tables share one document. */
const fingerprint = (resources: readonly Resource[]): string =>
  resources.map(({ kind, plural, namespaced, createOnly, subresources }) => [kind, plural, namespaced, createOnly, ...subresources].join(' ')).join('\n')

function makeOnce(version: string, resources: readonly Resource[]): Made {
  const own = resources.filter(resource => groupVersion(resource) === version)
  const key = `${version}\n${fingerprint(own)}`
  const kept = made.get(key)
  if (kept) return kept
  const document = makeDocument(own)
  const text = JSON.stringify(document)
  const result = { document, text, hash: createHash('sha256').update(text).digest('hex').toUpperCase() }
  made.set(key, result)
  return result
}

function makeDocument(resources: readonly Resource[]): OpenApiDocument {
  const components = new Components(), paths: JsonObject = {}
  for (const resource of resources) {
    Object.assign(paths, pathsOf(resource))
    const packageName = packageOfApiVersion(groupVersion(resource))
    const { group, version, kind } = resource
    addKind(components, structSchema(packageName, kind), [{ group, version, kind }])
    if (!resource.createOnly) addKind(components, structSchema(packageName, `${kind}List`), [{ group, version, kind: `${kind}List` }])
    for (const name of resource.subresources) addSubresource(components, name)
  }
  addCommon(components, resources)
  return {
    openapi: '3.0.0',
    info: { title: 'Kubernetes', version: kubernetesVersion },
    paths: sorted(paths),
    components: {
      schemas: sorted(components.schemas),
      securitySchemes: { BearerToken: { type: 'apiKey', description: 'Bearer token', name: 'authorization', in: 'header' } },
    },
  }
}

function addKind(components: Components, struct: StructSchema | undefined, kinds: readonly GroupVersionKind[]): void {
  if (struct) components.add(struct, kinds)
}

function addSubresource(components: Components, name: string): void {
  const kind = subresourceKinds[name]
  if (kind) addKind(components, structSchema(packageOfApiVersion(groupVersion(kind)), kind.kind), [kind])
}

function addCommon(components: Components, resources: readonly Resource[]): void {
  const { group, version } = resources[0] ?? { group: '', version: 'v1' }
  addKind(components, structSchema('meta/v1', 'DeleteOptions'), [{ group, version, kind: 'DeleteOptions' }])
  addKind(components, structSchema('meta/v1', 'WatchEvent'), [{ group, version, kind: 'WatchEvent' }])
  addKind(components, structSchema('meta/v1', 'Status'), [{ group: '', version: 'v1', kind: 'Status' }])
  components.addPlain(componentName('meta/v1', 'Patch'), { description: 'A patch: which of its forms, the content type says.', type: 'object' })
}

const sorted = (object: JsonObject): JsonObject => Object.fromEntries(Object.entries(object).sort(([a], [b]) => a < b ? -1 : a > b ? 1 : 0))

/** `v1` is `api/v1`, `apps/v1` is `apis/apps/v1`. */
const indexPath = (version: string): string => `${version.includes('/') ? 'apis' : 'api'}/${version}`

/** The answer to `GET /openapi/v3`. A URL carries the hash of its document, which may be cached for ever. */
export function openApiV3Index(resources: readonly Resource[]): OpenApiIndex {
  const versions = [...new Set(resources.map(groupVersion))].sort()
  return { paths: Object.fromEntries(versions.map(version => {
    const path = indexPath(version)
    return [path, { serverRelativeURL: `/openapi/v3/${path}?hash=${makeOnce(version, resources).hash}` }]
  })) }
}

/** The document of one group-version (`v1`, `apps/v1`); undefined when no resource is of it. Shared: do not change it. */
export function openApiV3(version: string, resources: readonly Resource[]): OpenApiDocument | undefined {
  return resources.some(resource => groupVersion(resource) === version) ? makeOnce(version, resources).document : undefined
}

/** The same as JSON text, kept as well: it is some hundred kilobytes. */
export function openApiV3Json(version: string, resources: readonly Resource[]): string | undefined {
  return resources.some(resource => groupVersion(resource) === version) ? makeOnce(version, resources).text : undefined
}
