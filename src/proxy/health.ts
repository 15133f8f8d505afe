// What the health endpoints answer: of the proxy itself, and of a Service on its health check node
// port. Pure; serving is server.ts.
import type { Node } from '#api/core/v1.ts'
import type { ProxiedPort } from './state.ts'

export interface Answer { readonly code: number; readonly headers?: Readonly<Record<string, string>>; readonly body: string }

/** Whether syncs keep up: for each IP family, when the oldest change that is not in force yet was queued. */
export class ProxyHealth {
  readonly #timeoutMs: number
  readonly #updated = new Map<number, number>()
  readonly #queued = new Map<number, number>()
  #nodeEligible = true

  constructor(timeoutMs: number) { this.#timeoutMs = timeoutMs }

  queued(family: number, now: number): void { if (!this.#queued.has(family)) this.#queued.set(family, now) }
  updated(family: number, now: number): void { this.#queued.delete(family); this.#updated.set(family, now) }
  /** A node about to be removed, or gone, answers /healthz with 503, so that load balancers leave it (KEP-3836). */
  node(node: Node | undefined): void {
    this.#nodeEligible = node !== undefined && !node.metadata.deletionTimestamp &&
      !node.spec?.taints?.some(taint => taint.key === 'ToBeDeletedByClusterAutoscaler')
  }

  isHealthy(now: number): boolean {
    return this.#updated.size > 0 && [...this.#queued.values()].every(queued => now - queued < this.#timeoutMs)
  }

  /** `/healthz` counts the node as well, `/livez` only the proxy. */
  answer(path: '/healthz' | '/livez', now: number): Answer {
    const healthy = this.isHealthy(now) && (path === '/livez' || this.#nodeEligible)
    const last = this.#updated.size > 0 ? Math.min(...this.#updated.values()) : 0
    const body = { lastUpdated: text(healthy ? now : last), currentTime: text(now), ...(path === '/healthz' && { nodeEligible: this.#nodeEligible }) }
    return { code: healthy ? 200 : 503, body: JSON.stringify(body), headers: { 'Content-Type': 'application/json', 'X-Content-Type-Options': 'nosniff' } }
  }
}

/** Go's time.Time.String() in UTC. */
const text = (ms: number) => new Date(ms).toISOString().replace('T', ' ').replace('Z', ' +0000 UTC')

export interface HealthCheck { readonly namespace: string; readonly name: string; readonly localEndpoints: number }

/** By health check node port, from the ports of all IP families; the port of a Service with most local endpoints speaks for it. */
export function healthChecks(ports: Iterable<ProxiedPort>): Map<number, HealthCheck> {
  const checks = new Map<number, HealthCheck>()
  for (const { healthCheckNodePort, service, localReady } of ports) {
    if (!healthCheckNodePort) continue
    const [namespace = '', name = ''] = service.split('/')
    const localEndpoints = Math.max(localReady, checks.get(healthCheckNodePort)?.localEndpoints ?? 0)
    checks.set(healthCheckNodePort, { namespace, name, localEndpoints })
  }
  return checks
}

/** Upstream's hcHandler: 200 where the Service has endpoints on this node and the proxy keeps up. */
export function healthCheckAnswer({ namespace, name, localEndpoints }: HealthCheck, proxyHealthy: boolean): Answer {
  return {
    code: localEndpoints > 0 && proxyHealthy ? 200 : 503,
    headers: { 'Content-Type': 'application/json', 'X-Content-Type-Options': 'nosniff', 'X-Load-Balancing-Endpoint-Weight': String(localEndpoints) },
    body: JSON.stringify({ service: { namespace, name }, localEndpoints, serviceProxyHealthy: proxyHealthy }),
  }
}
