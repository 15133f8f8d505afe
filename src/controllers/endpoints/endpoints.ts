// The Endpoints object that a Service should have: its pods' addresses and ports as subsets
// (upstream's endpoints controller and RepackSubsets).
import type { EndpointAddress, EndpointPort, Endpoints, EndpointSubset, Pod, Service } from '#api/core/v1.ts'
import { time } from '#lib/clock.ts'
import { equal } from '#lib/equal.ts'
import { parseIp } from '#net/ip.ts'
import { isReady } from '../pods/state.ts'
import { belongs, headlessLabel, hostnameFor, isHeadless, podIps, targetPort, triggerAnnotation } from '../services/pods.ts'

export const managedByLabel = 'endpoints.kubernetes.io/managed-by'
const overCapacity = 'endpoints.kubernetes.io/over-capacity'
/** Beyond this the object says that it was truncated; EndpointSlices have them all. */
export const maxAddresses = 1000

export function endpoints(service: Service, pods: readonly Pod[], { current, trigger }: { current: Endpoints | undefined; trigger: number | undefined }): Endpoints {
  const { kept, truncated } = truncate(subsets(service, pods))
  const { [overCapacity]: _, [triggerAnnotation]: _time, ...annotations } = current?.metadata.annotations ?? {}
  if (truncated) annotations[overCapacity] = 'truncated'
  if (trigger !== undefined) annotations[triggerAnnotation] = time(trigger)
  const { [headlessLabel]: _headless, ...labels } = service.metadata.labels ?? {}
  return {
    apiVersion: 'v1', kind: 'Endpoints', ...(kept.length > 0 && { subsets: kept }),
    metadata: { ...current?.metadata ?? { name: service.metadata.name, namespace: service.metadata.namespace },
      labels: { ...labels, [managedByLabel]: 'endpoint-controller', ...(isHeadless(service) && { [headlessLabel]: '' }) },
      ...(Object.keys(annotations).length > 0 ? { annotations } : { annotations: undefined }) },
  }
}

/** The trigger time alone is no reason to write. */
export const sameEndpoints = (a: Endpoints, b: Endpoints): boolean =>
  equal(a.subsets ?? [], b.subsets ?? []) && equal(a.metadata.labels ?? {}, b.metadata.labels ?? {}) &&
  a.metadata.annotations?.[overCapacity] === b.metadata.annotations?.[overCapacity]

interface Entry { readonly address: EndpointAddress; readonly port: EndpointPort | undefined; readonly ready: boolean }

function subsets(service: Service, pods: readonly Pod[]): EndpointSubset[] {
  const tolerateUnready = service.spec.publishNotReadyAddresses === true
  const entries = pods.filter(pod => belongs(pod, tolerateUnready)).flatMap((pod): Entry[] => {
    const address = addressOf(service, pod), ready = tolerateUnready || isReady(pod)
    if (!address) return []
    const ports = service.spec.ports ?? []
    if (ports.length === 0) return isHeadless(service) ? [{ address, port: undefined, ready }] : []
    return ports.flatMap(port => {
      const number = targetPort(pod, port)
      return number === undefined ? [] : [{ address, ready, port: { ...(port.name && { name: port.name }), port: number, protocol: port.protocol ?? 'TCP', ...(port.appProtocol !== undefined && { appProtocol: port.appProtocol }) } }]
    })
  })
  return repack(entries)
}

function addressOf(service: Service, pod: Pod): EndpointAddress | undefined {
  const family = service.spec.ipFamilies?.[0] === 'IPv6' || parseIp(service.spec.clusterIP ?? '')?.family === 6 ? 6 : 4
  const ip = podIps(pod).find(address => parseIp(address)?.family === family)
  if (!ip) return undefined
  const { namespace, name, uid } = pod.metadata, hostname = hostnameFor(service, pod)
  return { ip, ...(hostname && { hostname }), ...(pod.spec.nodeName && { nodeName: pod.spec.nodeName }), targetRef: { kind: 'Pod', namespace, name, uid } }
}

/** Ports that the same addresses serve share a subset. */
function repack(entries: readonly Entry[]): EndpointSubset[] {
  const byPort = new Map<string, { port: EndpointPort | undefined; addresses: Map<string, { address: EndpointAddress; ready: boolean }> }>()
  for (const { address, port, ready } of entries) {
    const key = JSON.stringify(port ?? null)
    if (!byPort.has(key)) byPort.set(key, { port, addresses: new Map() })
    byPort.get(key)!.addresses.set(`${address.ip} ${address.targetRef?.uid}`, { address, ready })
  }
  const bySet = new Map<string, { ports: EndpointPort[]; members: { address: EndpointAddress; ready: boolean }[] }>()
  for (const { port, addresses } of byPort.values()) {
    const members = [...addresses].sort(([a], [b]) => compareAddresses(a, b)), key = members.map(([id, { ready }]) => `${id} ${ready}`).join(',')
    if (!bySet.has(key)) bySet.set(key, { ports: [], members: members.map(([, member]) => member) })
    if (port) bySet.get(key)!.ports.push(port)
  }
  return [...bySet.values()].map(({ ports, members }) => {
    const ready = members.filter(member => member.ready), not = members.filter(member => !member.ready)
    return { ...(ready.length > 0 && { addresses: ready.map(member => member.address) }), ...(not.length > 0 && { notReadyAddresses: not.map(member => member.address) }),
      ...(ports.length > 0 && { ports: ports.sort((a, b) => a.port - b.port || ((a.name ?? '') < (b.name ?? '') ? -1 : 1)) }) }
  }).sort((a, b) => JSON.stringify(a.ports ?? []) < JSON.stringify(b.ports ?? []) ? -1 : 1)
}

function compareAddresses(a: string, b: string): number {
  const x = parseIp(a.split(' ')[0]!)!.value, y = parseIp(b.split(' ')[0]!)!.value
  return x < y ? -1 : x > y ? 1 : a < b ? -1 : 1
}

/** Ready addresses first, in proportion to the subsets' sizes (truncateEndpoints). */
function truncate(all: readonly EndpointSubset[]): { kept: EndpointSubset[]; truncated: boolean } {
  const count = (field: 'addresses' | 'notReadyAddresses') => all.reduce((sum, subset) => sum + (subset[field]?.length ?? 0), 0)
  const ready = count('addresses'), total = ready + count('notReadyAddresses')
  if (total <= maxAddresses) return { kept: [...all], truncated: false }
  const field = ready >= maxAddresses ? 'addresses' : 'notReadyAddresses'
  let room = ready >= maxAddresses ? maxAddresses : maxAddresses - ready
  const of = ready >= maxAddresses ? ready : total - ready, share = room / of
  const kept = all.map((subset, i): EndpointSubset => {
    const size = subset[field]?.length ?? 0, take = i === all.length - 1 ? room : Math.min(room, Math.floor(size * share))
    room -= Math.min(size, take)
    const { notReadyAddresses, ...rest } = subset
    const cut = subset[field]?.slice(0, take)
    return field === 'addresses' ? { ...rest, ...(cut?.length && { addresses: cut }) } : { ...rest, ...(cut?.length && { notReadyAddresses: cut }) }
  })
  return { kept: kept.filter(subset => subset.addresses?.length || subset.notReadyAddresses?.length), truncated: true }
}
