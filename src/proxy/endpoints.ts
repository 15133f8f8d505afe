// EndpointSlices to the endpoints of a Service's ports: merges several slices, drops duplicates.
// Which of them a packet may reach is decided in topology.ts.
import type { Endpoint as SliceEndpoint, EndpointSlice } from '#api/discovery/v1.ts'
import { formatIp, parseIp, type Family } from '#net/ip.ts'

export interface Endpoint {
  readonly ip: string
  readonly port: number
  /** `10.244.1.2:80`, `[fd00::2]:80`. */
  readonly address: string
  readonly isLocal: boolean
  readonly ready: boolean
  readonly serving: boolean
  readonly terminating: boolean
  readonly nodeName: string
  readonly zoneHints: readonly string[]
  readonly nodeHints: readonly string[]
}

export const labelServiceName = 'kubernetes.io/service-name'

/** `namespace/name` of the Service that a slice belongs to. */
export const serviceOf = (slice: EndpointSlice): string | undefined => {
  const name = slice.metadata.labels?.[labelServiceName]
  return name ? `${slice.metadata.namespace}/${name}` : undefined
}

/** How endpoints are looked up: by the name and protocol of the Service's port. */
export const endpointKey = (portName: string, protocol: string): string => `${portName}/${protocol}`

/** The endpoints of every port that the slices of one Service have, sorted by address. */
export function endpoints(slices: readonly EndpointSlice[], family: Family, nodeName: string): Map<string, Endpoint[]> {
  const byPort = new Map<string, Map<string, Endpoint>>()
  for (const slice of slices) {
    if (slice.addressType !== `IPv${family}`) continue
    for (const { name = '', protocol = 'TCP', port } of slice.ports ?? []) {
      if (!Number.isInteger(port)) continue // an absent port means "all ports", which a proxy cannot express
      const key = endpointKey(name, protocol)
      const found = byPort.get(key) ?? byPort.set(key, new Map()).get(key)!
      for (const item of slice.endpoints ?? []) add(found, endpoint(item, port!, { family, nodeName }))
    }
  }
  return new Map([...byPort].map(([key, found]) =>
    [key, [...found.values()].sort((a, b) => a.address < b.address ? -1 : a.address > b.address ? 1 : 0)]))
}

// EndpointSliceCache.addEndpoints: of two mentions of one address the local one wins, then the later.
const add = (found: Map<string, Endpoint>, one: Endpoint | undefined) => {
  if (one && (!found.has(one.address) || one.isLocal)) found.set(one.address, one)
}

/** Only the first address counts, as upstream; one that is no address of the family gives no endpoint. */
function endpoint(item: SliceEndpoint, port: number, { family, nodeName }: { family: Family; nodeName: string }): Endpoint | undefined {
  const parsed = parseIp(item.addresses[0] ?? '')
  if (parsed?.family !== family) return undefined
  const ip = formatIp(parsed)
  const { ready = true, serving = ready, terminating = false } = item.conditions ?? {}
  return {
    ip, port, address: family === 6 ? `[${ip}]:${port}` : `${ip}:${port}`,
    isLocal: item.nodeName !== undefined && item.nodeName === nodeName, nodeName: item.nodeName ?? '',
    ready, serving, terminating,
    zoneHints: (item.hints?.forZones ?? []).map(zone => zone.name),
    nodeHints: (item.hints?.forNodes ?? []).map(node => node.name),
  }
}
