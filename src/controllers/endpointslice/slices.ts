// Packs endpoints into slices, given the slices that exist: as few writes as possible, at most a
// hundred endpoints each (upstream's endpointslice reconciler).
import type { Service } from '#api/core/v1.ts'
import type { Endpoint, EndpointSlice } from '#api/discovery/v1.ts'
import { time } from '#lib/clock.ts'
import { equal } from '#lib/equal.ts'
import { controllerReference } from '../pods/claim.ts'
import { headlessLabel, isHeadless, triggerAnnotation } from '../services/pods.ts'
import { portsKey, type Group } from './endpoints.ts'

export interface SliceChanges { readonly create: readonly EndpointSlice[]; readonly update: readonly EndpointSlice[]; readonly remove: readonly EndpointSlice[] }

export const serviceLabel = 'kubernetes.io/service-name'
export const managedByLabel = 'endpointslice.kubernetes.io/managed-by'
export const managedBy = 'endpointslice-controller.k8s.io'
export const maxEndpoints = 100

export interface SlicesInput {
  readonly groups: readonly Group[]
  readonly existing: readonly EndpointSlice[]
  /** When what is written here was caused, in ms. */
  readonly trigger: number | undefined
}

export function slices(service: Service, { groups, existing, trigger }: SlicesInput): SliceChanges {
  const usable = existing.filter(slice => !slice.metadata.deletionTimestamp)
  const unused = new Set(usable), packed: Packed[] = []
  for (const group of groups) {
    const same = usable.filter(slice => slice.addressType === group.addressType && portsKey(slice.ports) === portsKey(group.ports))
    for (const bin of pack(group, same)) {
      if (bin.slice) unused.delete(bin.slice)
      packed.push({ group, ...bin })
    }
  }
  const create: EndpointSlice[] = [], update: EndpointSlice[] = []
  for (const bin of packed) {
    // A slice that nobody needs becomes the one that is missing: readers never see a moment with neither.
    const slice = bin.slice ?? [...unused].find(candidate => candidate.addressType === bin.group.addressType)
    if (slice) unused.delete(slice)
    const next = build(service, { ...bin, slice, trigger })
    if (!slice) create.push(next)
    else if (!same(slice, next)) update.push(next)
  }
  return { create, update, remove: [...unused] }
}

interface Bin { readonly slice: EndpointSlice | undefined; readonly endpoints: Endpoint[] }
interface Packed extends Bin { readonly group: Group }

const keyOf = (endpoint: Endpoint) => `${endpoint.targetRef?.uid ?? ''} ${endpoint.addresses.join(',')}`
const room = (bin: Bin) => maxEndpoints - bin.endpoints.length

/** What stays keeps its slice; what is new goes to slices that change anyway, then to one with room for the remainder, then to new ones. */
function pack(group: Group, existing: readonly EndpointSlice[]): Bin[] {
  const desired = new Map(group.endpoints.map(endpoint => [keyOf(endpoint), endpoint]))
  const bins: Bin[] = [], changing: Bin[] = []
  for (const slice of existing) {
    const kept = (slice.endpoints ?? []).flatMap(endpoint => {
      const next = desired.get(keyOf(endpoint))
      desired.delete(keyOf(endpoint)) // one that is in two slices stays in the first
      return next ? [next] : []
    })
    const bin = { slice, endpoints: kept }
    bins.push(bin)
    if (kept.length > 0 && !equal(kept, slice.endpoints ?? [])) changing.push(bin)
  }
  const rest = [...desired.values()]
  for (const bin of changing.sort((a, b) => room(a) - room(b))) bin.endpoints.push(...rest.splice(0, Math.max(0, room(bin))))
  const remainder = rest.length % maxEndpoints
  const fitting = remainder === 0 ? undefined : bins.filter(bin => room(bin) >= remainder).sort((a, b) => room(a) - room(b))[0]
  fitting?.endpoints.push(...rest.splice(0, remainder))
  while (rest.length > 0) bins.push({ slice: undefined, endpoints: rest.splice(0, maxEndpoints) })
  const used = bins.filter(bin => bin.endpoints.length > 0)
  // A service without endpoints keeps one empty slice: it says that there are none.
  return used.length > 0 || group.endpoints.length > 0 ? used : [bins[0] ?? { slice: undefined, endpoints: [] }]
}

function build(service: Service, { slice, group, endpoints, trigger }: Packed & { trigger: number | undefined }): EndpointSlice {
  const { [triggerAnnotation]: _, ...annotations } = slice?.metadata.annotations ?? {}
  const metadata = slice?.metadata ?? { name: '', generateName: `${service.metadata.name}-`, namespace: service.metadata.namespace, ownerReferences: [controllerReference(service)] }
  const { name, ...unnamed } = metadata
  return {
    apiVersion: 'discovery.k8s.io/v1', kind: 'EndpointSlice', addressType: group.addressType, endpoints: [...endpoints], ports: [...group.ports],
    metadata: { ...(name ? metadata : unnamed as typeof metadata), labels: labels(service, slice),
      annotations: { ...annotations, ...(trigger !== undefined && { [triggerAnnotation]: time(trigger) }) } },
  }
}

/** The service's own labels, and those by which slices are found (setEndpointSliceLabels). */
function labels(service: Service, slice: EndpointSlice | undefined): Record<string, string> {
  const { [headlessLabel]: _, [serviceLabel]: _name, [managedByLabel]: _managed, ...own } = service.metadata.labels ?? {}
  return { ...own, ...(isHeadless(service) && { [headlessLabel]: '' }), [serviceLabel]: service.metadata.name,
    [managedByLabel]: slice?.metadata.labels?.[managedByLabel] ?? managedBy }
}

/** The annotation alone is no reason to write. */
const same = (a: EndpointSlice, b: EndpointSlice): boolean =>
  equal(a.endpoints ?? [], b.endpoints ?? []) && equal(a.metadata.labels, b.metadata.labels) && equal(a.ports ?? [], b.ports ?? [])
