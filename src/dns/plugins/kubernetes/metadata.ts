// What a query tells of the cluster, for `log` and `rewrite`: the labels of CoreDNS's kubernetes plugin.
import type { Query } from '../../query.ts'
import { longestZone } from '../../wire/name.ts'
import { parseRequest } from './request.ts'
import type { Resolver } from './resolver.ts'

export function* metadataOf(query: Query, { options, catalog }: Resolver): Generator<readonly [string, () => string]> {
  const zone = longestZone(query.name, options.zones)
  if (zone !== undefined) {
    const request = parseRequest(query.name, zone)
    if (request.kind === 'invalid') yield ['kubernetes/parse-error', () => 'invalid query name']
    else {
      yield ['kubernetes/port-name', () => request.port]
      yield ['kubernetes/protocol', () => request.protocol]
      yield ['kubernetes/endpoint', () => request.endpoint]
      yield ['kubernetes/service', () => request.service]
      yield ['kubernetes/namespace', () => request.namespace]
      yield ['kubernetes/kind', () => request.kind === 'svc' || request.kind === 'pod' ? request.kind : '']
    }
  }
  // Known only with `pods verified`.
  const pod = catalog.pods(query.origin.address).find(({ spec }) => !spec?.hostNetwork)
  if (!pod) return
  yield ['kubernetes/client-namespace', () => pod.metadata.namespace ?? '']
  yield ['kubernetes/client-pod-name', () => pod.metadata.name]
}
