// The EndpointSlice controller: watches, queues and writes; endpoints.ts and slices.ts decide.
import type { Node, Service } from '#api/core/v1.ts'
import type { EndpointSlice } from '#api/discovery/v1.ts'
import { resources } from '#api/resources.ts'
import { isNotFound } from '#lib/errors.ts'
import type { Context } from '../apply.ts'
import { isNamespaceTerminating } from '../pods/apply.ts'
import { onServiceChange, watchServices } from '../services/apply.ts'
import { isManaged, triggersOf, triggerTime, type Triggers } from '../services/pods.ts'
import { Writes } from '../services/writes.ts'
import { groups } from './endpoints.ts'
import { managedBy, managedByLabel, serviceLabel, slices as changesOf } from './slices.ts'

const serviceOf = (slice: EndpointSlice) => `${slice.metadata.namespace}/${slice.metadata.labels?.[serviceLabel] ?? ''}`
const isOurs = (slice: EndpointSlice) => slice.metadata.labels?.[managedByLabel] === managedBy
const zoneOf = (node: Node | undefined) => node?.metadata.labels?.['topology.kubernetes.io/zone']

export function startEndpointSliceController(context: Context): void {
  const { client } = context
  const watched = watchServices(context), { services, pods } = watched
  const slices = context.informer<EndpointSlice>(resources.endpointslices), nodes = context.informer<Node>(resources.nodes)
  const recorder = context.recorder('endpoint-slice-controller')
  const writes = new Writes<EndpointSlice>(), triggers = new Map<string, Triggers>()
  slices.addIndex('service', slice => isOurs(slice) ? [serviceOf(slice)] : [])
  pods.addIndex('node', pod => pod.spec.nodeName ? [pod.spec.nodeName] : [])

  const queue = context.run({ name: 'endpointslice', informers: [services, pods, slices, nodes], sync })

  onServiceChange(watched, key => queue.add(key))
  slices.onChange(({ old, now }) => {
    writes.seen(old, now)
    // Somebody else's change, or the deletion of one, is put right.
    for (const slice of [old, now]) if (slice && isOurs(slice)) queue.add(serviceOf(slice))
  })
  nodes.onChange(({ old, now }) => {
    if (zoneOf(old) === zoneOf(now) && old && now) return
    const affected = new Set(pods.byIndex('node', (now ?? old)!.metadata.name).map(pod => pod.metadata.namespace))
    for (const service of services.list()) if (affected.has(service.metadata.namespace) && isManaged(service)) queue.add(`${service.metadata.namespace}/${service.metadata.name}`)
  })

  async function sync(key: string): Promise<void> {
    const service = services.get(key)
    const existing = writes.over(slices.byIndex('service', key), slice => isOurs(slice) && serviceOf(slice) === key)
    if (!service) {
      triggers.delete(key)
      await Promise.all(existing.map(remove)) // the garbage collector would, a little later
      return
    }
    if (!isManaged(service)) return
    const selected = watched.podsOf(service), now = triggersOf(service, selected)
    const changes = changesOf(service, { existing, trigger: triggerTime(triggers.get(key), now), groups: groups({ service, pods: selected, node: name => nodes.get(name) }) })
    try {
      await Promise.all([...changes.create.map(create), ...changes.update.map(update), ...changes.remove.map(remove)])
    } catch (error) {
      if (isNamespaceTerminating(error)) return
      fail(service, error)
    }
    triggers.set(key, now)
  }

  function fail(service: Service, error: unknown): never {
    recorder.event(service, 'Warning', 'FailedToUpdateEndpointSlices', `Error updating Endpoint Slices for Service ${service.metadata.namespace}/${service.metadata.name}: ${(error as Error).message}`)
    throw error
  }
  async function create(slice: EndpointSlice): Promise<void> { writes.wrote(await client.create<EndpointSlice>(resources.endpointslices, slice.metadata.namespace, slice)) }
  async function update(slice: EndpointSlice): Promise<void> { writes.wrote(await client.update<EndpointSlice>(resources.endpointslices, slice)) }
  async function remove(slice: EndpointSlice): Promise<void> {
    try {
      await client.delete(resources.endpointslices, slice.metadata.namespace, slice.metadata.name, { preconditions: { uid: slice.metadata.uid } })
      writes.removed(slice)
    } catch (error) { if (!isNotFound(error)) throw error }
  }
}
