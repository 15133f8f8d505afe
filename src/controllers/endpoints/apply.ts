// The Endpoints controller: watches, queues and writes; endpoints.ts decides.
import type { Endpoints } from '#api/core/v1.ts'
import { keyOf, splitKey } from '#api/object.ts'
import { resources } from '#api/resources.ts'
import type { Client } from '#client/client.ts'
import type { EventRecorder } from '#client/events.ts'
import type { Informer } from '#client/informer.ts'
import type { WorkQueue } from '#client/workqueue.ts'
import { isAlreadyExists, isConflict, isNotFound } from '#lib/errors.ts'
import type { Context } from '../apply.ts'
import { isNamespaceTerminating } from '../pods/apply.ts'
import { onServiceChange, watchServices, type Watched } from '../services/apply.ts'
import { isManaged, triggersOf, triggerTime, type Triggers } from '../services/pods.ts'
import { Writes } from '../services/writes.ts'
import { endpoints as endpointsOf, managedByLabel, sameEndpoints } from './endpoints.ts'

export function startEndpointsController(context: Context): void { new EndpointsController(context).watch() }

const isOurs = (object: Endpoints) => object.metadata.labels?.[managedByLabel] !== undefined

class EndpointsController {
  readonly #client: Client
  readonly #watched: Watched
  readonly #endpoints: Informer<Endpoints>
  readonly #recorder: EventRecorder
  readonly #writes = new Writes<Endpoints>()
  readonly #triggers = new Map<string, Triggers>()
  readonly #queue: WorkQueue

  constructor(context: Context) {
    this.#client = context.client
    this.#watched = watchServices(context)
    this.#endpoints = context.informer<Endpoints>(resources.endpoints)
    this.#recorder = context.recorder('endpoint-controller')
    this.#queue = context.run({ name: 'endpoints', informers: [this.#watched.services, this.#watched.pods, this.#endpoints], sync: key => this.#sync(key) })
  }

  watch(): void {
    onServiceChange(this.#watched, key => this.#queue.add(key))
    this.#endpoints.onChange(({ old, now }) => {
      this.#writes.seen(old, now)
      // A change by hand is put right; one that we made and whose service went while nobody watched is removed.
      if (isOurs((now ?? old)!)) this.#queue.add(keyOf((now ?? old)!))
    })
    // With its service goes even an Endpoints object made by hand: a later service of that name must not inherit it.
    this.#watched.services.onChange(({ now, old }) => { if (!now) void this.#remove(keyOf(old!)).catch(() => this.#queue.add(keyOf(old!))) })
  }

  async #sync(key: string): Promise<void> {
    const service = this.#watched.services.get(key), shown = this.#endpoints.get(key)
    const current = this.#writes.over(shown ? [shown] : [], object => keyOf(object) === key)[0]
    if (!service) {
      this.#triggers.delete(key)
      if (current && isOurs(current)) await this.#remove(key)
      return
    }
    if (!isManaged(service)) return
    const selected = this.#watched.podsOf(service), now = triggersOf(service, selected)
    const next = endpointsOf(service, selected, { current, trigger: triggerTime(this.#triggers.get(key), now) })
    if (!current || !sameEndpoints(current, next)) await this.#write(key, current, next)
    this.#triggers.set(key, now)
  }

  async #write(key: string, current: Endpoints | undefined, next: Endpoints): Promise<void> {
    const { namespace } = splitKey(key)
    try {
      const written = current ? await this.#client.update<Endpoints>(resources.endpoints, next) : await this.#client.create<Endpoints>(resources.endpoints, namespace, next)
      this.#writes.wrote(written, this.#endpoints.get(key))
    } catch (error) {
      if (isNamespaceTerminating(error)) return
      if (isNotFound(error) && current) this.#writes.removed(current)
      if (!isAlreadyExists(error) && !isConflict(error)) this.#recorder.event(current ?? next, 'Warning', current ? 'FailedToUpdateEndpoint' : 'FailedToCreateEndpoint', `Failed to ${current ? 'update' : 'create'} endpoint ${key}: ${(error as Error).message}`)
      throw error
    }
  }

  async #remove(key: string): Promise<void> {
    const { namespace, name } = splitKey(key)
    await this.#client.delete(resources.endpoints, namespace, name).catch((error: unknown) => { if (!isNotFound(error)) throw error })
  }
}
