// The endpoints that a Service should have, before they are packed into slices: pods to endpoints,
// grouped by address family and by the ports they serve.
import type { Node, Pod, Service } from '#api/core/v1.ts'
import type { Endpoint, EndpointHints, EndpointPort } from '#api/discovery/v1.ts'
import { parseIp } from '#net/ip.ts'
import { isReady } from '../pods/state.ts'
import { belongs, hostnameFor, podIps, targetPort } from '../services/pods.ts'

export type AddressType = 'IPv4' | 'IPv6'

export interface Group { readonly addressType: AddressType; readonly ports: readonly EndpointPort[]; readonly endpoints: readonly Endpoint[] }

export interface Input { readonly service: Service; readonly pods: readonly Pod[]; node(name: string): Node | undefined }

/** One for each family of the service; a headless one made before families were known has both (getAddressTypesForService). */
export function addressTypes({ spec }: Service): AddressType[] {
  const families = spec.ipFamilies?.length ? spec.ipFamilies : spec.clusterIP && spec.clusterIP !== 'None' ? [parseIp(spec.clusterIP)?.family === 6 ? 'IPv6' : 'IPv4'] : ['IPv4', 'IPv6']
  return families as AddressType[]
}

/** Groups in the order of their first pod; a family without endpoints has one empty group. */
export function groups(input: Input): Group[] {
  return addressTypes(input.service).flatMap(addressType => {
    const found = new Map<string, { ports: EndpointPort[]; endpoints: Endpoint[] }>()
    for (const pod of [...input.pods].sort((a, b) => a.metadata.name < b.metadata.name ? -1 : 1)) {
      const made = belongs(pod, true) ? endpoint(pod, addressType, input) : undefined
      if (!made) continue
      const ports = portsOf(input.service, pod), key = portsKey(ports)
      if (!found.has(key)) found.set(key, { ports, endpoints: [] })
      found.get(key)!.endpoints.push(made)
    }
    return found.size > 0 ? [...found.values()].map(group => ({ addressType, ...group })) : [{ addressType, ports: [], endpoints: [] }]
  })
}

/** A port that this pod does not have is left out. */
function portsOf(service: Service, pod: Pod): EndpointPort[] {
  return (service.spec.ports ?? []).flatMap(port => {
    const number = targetPort(pod, port)
    return number === undefined ? [] : [{ name: port.name ?? '', protocol: port.protocol ?? 'TCP', port: number, ...(port.appProtocol !== undefined && { appProtocol: port.appProtocol }) }]
  })
}
/** Equal for equal sets of ports, whatever their order. */
export const portsKey = (ports: readonly EndpointPort[] | undefined): string =>
  (ports ?? []).map(port => [port.name ?? '', port.protocol ?? 'TCP', port.port, port.appProtocol ?? ''].join('/')).sort().join(',')

// podToEndpoint.
function endpoint(pod: Pod, addressType: AddressType, { service, node }: Input): Endpoint | undefined {
  const addresses = podIps(pod).filter(ip => parseIp(ip)?.family === (addressType === 'IPv6' ? 6 : 4))
  if (addresses.length === 0) return undefined
  const { namespace, name, uid, deletionTimestamp } = pod.metadata, { nodeName } = pod.spec
  const serving = isReady(pod), terminating = deletionTimestamp !== undefined
  const ready = service.spec.publishNotReadyAddresses === true || (serving && !terminating)
  const zone = nodeName ? node(nodeName)?.metadata.labels?.['topology.kubernetes.io/zone'] : undefined
  const hostname = hostnameFor(service, pod), hints = ready ? hintsFor(service, { nodeName, zone }) : undefined
  return {
    addresses, conditions: { ready, serving, terminating }, ...(hostname && { hostname }),
    targetRef: { kind: 'Pod', namespace, name, uid }, ...(nodeName && { nodeName }), ...(zone && { zone }), ...(hints && { hints }),
  }
}

// KEP-4444, KEP-3015: the same node names its zone as well, for proxies that know only zones.
function hintsFor({ spec }: Service, { nodeName, zone }: { nodeName: string | undefined; zone: string | undefined }): EndpointHints | undefined {
  const byNode = spec.trafficDistribution === 'PreferSameNode'
  const byZone = byNode || spec.trafficDistribution === 'PreferClose' || spec.trafficDistribution === 'PreferSameZone'
  const hints: EndpointHints = { ...(byZone && zone && { forZones: [{ name: zone }] }), ...(byNode && nodeName && { forNodes: [{ name: nodeName }] }) }
  return Object.keys(hints).length > 0 ? hints : undefined
}
