// What CoreDNS's kubernetes plugin counts: the programming latency of DNS, and the requests of its
// client. Pure; times come as arguments.
import type { EndpointSlice } from '#api/discovery/v1.ts'
import type { Transport } from '#client/transport.ts'
import { StatusError } from '#lib/errors.ts'
import type { Metrics } from '../../metrics/registry.ts'
import { entryKey, isHeadless, type Catalog } from './catalog.ts'
import { serviceNameLabel, triggerAnnotation } from './objects.ts'

const doubling = (first: number, count: number) => Array.from({ length: count }, (_, i) => first * 2 ** i)

export class KubernetesMetrics {
  readonly #latency
  readonly requests
  readonly duration

  constructor(metrics: Metrics) {
    this.#latency = metrics.histogram('coredns_kubernetes_dns_programming_duration_seconds', 'In Cluster DNS Programming Latency in seconds', ['service_kind'], doubling(0.001, 20))
    this.requests = metrics.counter('coredns_kubernetes_rest_client_requests_total', 'Number of HTTP requests, partitioned by status code, method, and host.', ['code', 'method', 'host'])
    this.duration = metrics.histogram('coredns_kubernetes_rest_client_request_duration_seconds', 'Request latency in seconds. Broken down by verb and host.', ['verb', 'host'], [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10])
  }

  /** The time from what changed a headless Service's endpoints to our answers showing it; only such slices carry its begin. */
  programmed(catalog: Catalog, { metadata: { namespace, labels, annotations } }: EndpointSlice, now: number): void {
    const began = Date.parse(annotations?.[triggerAnnotation] ?? '')
    const service = catalog.get(entryKey(namespace!, labels![serviceNameLabel]!))?.service
    if (Number.isNaN(began) || !service || !isHeadless(service) || !service.spec.selector) return
    this.#latency.with('headless_with_selector').observe((now - began) / 1000)
  }
}

/** The transport, with its requests counted; a watch counts when it is opened. */
export function counted(transport: Transport, { server, metrics, now }: { server: string; metrics: KubernetesMetrics; now: () => number }): Transport {
  const host = server.replace(/^https?:\/\//, '').replace(/\/.*/, '')
  const count = (began: number, error?: unknown) => {
    metrics.requests.with(error === undefined ? '200' : error instanceof StatusError ? String(error.status.code) : '<error>', 'GET', host).inc()
    metrics.duration.with('GET', host).observe((now() - began) / 1000)
  }
  return {
    ...transport,
    async request(request) {
      const began = now()
      try {
        const answer = await transport.request(request)
        count(began)
        return answer
      } catch (error) {
        count(began, error)
        throw error
      }
    },
    async *watch(request) {
      const began = now()
      let opened = false
      try {
        for await (const event of transport.watch(request)) {
          if (!opened) count(began)
          opened = true
          yield event
        }
      } catch (error) {
        if (!opened) count(began, error)
        throw error
      }
    },
  }
}
