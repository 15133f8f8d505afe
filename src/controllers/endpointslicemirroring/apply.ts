// The EndpointSliceMirroring controller: whoever writes Endpoints by hand for a Service without a
// selector gets EndpointSlices, which proxies and DNS read. Watches, queues and writes; mirror.ts decides.
import type { Endpoints, Service } from '#api/core/v1.ts'
import type { EndpointSlice } from '#api/discovery/v1.ts'
import { keyOf } from '#api/object.ts'
import { resources } from '#api/resources.ts'
import type { Client } from '#client/client.ts'
import type { EventRecorder } from '#client/events.ts'
import type { Informer } from '#client/informer.ts'
import type { WorkQueue } from '#client/workqueue.ts'
import { isNotFound } from '#lib/errors.ts'
import type { Context } from '../apply.ts'
import { managedByLabel, serviceLabel } from '../endpointslice/slices.ts'
import { isNamespaceTerminating } from '../pods/apply.ts'
import { Writes } from '../services/writes.ts'
import { isMirrored, maxEndpointsPerSubset, mirror, mirroringController, type Mirror } from './mirror.ts'

const serviceOf = (slice: EndpointSlice) => `${slice.metadata.namespace}/${slice.metadata.labels?.[serviceLabel] ?? ''}`
const isOurs = (slice: EndpointSlice) => slice.metadata.labels?.[managedByLabel] === mirroringController

export function startEndpointSliceMirroringController(context: Context): void { new EndpointSliceMirroringController(context).watch() }

class EndpointSliceMirroringController {
  readonly #client: Client
  readonly #services: Informer<Service>
  readonly #endpoints: Informer<Endpoints>
  readonly #slices: Informer<EndpointSlice>
  readonly #recorder: EventRecorder
  readonly #writes = new Writes<EndpointSlice>()
  readonly #queue: WorkQueue

  constructor(context: Context) {
    this.#client = context.client
    this.#services = context.informer<Service>(resources.services)
    this.#endpoints = context.informer<Endpoints>(resources.endpoints)
    this.#slices = context.informer<EndpointSlice>(resources.endpointslices)
    this.#recorder = context.recorder('endpoint-slice-mirroring-controller')
    this.#slices.addIndex('mirrored', slice => isOurs(slice) ? [serviceOf(slice)] : [])
    this.#queue = context.run({ name: 'endpointslicemirroring', informers: [this.#services, this.#endpoints, this.#slices], sync: key => this.#sync(key) })
  }

  watch(): void {
    this.#services.onChange(({ old, now }) => this.#queue.add(keyOf((now ?? old)!)))
    this.#endpoints.onChange(({ old, now }) => this.#queue.add(keyOf((now ?? old)!)))
    this.#slices.onChange(({ old, now }) => {
      this.#writes.seen(old, now)
      // Somebody else's change, or the deletion of one, is put right.
      for (const slice of [old, now]) if (slice && isOurs(slice)) this.#queue.add(serviceOf(slice))
    })
  }

  async #sync(key: string): Promise<void> {
    const endpoints = this.#endpoints.get(key)
    const existing = this.#writes.over(this.#slices.byIndex('mirrored', key), slice => isOurs(slice) && serviceOf(slice) === key)
    if (!endpoints || !isMirrored(endpoints, this.#services.get(key))) {
      await Promise.all(existing.map(slice => this.#remove(slice)))
      return
    }
    const changes = mirror(endpoints, existing)
    this.#tell(endpoints, changes)
    try {
      await Promise.all([...(endpoints.metadata.deletionTimestamp ? [] : changes.create).map(slice => this.#create(slice)),
        ...changes.update.map(slice => this.#update(slice)), ...changes.remove.map(slice => this.#remove(slice))])
    } catch (error) {
      if (!isNamespaceTerminating(error)) throw error
    }
  }

  #tell(endpoints: Endpoints, { invalid, skipped, create, update }: Mirror): void {
    if (create.length + update.length === 0) return
    if (invalid > 0) this.#recorder.event(endpoints, 'Warning', 'InvalidIPAddress', `Skipped ${invalid} invalid IP addresses when mirroring to EndpointSlices`)
    if (skipped > 0) this.#recorder.event(endpoints, 'Warning', 'TooManyAddressesToMirror', `A max of ${maxEndpointsPerSubset} addresses can be mirrored to EndpointSlices per Endpoints subset. ${skipped} addresses were skipped`)
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
