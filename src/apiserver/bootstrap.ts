// The objects that a server makes before it is ready: the system's namespaces, the bootstrap policy, and
// Service default/kubernetes with endpoints that lead to itself.
import type { Endpoints, Service } from '#api/core/v1.ts'
import type { EndpointSlice } from '#api/discovery/v1.ts'
import type { KubeObject } from '#api/object.ts'
import type { PolicyRule } from '#api/rbac/v1.ts'
import { resourceOfKind, resources, type Resource } from '#api/resources.ts'
import { equal } from '#lib/equal.ts'
import { at, formatIp } from '#net/ip.ts'
import { uncovered } from './authz/rules.ts'
import type { ApiServerConfig } from './config.ts'
import type { Api } from './http/api.ts'
import type { Content } from './rest/metadata.ts'
import type { Store } from './rest/store.ts'
import { bootstrapPolicy } from './registry/bootstrap.ts'

const caller = { user: 'system:apiserver' }
const namespaces = ['default', 'kube-system', 'kube-public', 'kube-node-lease']

export async function ensureSystemObjects(api: Api, config: ApiServerConfig): Promise<void> {
  const store = ({ group, version, plural }: Resource): Store => {
    const found = api.stores.get(group, version, plural)
    if (!found) throw new Error(`the server has no storage for ${plural}`)
    return found
  }
  for (const name of namespaces) await ensure(store(resources.namespaces), { metadata: { name } })
  await Promise.all(bootstrapPolicy().map(object => ensurePolicy(store(resourceOfKind(object.apiVersion!, object.kind!)!), object)))
  await ensure(store(resources.services), kubernetesService(config))
  // Loopback is another machine to every pod: such a server has no endpoints.
  if (!config.advertiseAddress || isLoopback(config.advertiseAddress)) return
  await reconcile(store(resources.endpoints), endpoints(config.advertiseAddress, config.advertisePort), 'subsets')
  await reconcile(store(resources.endpointslices), endpointSlice(config.advertiseAddress, config.advertisePort), 'endpoints', 'ports', 'addressType')
}

const isLoopback = (address: string): boolean => address.startsWith('127.') || address === '::1'

/** A policy object that is there keeps what was added to it and gets what it lacks (upstream's reconciliation), unless it says no. */
async function ensurePolicy(store: Store, wanted: KubeObject & { rules?: PolicyRule[] }): Promise<void> {
  const { namespace, name } = wanted.metadata
  const entry = store.backend.storage.get(store.key(namespace, name))
  if (!entry) { await store.create(structuredClone(wanted), caller); return }
  const found = entry.value as typeof wanted
  if (found.metadata.annotations?.['rbac.authorization.kubernetes.io/autoupdate'] === 'false') return
  const missing = uncovered(found.rules ?? [], wanted.rules ?? [])
  if (missing.length === 0) return
  await store.update(namespace, name, old => ({ ...structuredClone(old), rules: [...structuredClone(found.rules ?? []), ...missing] }) as Content, caller)
}

async function ensure(store: Store, draft: KubeObject): Promise<void> {
  const { namespace, name } = draft.metadata
  if (!store.backend.storage.get(store.key(namespace, name))) await store.create(draft, caller)
}

/** Makes the object, or corrects the fields named of the one that is there. */
async function reconcile<T extends KubeObject>(store: Store, wanted: T, ...fields: (keyof T)[]): Promise<void> {
  const { namespace, name } = wanted.metadata
  const entry = store.backend.storage.get(store.key(namespace, name))
  if (!entry) { await store.create(structuredClone(wanted) as Content, caller); return }
  if (fields.every(field => equal((entry.value as T)[field], wanted[field]))) return
  await store.update(namespace, name, old => {
    const draft = structuredClone(old) as KubeObject as T
    for (const field of fields) draft[field] = wanted[field]
    return draft as KubeObject as Content
  }, caller)
}

const labels = { component: 'apiserver', provider: 'kubernetes' }

const kubernetesService = ({ settings, advertisePort }: ApiServerConfig): Service => ({
  metadata: { name: 'kubernetes', namespace: 'default', labels },
  spec: { type: 'ClusterIP', clusterIP: formatIp(at(settings.serviceCidr, 1)), ports: [{ name: 'https', protocol: 'TCP', port: 443, targetPort: advertisePort }] },
})

// Upstream's label: the EndpointSlice is written here, nobody has to mirror it.
const skipMirror = { 'endpointslice.kubernetes.io/skip-mirror': 'true' }

const endpoints = (address: string, port: number): Endpoints => ({
  metadata: { name: 'kubernetes', namespace: 'default', labels: skipMirror },
  subsets: [{ addresses: [{ ip: address }], ports: [{ name: 'https', port, protocol: 'TCP' }] }],
})

const endpointSlice = (address: string, port: number): EndpointSlice => ({
  metadata: { name: 'kubernetes', namespace: 'default', labels: { 'kubernetes.io/service-name': 'kubernetes' } },
  addressType: address.includes(':') ? 'IPv6' : 'IPv4',
  endpoints: [{ addresses: [address], conditions: { ready: true } }],
  ports: [{ name: 'https', port, protocol: 'TCP' }],
})
