// What a Service and its pods say to each other, for Endpoints and EndpointSlices alike (upstream's
// endpoint/controller_utils.go): which pods count, their ports, and when something about them changed.
import type { Pod, Service, ServicePort } from '#api/core/v1.ts'
import { equal } from '#lib/equal.ts'
import { condition, isReady, isTerminal, millis } from '../pods/state.ts'

export const triggerAnnotation = 'endpoints.kubernetes.io/last-change-trigger-time'
export const headlessLabel = 'service.kubernetes.io/headless'

export const isHeadless = (service: Service): boolean => service.spec.clusterIP === 'None'
/** Without a selector somebody else writes the endpoints; an ExternalName has none. */
export const isManaged = (service: Service): boolean => service.spec.selector !== undefined && Object.keys(service.spec.selector).length > 0 && service.spec.type !== 'ExternalName'

export const podIps = (pod: Pod): string[] => pod.status?.podIPs?.map(entry => entry.ip).filter(ip => ip !== '') ?? (pod.status?.podIP ? [pod.status.podIP] : [])

/** ShouldPodBeInEndpoints. */
export const belongs = (pod: Pod, includeTerminating: boolean): boolean =>
  !isTerminal(pod) && podIps(pod).length > 0 && (includeTerminating || pod.metadata.deletionTimestamp === undefined)

export const hostnameFor = (service: Service, pod: Pod): string | undefined =>
  pod.spec.hostname && pod.spec.subdomain === service.metadata.name && pod.metadata.namespace === service.metadata.namespace ? pod.spec.hostname : undefined

/** A target port by name is looked up in each pod, and may differ from one to the next; undefined when the pod has none (FindPort). */
export function targetPort(pod: Pod, port: ServicePort): number | undefined {
  const target = port.targetPort ?? port.port
  if (typeof target === 'number') return target || port.port
  const containers = [...pod.spec.containers, ...(pod.spec.initContainers ?? []).filter(container => container.restartPolicy === 'Always')]
  return containers.flatMap(container => container.ports ?? [])
    .find(named => named.name === target && (named.protocol ?? 'TCP') === (port.protocol ?? 'TCP'))?.containerPort
}

/** What of a pod can change an endpoint; heartbeats and container statuses cannot. */
export const endpointFacts = (pod: Pod): unknown => ({ ready: isReady(pod), terminal: isTerminal(pod), leaving: pod.metadata.deletionTimestamp !== undefined,
  ips: podIps(pod), node: pod.spec.nodeName, labels: pod.metadata.labels, hostname: pod.spec.hostname, subdomain: pod.spec.subdomain })
export const sameEndpoint = (a: Pod, b: Pod): boolean => equal(endpointFacts(a), endpointFacts(b))

/** `namespace/key=value` of one label that every selected pod has: the index by which pods and services find each other. */
export const selectorPair = (service: Service): string => {
  const [key, value] = Object.entries(service.spec.selector!).sort(([a], [b]) => a < b ? -1 : 1)[0]!
  return `${service.metadata.namespace}/${key}=${value}`
}
export const labelPairs = (pod: Pod): string[] => Object.entries(pod.metadata.labels ?? {}).map(([key, value]) => `${pod.metadata.namespace}/${key}=${value}`)

/** When the service and its pods last changed, as far as it was told (upstream's TriggerTimeTracker). */
export interface Triggers { readonly service: number; readonly pods: ReadonlyMap<string, number> }

export const triggersOf = (service: Service, pods: readonly Pod[]): Triggers => ({
  service: millis(service.metadata.creationTimestamp),
  pods: new Map(pods.map(pod => [pod.metadata.uid!, millis(condition(pod, 'Ready')?.lastTransitionTime)])),
})
/** The earliest change since `before`; undefined when nothing is newer. A pod that went tells no time. */
export function triggerTime(before: Triggers | undefined, now: Triggers): number | undefined {
  const times = [...now.pods].filter(([uid, time]) => time > (before?.pods.get(uid) ?? 0)).map(([, time]) => time)
  if (now.service > (before?.service ?? 0)) times.push(now.service)
  return times.length === 0 ? undefined : Math.min(...times)
}
