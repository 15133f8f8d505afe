// What DNS needs of the objects of the API, and nothing else: everything here is kept in memory for
// every Service, endpoint and pod of the cluster. The shapes stay those of the API, with fields left out.
import type { Namespace, Pod, Service } from '#api/core/v1.ts'
import type { Endpoint, EndpointConditions, EndpointSlice } from '#api/discovery/v1.ts'
import type { ObjectMeta } from '#api/meta/v1.ts'

export const serviceNameLabel = 'kubernetes.io/service-name'
/** When the change began that led to this version of a slice: for the programming latency (an SLI of SIG Scalability). */
export const triggerAnnotation = 'endpoints.kubernetes.io/last-change-trigger-time'

/** Removes what DNS does not need; undefined when the object is not to be kept at all. */
export type Strip<T> = (object: T) => T | undefined

function slimMeta({ name, namespace, uid, resourceVersion }: ObjectMeta, more: Partial<ObjectMeta> = {}): ObjectMeta {
  return { name, ...(namespace && { namespace }), ...(uid && { uid }), ...(resourceVersion && { resourceVersion }), ...more } as ObjectMeta
}

export const slimService: Strip<Service> = ({ metadata, spec, status }) => {
  const ingress = status?.loadBalancer?.ingress
  return {
    kind: 'Service', metadata: slimMeta(metadata),
    spec: {
      ...(spec.type && { type: spec.type }), ...(spec.clusterIP && { clusterIP: spec.clusterIP }), ...(spec.clusterIPs && { clusterIPs: spec.clusterIPs }),
      ...(spec.externalName && { externalName: spec.externalName }), ...(spec.externalIPs && { externalIPs: spec.externalIPs }),
      ...(spec.selector && Object.keys(spec.selector).length > 0 && { selector: anySelector }),
      ports: (spec.ports ?? []).map(({ name, protocol, port }) => ({ ...(name && { name }), protocol: protocol ?? 'TCP', port })),
    },
    ...(ingress && { status: { loadBalancer: { ingress: ingress.map(({ ip, hostname }) => ({ ...(ip && { ip }), ...(hostname && { hostname }) })) } } }),
  }
}
/** Only whether there is one matters. */
const anySelector = Object.freeze({ any: '' }) as Record<string, string>

const ready: EndpointConditions = Object.freeze({ ready: true }), notReady: EndpointConditions = Object.freeze({ ready: false })

const slimEndpoint = ({ addresses, conditions, hostname, targetRef }: Endpoint): Endpoint => ({
  addresses, conditions: conditions?.ready === false ? notReady : ready,
  ...(hostname && { hostname }), ...(targetRef?.name && { targetRef: { name: targetRef.name } }),
})

export const slimSlice: Strip<EndpointSlice> = ({ metadata, addressType, endpoints, ports }) => {
  const service = metadata.labels?.[serviceNameLabel], trigger = metadata.annotations?.[triggerAnnotation]
  if (!service) return undefined
  return {
    kind: 'EndpointSlice', addressType,
    metadata: slimMeta(metadata, { labels: { [serviceNameLabel]: service }, ...(trigger && { annotations: { [triggerAnnotation]: trigger } }) }),
    endpoints: (endpoints ?? []).map(slimEndpoint),
    ports: (ports ?? []).map(({ name, protocol, port }) => ({ ...(name && { name }), protocol: protocol ?? 'TCP', ...(port !== undefined && { port }) })),
  }
}

export const slimNamespace: Strip<Namespace> = ({ metadata }) => ({ kind: 'Namespace', metadata: slimMeta(metadata), spec: {} })

/** A pod that is going, or has ended, has no name: its address may be another's in a moment. */
export const slimPod: Strip<Pod> = ({ metadata, spec, status }) => {
  const ips = status?.podIPs?.flatMap(({ ip }) => ip ? [{ ip }] : []) ?? (status?.podIP ? [{ ip: status.podIP }] : [])
  const phase = status?.phase
  if (metadata.deletionTimestamp || ips.length === 0 || phase === 'Succeeded' || phase === 'Failed') return undefined
  return { kind: 'Pod', metadata: slimMeta(metadata), spec: { containers: [], ...(spec?.hostNetwork && { hostNetwork: true }) }, status: { ...(phase && { phase }), podIPs: ips } }
}
