// How a change of a service, a pod or a node finds the services whose endpoints it may change: by
// one label that both have, so that it costs the same with ten services and with ten thousand.
import type { Pod, Service } from '#api/core/v1.ts'
import { keyOf, selects } from '#api/object.ts'
import { resources } from '#api/resources.ts'
import type { Informer } from '#client/informer.ts'
import type { Context } from '../apply.ts'
import { isManaged, labelPairs, sameEndpoint, selectorPair } from './pods.ts'

export interface Watched { readonly services: Informer<Service>; readonly pods: Informer<Pod>; podsOf(service: Service): Pod[] }

export function watchServices(context: Context): Watched {
  const services = context.informer<Service>(resources.services), pods = context.informer<Pod>(resources.pods)
  services.addIndex('selector', service => isManaged(service) ? [selectorPair(service)] : [])
  pods.addIndex('label', labelPairs)
  return { services, pods, podsOf: service => pods.byIndex('label', selectorPair(service)).filter(pod => selects(service.spec.selector, pod.metadata.labels)) }
}

/** Calls `add` with the key of every service that a change concerns. */
export function onServiceChange({ services, pods }: Watched, add: (key: string) => void): void {
  services.onChange(({ old, now }) => add(keyOf((now ?? old)!)))
  pods.onChange(({ old, now }) => {
    if (old && now && sameEndpoint(old, now)) return
    const concerned = new Set<string>()
    for (const pod of [old, now]) for (const pair of pod ? labelPairs(pod) : []) for (const service of services.byIndex('selector', pair)) {
      if (selects(service.spec.selector, pod!.metadata.labels)) concerned.add(keyOf(service))
    }
    for (const key of concerned) add(key)
  })
}
