// The EndpointSlices that mirror an Endpoints object made by hand, given those that exist (upstream's
// endpointslicemirroring reconciler): one for each set of ports and each address family.
import type { EndpointAddress, Endpoints, EndpointSubset, Service } from '#api/core/v1.ts'
import type { Endpoint, EndpointPort, EndpointSlice } from '#api/discovery/v1.ts'
import { equal } from '#lib/equal.ts'
import { formatIp, parseIp } from '#net/ip.ts'
import { portsKey, type AddressType } from '../endpointslice/endpoints.ts'
import { managedByLabel, serviceLabel, type SliceChanges } from '../endpointslice/slices.ts'
import { controllerReference } from '../pods/claim.ts'
import { triggerAnnotation } from '../services/pods.ts'

export const mirroringController = 'endpointslicemirroring-controller.k8s.io'
/** Of one subset, and so of one slice (MaxEndpointsPerSubset). */
export const maxEndpointsPerSubset = 1000

export interface Mirror extends SliceChanges {
  /** Addresses that are none. */
  readonly invalid: number
  /** Addresses beyond the limit. */
  readonly skipped: number
}

/** Not those of Services with a selector (the endpointslice controller makes their slices), nor locks of leader elections. */
export function isMirrored(endpoints: Endpoints, service: Service | undefined): boolean {
  const { labels, annotations } = endpoints.metadata
  return service !== undefined && Object.keys(service.spec.selector ?? {}).length === 0 &&
    labels?.['endpointslice.kubernetes.io/skip-mirror'] !== 'true' && annotations?.['control-plane.alpha.kubernetes.io/leader'] === undefined
}

interface Group { readonly addressType: AddressType; readonly ports: readonly EndpointPort[]; readonly endpoints: Map<string, Endpoint> }

export function mirror(endpoints: Endpoints, existing: readonly EndpointSlice[]): Mirror {
  const groups = new Map<string, Group>()
  let invalid = 0, skipped = 0
  for (const subset of endpoints.subsets ?? []) {
    const counted = addSubset(groups, subset)
    invalid += counted.invalid
    skipped += counted.skipped
  }
  const create: EndpointSlice[] = [], update: EndpointSlice[] = [], unused = new Set(existing.filter(slice => !slice.metadata.deletionTimestamp))
  const wanted = [...groups].map(([key, group]) => ({ group, slice: takeFrom(unused, slice => keyOf(slice.addressType as AddressType, slice.ports) === key) }))
  for (const { group, slice: own } of wanted) {
    // A slice of other ports that nobody needs becomes the one that is missing: readers never see a moment with neither.
    const slice = own ?? takeFrom(unused, candidate => candidate.addressType === group.addressType)
    const next = build(endpoints, group, slice)
    skipped += Math.max(0, group.endpoints.size - maxEndpointsPerSubset)
    if (!slice) create.push(next)
    else if (!same(slice, next)) update.push(next)
  }
  return { create, update, remove: [...unused], invalid, skipped }
}

const keyOf = (addressType: AddressType, ports: readonly EndpointPort[] | undefined) => `${addressType} ${portsKey(ports)}`

function takeFrom(slices: Set<EndpointSlice>, fits: (slice: EndpointSlice) => boolean): EndpointSlice | undefined {
  const found = [...slices].find(fits)
  if (found) slices.delete(found)
  return found
}

/** Subsets with the same ports share a slice; an address that is there twice counts as the last says. */
function addSubset(groups: Map<string, Group>, { addresses = [], notReadyAddresses = [], ports = [] }: EndpointSubset): { invalid: number; skipped: number } {
  const slicePorts = ports.map(({ name = '', port, protocol = 'TCP', appProtocol }): EndpointPort => ({ name, port, protocol, ...(appProtocol !== undefined && { appProtocol }) }))
  let added = 0, invalid = 0
  for (const [list, ready] of [[addresses, true], [notReadyAddresses, false]] as const) for (const address of list) {
    if (added >= maxEndpointsPerSubset) break
    const made = endpoint(address, ready)
    if (!made) { invalid++; continue }
    const key = keyOf(made.addressType, slicePorts)
    if (!groups.has(key)) groups.set(key, { addressType: made.addressType, ports: slicePorts, endpoints: new Map() })
    groups.get(key)!.endpoints.set(`${made.endpoint.addresses[0]} ${address.targetRef?.uid ?? ''}`, made.endpoint)
    added++
  }
  return { invalid, skipped: addresses.length + notReadyAddresses.length - added - invalid }
}

/** addressToEndpoint; undefined for what is no address. */
function endpoint({ ip, hostname, nodeName, targetRef }: EndpointAddress, ready: boolean): { addressType: AddressType; endpoint: Endpoint } | undefined {
  const parsed = parseIp(ip)
  if (!parsed) return undefined
  return { addressType: parsed.family === 6 ? 'IPv6' : 'IPv4',
    endpoint: { addresses: [formatIp(parsed)], conditions: { ready }, ...(hostname && { hostname }), ...(nodeName && { nodeName }), ...(targetRef && { targetRef: { ...targetRef } }) } }
}

/** newEndpointSlice: the labels and annotations of the Endpoints, but for what is about the object itself. */
function build({ metadata }: Endpoints, group: Group, slice: EndpointSlice | undefined): EndpointSlice {
  const { [triggerAnnotation]: _, ['kubectl.kubernetes.io/last-applied-configuration']: _applied, ...annotations } = metadata.annotations ?? {}
  const { name, resourceVersion, uid, creationTimestamp, generation } = slice?.metadata ?? {}
  const named = slice ? { name: name!, resourceVersion, uid, creationTimestamp, ...(slice.metadata.generateName && { generateName: slice.metadata.generateName }), ...(generation !== undefined && { generation }) } : { generateName: `${metadata.name}-` }
  return {
    apiVersion: 'discovery.k8s.io/v1', kind: 'EndpointSlice', addressType: group.addressType, ports: [...group.ports],
    endpoints: [...group.endpoints.values()].slice(0, maxEndpointsPerSubset),
    metadata: { ...named as EndpointSlice['metadata'], namespace: metadata.namespace, labels: { ...metadata.labels, [serviceLabel]: metadata.name, [managedByLabel]: mirroringController },
      annotations, ownerReferences: [{ ...controllerReference({ apiVersion: 'v1', kind: 'Endpoints', metadata }) }] },
  }
}

const same = (a: EndpointSlice, b: EndpointSlice): boolean => equal(a.endpoints ?? [], b.endpoints ?? []) && equal(a.ports ?? [], b.ports ?? []) &&
  equal(a.metadata.labels, b.metadata.labels) && equal(a.metadata.annotations ?? {}, b.metadata.annotations ?? {}) && equal(a.metadata.ownerReferences, b.metadata.ownerReferences)
