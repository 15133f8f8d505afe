// What the server serves, as clients ask for it: groups, versions, resources (old form and aggregated,
// KEP-3352), /version, the OpenAPI documents. All of it follows from the table of resources.
import { groupVersion, type Resource } from '#api/resources.ts'
import { wantsAggregated } from '../http/negotiate.ts'
import { objectResponse, textResponse, type Request, type Response } from '../http/request.ts'
import { openApiV3, openApiV3Index } from '../schema/openapi.ts'
import { subresourceFacts } from './subresources.ts'

/** The Kubernetes version whose behaviour this is. */
export const version = {
  major: '1', minor: '36', emulationMajor: '1', emulationMinor: '36', minCompatibilityMajor: '1', minCompatibilityMinor: '35',
  gitVersion: 'v1.36.3+fairway', gitCommit: '', gitTreeState: 'clean', buildDate: '2026-04-22T00:00:00Z', goVersion: '', compiler: 'node', platform: 'linux/amd64',
}

const allVerbs = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch']
const verbsOf = (resource: Resource) => resource.createOnly ? ['create'] : allVerbs

interface Source { readonly resources: readonly Resource[] }

/** Undefined when nothing is served under the path. */
export function discover({ resources }: Source, { path, headers }: Request): object | Response | undefined {
  const parts = path.split('/').filter(part => part !== '')
  if (parts.length === 0) return { paths: rootPaths(resources) }
  if (path === '/version') return version
  if (path === '/openapi/v2') return openApiV2(headers.accept)
  if (parts[0] === 'openapi') return openApi(resources, parts)
  if (parts[0] !== 'api' && parts[0] !== 'apis') return undefined
  if (parts.length === 1 && wantsAggregated(headers.accept)) return aggregated(resources, parts[0] === 'api')
  return parts[0] === 'api' ? legacyGroup(resources, parts) : namedGroups(resources, parts)
}

/**
 * OpenAPI v2 with no definitions. kubectl falls back to it for a kind that v3 does not have, and goes on
 * to say that the kind is unknown; all that is known of the kinds is in v3. As protobuf (gnostic's
 * openapiv2.Document): swagger = 1, info = 2 {title = 1, version = 2}, paths = 8.
 */
function openApiV2(accept = ''): object | Response {
  const title = 'Kubernetes', { gitVersion } = version
  if (!accept.includes('proto-openapi')) return { swagger: '2.0', info: { title, version: gitVersion }, paths: {} }
  const field = (number: number, text: string) => String.fromCharCode(number << 3 | 2, text.length) + text
  const document = field(1, '2.0') + field(2, field(1, title) + field(2, gitVersion)) + field(8, '')
  return { ...textResponse(document), headers: { 'content-type': 'application/com.github.proto-openapi.spec.v2.v1.0+protobuf' } }
}

const groupsOf = (resources: readonly Resource[]): string[] => [...new Set(resources.map(({ group }) => group))]
const versionsOf = (resources: readonly Resource[], group: string): string[] =>
  [...new Set(resources.filter(resource => resource.group === group).map(resource => resource.version))]

function rootPaths(resources: readonly Resource[]): string[] {
  const groups = groupsOf(resources).filter(group => group !== '')
  return ['/api', '/api/v1', '/apis', ...groups.flatMap(group => [`/apis/${group}`, ...versionsOf(resources, group).map(name => `/apis/${group}/${name}`)]),
    '/healthz', '/livez', '/openapi/v2', '/openapi/v3', '/readyz', '/version']
}

function legacyGroup(resources: readonly Resource[], [, asked, ...more]: readonly string[]): object | undefined {
  if (asked === undefined) return { kind: 'APIVersions', versions: ['v1'], serverAddressByClientCIDRs: [] }
  return more.length === 0 ? resourceList(resources, '', asked) : undefined
}

function namedGroups(resources: readonly Resource[], [, group, asked, ...more]: readonly string[]): object | undefined {
  if (group === undefined) {
    return { kind: 'APIGroupList', apiVersion: 'v1', groups: groupsOf(resources).filter(name => name !== '').map(name => apiGroup(resources, name)) }
  }
  if (more.length > 0 || versionsOf(resources, group).length === 0) return undefined
  return asked === undefined ? { kind: 'APIGroup', apiVersion: 'v1', ...apiGroup(resources, group) } : resourceList(resources, group, asked)
}

function apiGroup(resources: readonly Resource[], group: string) {
  const versions = versionsOf(resources, group).map(name => ({ groupVersion: `${group}/${name}`, version: name }))
  return { name: group, versions, preferredVersion: versions[0] }
}

function resourceList(resources: readonly Resource[], group: string, asked: string): object | undefined {
  const own = resources.filter(resource => resource.group === group && resource.version === asked)
  if (own.length === 0) return undefined
  return { kind: 'APIResourceList', apiVersion: 'v1', groupVersion: groupVersion(own[0]!), resources: own.flatMap(resource => [
    { name: resource.plural, singularName: resource.singular, namespaced: resource.namespaced, kind: resource.kind, verbs: verbsOf(resource),
      ...(resource.shortNames.length > 0 && { shortNames: resource.shortNames }), ...(resource.categories.length > 0 && { categories: resource.categories }) },
    ...resource.subresources.map(name => {
      const { responseKind: { group, version, kind }, verbs } = subresourceFacts(resource, name)
      return { name: `${resource.plural}/${name}`, singularName: '', namespaced: resource.namespaced, kind, verbs, ...(group !== resource.group && { group, version }) }
    }),
  ]) }
}

function aggregated(resources: readonly Resource[], legacy: boolean): Response {
  const groups = groupsOf(resources).filter(group => (group === '') === legacy)
  const value = { kind: 'APIGroupDiscoveryList', apiVersion: 'apidiscovery.k8s.io/v2', metadata: {}, items: groups.map(group => ({
    metadata: { ...(group && { name: group }), creationTimestamp: null },
    versions: versionsOf(resources, group).map(name => ({ version: name, freshness: 'Current',
      resources: resources.filter(resource => resource.group === group && resource.version === name).map(aggregatedResource) })),
  })) }
  return { ...objectResponse(value), headers: { 'content-type': 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList', vary: 'Accept' } }
}

const aggregatedResource = (resource: Resource) => ({
  resource: resource.plural, responseKind: { group: resource.group, version: resource.version, kind: resource.kind },
  scope: resource.namespaced ? 'Namespaced' : 'Cluster', singularResource: resource.singular, verbs: verbsOf(resource),
  ...(resource.shortNames.length > 0 && { shortNames: resource.shortNames }), ...(resource.categories.length > 0 && { categories: resource.categories }),
  ...(resource.subresources.length > 0 && { subresources: resource.subresources.map(name => ({ subresource: name, ...subresourceFacts(resource, name) })) }),
})

// Made once for each group and version: a document takes longer to make than to send.
const documents = new WeakMap<readonly Resource[], Map<string, object>>()

function openApi(resources: readonly Resource[], [, form, ...rest]: readonly string[]): object | undefined {
  if (form !== 'v3') return undefined
  const place = rest.join('/')
  if (place !== '' && !resources.some(resource => place === (resource.group ? `apis/${groupVersion(resource)}` : `api/${resource.version}`))) return undefined
  const made = documents.get(resources) ?? new Map<string, object>()
  documents.set(resources, made)
  const known = made.get(place)
  if (known) return known
  const document = place === '' ? openApiV3Index(resources) : openApiV3(place.replace(/^apis?\//, ''), resources)
  if (document) made.set(place, document)
  return document
}
