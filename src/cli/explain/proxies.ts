// The kube-proxy of each node, found among the pods, and what its configuration says about NodePorts.
// A proxy that is no pod (k3s, Cilium's own) cannot be seen: then nothing is said against any node.
import type { Node, Pod } from '#api/core/v1.ts'
import { contains, parseCidr, parseIp } from '#net/ip.ts'
import { parseYaml } from '#lib/yaml.ts'
import type { Objects, Observations } from './explanation.ts'

export type NodeProxy = { readonly state: 'ready' } | { readonly state: 'not ready'; readonly pod: Pod } | { readonly state: 'absent' }

export interface NodeProxies {
  /** By node; empty when no kube-proxy can be seen anywhere though there may be one. */
  readonly of: ReadonlyMap<string, NodeProxy>
  /** The namespace that it runs in. */
  readonly namespace: string
  readonly mode: string
  /** nodePortAddresses, as written. */
  readonly nodePortAddresses: readonly string[]
}

const nameLabels = ['k8s-app', 'component', 'app.kubernetes.io/name', 'app', 'name']
const isProxy = (pod: Pod) => nameLabels.some(label => pod.metadata.labels?.[label] === 'kube-proxy')

export function nodeProxies(objects: Objects, nodes: readonly Node[], seen: Observations): NodeProxies {
  const proxies = objects.pods.filter(isProxy)
  // In a cluster of our own there is no other way to run one.
  const known = proxies.length > 0 || seen.own !== undefined
  return {
    of: new Map(known ? nodes.map(({ metadata: { name } }) => [name, stateOf(proxies.filter(pod => pod.spec.nodeName === name))]) : []),
    namespace: proxies[0]?.metadata.namespace ?? 'kube-system', ...configuration(objects),
  }
}

function stateOf(pods: readonly Pod[]): NodeProxy {
  if (pods.length === 0) return { state: 'absent' }
  const ready = pods.some(pod => pod.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True'))
  return ready ? { state: 'ready' } : { state: 'not ready', pod: pods[0]! }
}

function configuration({ proxyConfig }: Objects): { mode: string; nodePortAddresses: string[] } {
  let config: unknown
  try { config = parseYaml(proxyConfig?.data?.['config.conf'] ?? '') } catch { /* kube-proxy itself says what is wrong with it */ }
  const { mode, nodePortAddresses } = (config ?? {}) as { mode?: unknown; nodePortAddresses?: unknown }
  return { mode: typeof mode === 'string' && mode ? mode : 'iptables',
    nodePortAddresses: Array.isArray(nodePortAddresses) ? nodePortAddresses.map(String) : [] }
}

/** The addresses of a node on which NodePorts answer; [] when the configuration leaves none. */
export function servedAddresses(node: Node, { nodePortAddresses, mode }: NodeProxies): string[] {
  const own = (node.status?.addresses ?? []).filter(({ type }) => type === 'InternalIP' || type === 'ExternalIP').map(({ address }) => address)
  const wanted = nodePortAddresses.length === 0 && mode === 'nftables' ? ['primary'] : nodePortAddresses // KEP-3866
  if (wanted.length === 0 || wanted.includes('all')) return own
  const isFirstOfFamily = (address: string) => own.find(other => other.includes(':') === address.includes(':')) === address
  return own.filter(address => wanted.some(range => {
    if (range === 'primary') return isFirstOfFamily(address)
    const cidr = parseCidr(range), ip = parseIp(address)
    return cidr && ip && contains(cidr, ip)
  }))
}
