// k8s_external: zones for the world outside the cluster, of Services that it can reach.
import type { Plugin } from '../../plugin.ts'
import { longestZone } from '../../wire/name.ts'
import { kubernetesOf } from '../kubernetes/instance.ts'
import { parse, type ExternalOptions } from './config.ts'
import { ExternalResolver } from './resolver.ts'

export const plugin: Plugin<ExternalOptions> = {
  name: 'k8s_external',
  parse,
  setup(options, env) {
    let resolver: ExternalResolver | undefined
    const own = () => {
      const kubernetes = resolver ? undefined : kubernetesOf(env)
      if (kubernetes) resolver = new ExternalResolver(options, kubernetes.resolver, { lookup: query => env.lookup(query), localIps: kubernetes.localIps })
      return resolver
    }
    return {
      name: 'k8s_external',
      start() { if (!own()) env.log.warn('k8s_external answers nothing: there is no kubernetes in its server block') },
      serve: next => query => own()?.answer(query) ?? next(query),
      owns: query => options.fallthrough === undefined && longestZone(query.name, options.zones) !== undefined,
      transfer(zone) {
        const from = own()
        return from && options.zones.includes(zone) ? messages(from, zone) : undefined
      },
    }
  },
}

function* messages(resolver: ExternalResolver, zone: Parameters<ExternalResolver['records']>[0]) {
  const soa = resolver.soaRecord(zone)
  yield [soa]
  yield [...resolver.records(zone), soa]
}
