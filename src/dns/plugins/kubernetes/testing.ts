// For tests: objects in one line each, an instance over a catalog that no API server fills, and
// answers as short text.
import type { Namespace, Pod, Service } from '#api/core/v1.ts'
import type { Endpoint, EndpointSlice } from '#api/discovery/v1.ts'
import { unpack } from '../../answer.ts'
import type { Answer, Env } from '../../plugin.ts'
import type { Query } from '../../query.ts'
import { ask, optionsOf, testEnv } from '../../testing.ts'
import { showName } from '../../wire/name.ts'
import { showData } from '../../wire/rdata.ts'
import { rcodeName, types, typeName } from '../../wire/types.ts'
import { Catalog } from './catalog.ts'
import type { KubernetesOptions } from './config.ts'
import { Kubernetes } from './instance.ts'
import { slimNamespace, slimPod, slimService, slimSlice } from './objects.ts'
import { plugin } from './plugin.ts'
import { identityOf, Source } from './source.ts'

let version = 0
const meta = (path: string) => {
  const [namespace, name] = path.split('/') as [string, string]
  return { namespace, name, uid: path, resourceVersion: String(++version) }
}
/** `http/TCP:80` or `:80` (unnamed). */
export function port(text: string): { name?: string; protocol: string; port: number } {
  const [, name, protocol = 'TCP', number] = /^([^/:]*)(?:\/([A-Z]+))?:(\d+)$/.exec(text)!
  return { ...(name && { name }), protocol, port: Number(number) }
}

/** `service('default/web', '10.96.0.20', 'http:80')`; several addresses with commas, `None` for headless. */
export const service = (path: string, ips: string, ports = '', more: Partial<Service['spec']> & { ingress?: string[] } = {}): Service => {
  const { ingress, ...spec } = more
  return { metadata: meta(path), spec: { type: 'ClusterIP', clusterIP: ips.split(',')[0]!, clusterIPs: ips.split(','), ports: ports ? ports.split(' ').map(port) : [], ...spec },
    ...(ingress && { status: { loadBalancer: { ingress: ingress.map(ip => ({ ip })) } } }) }
}
export const externalName = (path: string, target: string): Service => ({ metadata: meta(path), spec: { type: 'ExternalName', externalName: target } })

/** Endpoints as `10.244.1.5`, `db-0=10.244.1.5` (hostname), `!10.244.1.5` (not ready), `10.244.1.5@pod`. */
export function slice(path: string, of: string, endpoints: string, ports = ''): EndpointSlice {
  const all = endpoints.split(' ').filter(Boolean).map((text): Endpoint => {
    const [, not, hostname, ip, pod] = /^(!?)(?:([^=]+)=)?([^@]+)(?:@(.+))?$/.exec(text)!
    return { addresses: [ip!], ...(not ? { conditions: { ready: false } } : {}), ...(hostname && { hostname }), ...(pod && { targetRef: { kind: 'Pod', name: pod } }) }
  })
  const metadata = meta(path)
  return { metadata: { ...metadata, labels: { 'kubernetes.io/service-name': of } }, addressType: endpoints.includes(':') ? 'IPv6' : 'IPv4', endpoints: all, ports: ports ? ports.split(' ').map(port) : [] }
}
export const namespace = (name: string): Namespace => ({ metadata: { name, uid: name, resourceVersion: String(++version) }, spec: {} })
export const pod = (path: string, ips: string, more: { hostNetwork?: boolean } = {}): Pod =>
  ({ metadata: meta(path), spec: { containers: [], ...more }, status: { phase: 'Running', podIPs: ips.split(',').map(ip => ({ ip })) } })

export interface Objects { readonly namespaces?: readonly Namespace[]; readonly services?: readonly Service[]; readonly slices?: readonly EndpointSlice[]; readonly pods?: readonly Pod[] }

export function fill(catalog: Catalog, { namespaces = [], services = [], slices = [], pods = [] }: Objects): void {
  for (const object of namespaces) catalog.changeNamespace(undefined, slimNamespace(object))
  for (const object of services) catalog.changeService(undefined, slimService(object))
  for (const object of slices) catalog.changeSlice(undefined, slimSlice(object))
  for (const object of pods) catalog.changePod(undefined, slimPod(object))
}

/** An instance as a Corefile's lines make it, over these objects. */
export function clusterOf(lines: string, objects: Objects, { env = testEnv(), localIps = [] as readonly string[], synced = true }: { env?: Env; localIps?: readonly string[]; synced?: boolean } = {}): { instance: Kubernetes; catalog: Catalog; options: KubernetesOptions } {
  const options = optionsOf(plugin, lines)
  const catalog = new Catalog({ podNames: options.endpointPodNames, now: env.now })
  fill(catalog, objects)
  catalog.synced = synced
  const source = new Source(identityOf(options), catalog, () => ({ synced: Promise.resolve(), stop() {} }))
  return { instance: new Kubernetes(options, env, { source, localIps }), catalog, options }
}

/** `web.default.svc A`: below cluster.local without a last dot. */
export function question(text: string): Query {
  const [name, type] = text.split(' ') as [string, string]
  return ask(name.endsWith('.') ? name : `${name}.cluster.local`, type)
}

/**
 * `A 10.0.0.1, A 10.0.0.2 + web.default.svc.cluster.local. A 10.96.0.20`; owners that are not the
 * question's come first; `NODATA` and `NXDOMAIN` have their zone's SOA; a TTL that is not `ttl` stands behind `@`.
 */
export function brief(answer: Answer, query: Query, ttl = 30): string {
  const { rcode, flags: bits, answer: records, authority, additional } = unpack(answer, query)
  const line = (record: (typeof records)[number], section: 'answer' | 'additional') => [
    ...(section === 'answer' && record.name.toLowerCase() === query.name ? [] : [showName(record.name)]), typeName(record.type), showData(record), ...(record.ttl === ttl ? [] : [`@${record.ttl}`])].join(' ')
  const soa = authority[0]?.type === types.SOA ? ` ${showName(authority[0].name)}` : authority.length ? ' with authority' : ''
  const status = rcode === 0 ? (records.length ? '' : 'NODATA') : rcodeName(rcode)
  const answers = records.map(record => line(record, 'answer')).join(', ')
  return [`${status}${status ? soa : ''}`, answers, additional.length ? `+ ${additional.map(record => line(record, 'additional')).join(', ')}` : '', bits & 0x0200 ? 'TC' : ''].filter(Boolean).join(' ')
}
