// The EndpointSlice controller: watches, queues and writes; endpoints.ts and slices.ts decide.
import type { Node } from '#api/core/v1.ts'
import type { EndpointSlice } from '#api/discovery/v1.ts'
import { keyOf } from '#api/object.ts'
import { resources } from '#api/resources.ts'
import type { Client } from '#client/client.ts'
import type { EventRecorder } from '#client/events.ts'
import type { Informer } from '#client/informer.ts'
import type { WorkQueue } from '#client/workqueue.ts'
import { isConflict, isNotFound } from '#lib/errors.ts'
import type { Context } from '../apply.ts'
import { isNamespaceTerminating } from '../pods/apply.ts'
import { onServiceChange, watchServices, type Watched } from '../services/apply.ts'
import { isManaged, triggersOf, triggerTime, type Triggers } from '../services/pods.ts'
import { Writes } from '../services/writes.ts'
import { groups } from './endpoints.ts'
import { managedBy, managedByLabel, serviceLabel, slices as changesOf } from './slices.ts'

const serviceOf = (slice: EndpointSlice) => `${slice.metadata.namespace}/${slice.metadata.labels?.[serviceLabel] ?? ''}`
const isOurs = (slice: EndpointSlice) => slice.metadata.labels?.[managedByLabel] === managedBy
const zoneOf = (node: Node | undefined) => node?.metadata.labels?.['topology.kubernetes.io/zone']

export function startEndpointSliceController(context: Context): void { new EndpointSliceController(context).watch() }

class EndpointSliceController {
  readonly #client: Client
  readonly #watched: Watched
  readonly #slices: Informer<EndpointSlice>
  readonly #nodes: Informer<Node>
  readonly #recorder: EventRecorder
  readonly #writes = new Writes<EndpointSlice>()
  readonly #triggers = new Map<string, Triggers>()
  readonly #queue: WorkQueue

  constructor(context: Context) {
    this.#client = context.client
    this.#watched = watchServices(context)
    this.#slices = context.informer<EndpointSlice>(resources.endpointslices)
    this.#nodes = context.informer<Node>(resources.nodes)
    this.#recorder = context.recorder('endpoint-slice-controller')
    this.#slices.addIndex('service', slice => isOurs(slice) ? [serviceOf(slice)] : [])
    this.#watched.pods.addIndex('node', pod => pod.spec.nodeName ? [pod.spec.nodeName] : [])
    const { services, pods } = this.#watched
    this.#queue = context.run({ name: 'endpointslice', informers: [services, pods, this.#slices, this.#nodes], sync: key => this.#sync(key) })
  }

  watch(): void {
    onServiceChange(this.#watched, key => this.#queue.add(key))
    this.#slices.onChange(({ old, now }) => {
      this.#writes.seen(old, now)
      // Somebody else's change, or the deletion of one, is put right.
      for (const slice of [old, now]) if (slice && isOurs(slice)) this.#queue.add(serviceOf(slice))
    })
    this.#nodes.onChange(({ old, now }) => { if (!old || !now || zoneOf(old) !== zoneOf(now)) this.#zoneChanged((now ?? old)!.metadata.name) })
  }

  #zoneChanged(node: string): void {
    const { services, pods } = this.#watched, affected = new Set(pods.byIndex('node', node).map(pod => pod.metadata.namespace))
    for (const service of services.list()) if (affected.has(service.metadata.namespace) && isManaged(service)) this.#queue.add(keyOf(service))
  }

  async #sync(key: string): Promise<void> {
    const service = this.#watched.services.get(key)
    const existing = this.#writes.over(this.#slices.byIndex('service', key), slice => isOurs(slice) && serviceOf(slice) === key)
    if (!service) {
      this.#triggers.delete(key)
      await Promise.all(existing.map(each => this.#remove(each))) // the garbage collector would, a little later
      return
    }
    if (!isManaged(service)) return
    const selected = this.#watched.podsOf(service), now = triggersOf(service, selected)
    const changes = changesOf(service, { existing, trigger: triggerTime(this.#triggers.get(key), now), groups: groups({ service, pods: selected, node: name => this.#nodes.get(name) }) })
    try {
      await Promise.all([...changes.create.map(each => this.#create(each)), ...changes.update.map(each => this.#update(each)), ...changes.remove.map(each => this.#remove(each))])
    } catch (error) {
      if (isNamespaceTerminating(error)) return
      if (!isConflict(error)) this.#recorder.event(service, 'Warning', 'FailedToUpdateEndpointSlices', `Error updating Endpoint Slices for Service ${key}: ${(error as Error).message}`)
      throw error
    }
    this.#triggers.set(key, now)
  }

  async #create(slice: EndpointSlice): Promise<void> {
    this.#wrote(await this.#client.create<EndpointSlice>(resources.endpointslices, slice.metadata.namespace, slice))
  }
  async #update(slice: EndpointSlice): Promise<void> {
    try { this.#wrote(await this.#client.update<EndpointSlice>(resources.endpointslices, slice)) } catch (error) {
      if (isNotFound(error)) this.#writes.removed(slice)
      throw error
    }
  }
  #wrote(slice: EndpointSlice): void { this.#writes.wrote(slice, this.#slices.get(keyOf(slice))) }
  async #remove(slice: EndpointSlice): Promise<void> {
    try {
      await this.#client.delete(resources.endpointslices, slice.metadata.namespace, slice.metadata.name, { preconditions: { uid: slice.metadata.uid } })
      this.#writes.removed(slice)
    } catch (error) { if (!isNotFound(error)) throw error }
  }
}
