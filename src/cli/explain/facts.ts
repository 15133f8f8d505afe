// The objects of one Service put together: its pods, the endpoints of its slices with their pods,
// the nodes and the kube-proxy of each. Every step of the explanation reads this one value.
import type { Node, Pod, Service, ServicePort } from '#api/core/v1.ts'
import type { Endpoint as SliceEndpoint, EndpointSlice } from '#api/discovery/v1.ts'
import { selects } from '#api/object.ts'
import { formatIp, parseIp } from '#net/ip.ts'
import type { Objects, Observations } from './explanation.ts'
import { nodeProxies, type NodeProxies } from './proxies.ts'

export interface EndpointPort { readonly name: string; readonly protocol: string; readonly port: number }

/** One address that the slices of a Service hold. */
export interface Endpoint {
  readonly ip: string
  readonly pod?: Pod
  readonly node: string
  readonly ready: boolean
  readonly serving: boolean
  readonly terminating: boolean
  readonly zoneHints: readonly string[]
  readonly nodeHints: readonly string[]
  readonly ports: readonly EndpointPort[]
}

export interface Facts {
  readonly service: Service
  readonly name: string
  readonly namespace: string
  readonly ports: readonly ServicePort[]
  readonly headless: boolean
  /** undefined: nothing selects, someone else fills the endpoints. */
  readonly selector: Readonly<Record<string, string>> | undefined
  /** Those that the selector matches and that have not ended. */
  readonly pods: readonly Pod[]
  /** Those that it matches and that have ended. */
  readonly ended: readonly Pod[]
  readonly endpoints: readonly Endpoint[]
  readonly nodes: readonly Node[]
  readonly proxies: NodeProxies
  readonly objects: Objects
  readonly seen: Observations
}

const byName = (a: Pod, b: Pod) => a.metadata.name < b.metadata.name ? -1 : 1
export const hasEnded = (pod: Pod): boolean => pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed'

export function facts(objects: Objects, seen: Observations): Facts {
  const { service } = objects, { namespace = 'default', name } = service.metadata
  const selector = Object.keys(service.spec.selector ?? {}).length > 0 && service.spec.type !== 'ExternalName' ? service.spec.selector : undefined
  const selected = objects.pods.filter(pod => pod.metadata.namespace === namespace && selects(selector, pod.metadata.labels)).sort(byName)
  const nodes = [...objects.nodes ?? []].sort((a, b) => a.metadata.name < b.metadata.name ? -1 : 1)
  return {
    service, name, namespace, selector, objects, seen, nodes,
    ports: service.spec.type === 'ExternalName' ? [] : service.spec.ports ?? [],
    headless: service.spec.clusterIP === 'None',
    pods: selected.filter(pod => !hasEnded(pod)), ended: selected.filter(hasEnded),
    endpoints: endpoints(objects.slices, objects.pods.filter(pod => pod.metadata.namespace === namespace)),
    proxies: nodeProxies(objects, nodes, seen),
  }
}

/** The slices' addresses, each once with the ports of all the slices that hold it. */
function endpoints(slices: readonly EndpointSlice[], pods: readonly Pod[]): Endpoint[] {
  const found = new Map<string, Endpoint>(), byPodName = new Map(pods.map(pod => [pod.metadata.name, pod]))
  for (const slice of slices) {
    if (slice.addressType === 'FQDN') continue
    const ports = (slice.ports ?? []).flatMap(({ name = '', protocol = 'TCP', port }) => port === undefined ? [] : [{ name, protocol, port }])
    for (const item of slice.endpoints ?? []) {
      // kube-proxy takes the first address of an endpoint and no other.
      const ip = canonical(item.addresses[0] ?? ''), known = found.get(ip)
      found.set(ip, known ? { ...known, ports: union(known.ports, ports) } : endpoint(item, { ip, ports, pods: byPodName }))
    }
  }
  return [...found.values()].sort((a, b) => a.ip < b.ip ? -1 : 1)
}

function endpoint(item: SliceEndpoint, { ip, ports, pods }: { ip: string; ports: readonly EndpointPort[]; pods: ReadonlyMap<string, Pod> }): Endpoint {
  const { ready = true, serving = ready, terminating = false } = item.conditions ?? {}
  const pod = item.targetRef?.kind === 'Pod' ? pods.get(item.targetRef.name ?? '') : undefined
  return { ip, ...(pod && { pod }), node: item.nodeName ?? '', ready, serving, terminating, ports,
    zoneHints: (item.hints?.forZones ?? []).map(zone => zone.name), nodeHints: (item.hints?.forNodes ?? []).map(node => node.name) }
}

const union = (a: readonly EndpointPort[], b: readonly EndpointPort[]): readonly EndpointPort[] =>
  [...a, ...b.filter(port => !a.some(other => other.name === port.name && other.protocol === port.protocol && other.port === port.port))]

export const canonical = (ip: string): string => { const parsed = parseIp(ip); return parsed ? formatIp(parsed) : ip }

export const isNodeReady = (node: Node | undefined): boolean =>
  node?.status?.conditions?.find(condition => condition.type === 'Ready')?.status === 'True'

export const isPodReady = (pod: Pod): boolean => pod.status?.conditions?.find(condition => condition.type === 'Ready')?.status === 'True'

/** The target of a Service port in a slice: matched by name and protocol, as kube-proxy does. */
export const targetIn = (endpoint: Endpoint, port: ServicePort): EndpointPort | undefined =>
  endpoint.ports.find(target => target.name === (port.name ?? '') && target.protocol === (port.protocol ?? 'TCP'))

/** Whether packets come to it when nothing else is against it. */
export const isUsable = (endpoint: Endpoint): boolean => endpoint.ready || (endpoint.serving && endpoint.terminating)

export const reachableFromOutside = ({ service }: Facts): boolean =>
  service.spec.type === 'NodePort' || service.spec.type === 'LoadBalancer' || (service.spec.externalIPs?.length ?? 0) > 0
