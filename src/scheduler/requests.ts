// What a pod asks of a node: resources and host ports (upstream's PodRequests). CPU in millicores,
// everything else in whole units.
import type { Container, Pod } from '#api/core/v1.ts'
import { quantityMilli, quantityValue } from '#api/quantity.ts'

export type Amounts = Readonly<Record<string, number>>

export const amounts = (list: Record<string, string> | undefined): Amounts =>
  Object.fromEntries(Object.entries(list ?? {}).map(([name, quantity]) => [name, name === 'cpu' ? quantityMilli(quantity) : quantityValue(quantity)]))

export const add = (a: Amounts, b: Amounts, sign: 1 | -1 = 1): Amounts => {
  const sum: Record<string, number> = { ...a }
  for (const [name, amount] of Object.entries(b)) sum[name] = (sum[name] ?? 0) + sign * amount
  return sum
}
const max = (a: Amounts, b: Amounts): Amounts => {
  const most: Record<string, number> = { ...a }
  for (const [name, amount] of Object.entries(b)) most[name] = Math.max(most[name] ?? 0, amount)
  return most
}

/** Containers and sidecars run together; each other init container runs beside the sidecars started before it. */
export function requests(pod: Pod): Amounts {
  let sidecars: Amounts = {}, peak: Amounts = {}
  for (const container of pod.spec.initContainers ?? []) {
    const own = amounts(container.resources?.requests)
    if (container.restartPolicy === 'Always') sidecars = add(sidecars, own)
    peak = max(peak, container.restartPolicy === 'Always' ? sidecars : add(sidecars, own))
  }
  const running = pod.spec.containers.reduce((sum, container) => add(sum, amounts(container.resources?.requests)), sidecars)
  // Requests of the pod as a whole replace the sum of its containers (PodLevelResources).
  return add({ ...max(running, peak), ...amounts(pod.spec.resources?.requests) }, amounts(pod.spec.overhead))
}

/** For scoring, a container that asks for nothing counts as this much (GetNonzeroRequests). */
const assumed: Amounts = { cpu: 100, memory: 200 * 1024 * 1024 }
export function scoredRequests(pod: Pod): { cpu: number; memory: number } {
  const of = (container: Container, name: 'cpu' | 'memory') => amounts(container.resources?.requests)[name] ?? assumed[name]!
  const sum = (name: 'cpu' | 'memory') => pod.spec.containers.reduce((total, container) => total + of(container, name), 0)
  return { cpu: sum('cpu'), memory: sum('memory') }
}

export interface HostPort { readonly ip: string; readonly protocol: string; readonly port: number }

export const hostPorts = (pod: Pod): HostPort[] =>
  [...pod.spec.containers, ...(pod.spec.initContainers ?? []).filter(container => container.restartPolicy === 'Always')]
    .flatMap(container => container.ports ?? []).filter(port => port.hostPort)
    .map(port => ({ ip: port.hostIP || '0.0.0.0', protocol: port.protocol ?? 'TCP', port: port.hostPort! }))

const anywhere = (ip: string) => ip === '0.0.0.0' || ip === '::'
export const conflict = (a: HostPort, b: HostPort): boolean =>
  a.port === b.port && a.protocol === b.protocol && (a.ip === b.ip || anywhere(a.ip) || anywhere(b.ip))
