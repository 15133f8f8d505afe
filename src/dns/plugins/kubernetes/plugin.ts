// kubernetes: the zones of a cluster, made of its Services and EndpointSlices.
import type { Env, Plugin } from '../../plugin.ts'
import { connect, localAddresses, watchCluster } from './apply.ts'
import { Catalog } from './catalog.ts'
import { parse, type KubernetesOptions } from './config.ts'
import { Kubernetes } from './instance.ts'
import { KubernetesMetrics } from './metrics.ts'
import { identityOf, Source } from './source.ts'

export const plugin: Plugin<KubernetesOptions> = {
  name: 'kubernetes',
  parse,
  setup: (options, env) => new Kubernetes(options, env, { source: sourceOf(options, env), localIps: localAddresses() }),
}

function sourceOf(options: KubernetesOptions, env: Env): Source {
  const identity = identityOf(options)
  const { previous } = env
  if (previous instanceof Kubernetes && previous.source.identity === identity) return previous.source
  const catalog = new Catalog({ podNames: options.endpointPodNames, now: env.now })
  const context = { log: env.log.named('kubernetes'), metrics: new KubernetesMetrics(env.metrics), now: env.now }
  return new Source(identity, catalog, () => watchCluster(connect(options.api), catalog, options, context))
}
