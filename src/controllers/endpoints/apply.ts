// The Endpoints controller: watches, queues and writes; endpoints.ts decides.
import type { Endpoints } from '#api/core/v1.ts'
import { keyOf, splitKey } from '#api/object.ts'
import { resources } from '#api/resources.ts'
import { isAlreadyExists, isNotFound } from '#lib/errors.ts'
import type { Context } from '../apply.ts'
import { isNamespaceTerminating } from '../pods/apply.ts'
import { onServiceChange, watchServices } from '../services/apply.ts'
import { isManaged, triggersOf, triggerTime, type Triggers } from '../services/pods.ts'
import { Writes } from '../services/writes.ts'
import { endpoints as endpointsOf, managedByLabel, sameEndpoints } from './endpoints.ts'

export function startEndpointsController(context: Context): void {
  const { client } = context
  const watched = watchServices(context), { services, pods } = watched
  const endpoints = context.informer<Endpoints>(resources.endpoints)
  const recorder = context.recorder('endpoint-controller')
  const writes = new Writes<Endpoints>(), triggers = new Map<string, Triggers>()
  const isOurs = (object: Endpoints) => object.metadata.labels?.[managedByLabel] !== undefined

  const queue = context.run({ name: 'endpoints', informers: [services, pods, endpoints], sync })

  onServiceChange(watched, key => queue.add(key))
  endpoints.onChange(({ old, now }) => {
    writes.seen(old, now)
    // A change by hand is put right; one that we made and whose service went while nobody watched is removed.
    if (isOurs((now ?? old)!)) queue.add(keyOf((now ?? old)!))
  })
  // With its service goes even an Endpoints object made by hand: a later service of that name must not inherit it.
  services.onChange(({ now, old }) => { if (!now) void remove(keyOf(old!)).catch(() => queue.add(keyOf(old!))) })

  async function sync(key: string): Promise<void> {
    const service = services.get(key), shown = endpoints.get(key)
    const current = writes.over(shown ? [shown] : [], object => keyOf(object) === key)[0]
    if (!service) {
      triggers.delete(key)
      if (current && isOurs(current)) await remove(key)
      return
    }
    if (!isManaged(service)) return
    const selected = watched.podsOf(service), now = triggersOf(service, selected)
    const next = endpointsOf(service, selected, { current, trigger: triggerTime(triggers.get(key), now) })
    if (!current || !sameEndpoints(current, next)) await write(key, current, next)
    triggers.set(key, now)
  }

  async function write(key: string, current: Endpoints | undefined, next: Endpoints): Promise<void> {
    const { namespace } = splitKey(key)
    try {
      writes.wrote(current ? await client.update<Endpoints>(resources.endpoints, next) : await client.create<Endpoints>(resources.endpoints, namespace, next))
    } catch (error) {
      if (isNamespaceTerminating(error)) return
      if (!isAlreadyExists(error)) recorder.event(current ?? next, 'Warning', current ? 'FailedToUpdateEndpoint' : 'FailedToCreateEndpoint', `Failed to ${current ? 'update' : 'create'} endpoint ${key}: ${(error as Error).message}`)
      throw error
    }
  }

  async function remove(key: string): Promise<void> {
    const { namespace, name } = splitKey(key)
    await client.delete(resources.endpoints, namespace, name).catch((error: unknown) => { if (!isNotFound(error)) throw error })
  }
}
