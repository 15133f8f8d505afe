// The chains that captured packets go through: masquerade or not, and to one of the endpoints. Without
// session affinity they are shared by all ports that have as many endpoints; with it they are the
// port's own, named as upstream names them.
import type { NodeOptions } from '../dataplane.ts'
import type { Endpoint } from '../endpoints.ts'
import type { ProxiedPort } from '../state.ts'
import { matchLocal } from './layout.ts'
import { nftFamily, portName } from './names.ts'

/** To the cluster IP; to an external or load balancer address; to a node port. */
export type Traffic = 'internal' | 'external' | 'nodeport'
/** Name to rules. */
export type Chains = ReadonlyMap<string, readonly string[]>

const masquerade = 'jump mark-for-masquerade'

/** Traffic to the cluster IP from outside the cluster bounces off this node, so its answer must come back here. */
const internalMasquerade = ({ family, masqueradeAll, localTraffic }: NodeOptions): string[] =>
  masqueradeAll ? [masquerade] : localTraffic ? [`${matchLocal(localTraffic, nftFamily(family), false)} ${masquerade}`] : []

type EndpointMap = 'endpoints' | 'local-endpoints' | 'nodeport-endpoints' | 'nodeport-local-endpoints'

/** A chain that sends to one of so many endpoints, each as likely as any other. */
function pick(map: EndpointMap, count: number, ip: string): [string, string[]] {
  const address = map.startsWith('nodeport') ? '' : `${ip} daddr . `
  return [`${map}-${count}`, [`meta l4proto { tcp, udp, sctp } dnat ${ip} to ${address}meta l4proto . th dport . numgen random mod ${count} map @${map}`]]
}

export interface Counts { readonly isLocal: boolean; readonly cluster: number; readonly local: number }

/** The chain for so many endpoints, with those that it leads to. */
export function sharedChain(traffic: Traffic, { isLocal, cluster, local }: Counts, options: NodeOptions): { target: string; chains: Chains } {
  const ip = nftFamily(options.family), prefix = traffic === 'nodeport' ? 'nodeport-' : ''
  const all = pick(`${prefix}endpoints`, cluster, ip), here = pick(`${prefix}local-endpoints`, local, ip)
  const made = (target: string, rules: string[], picks: [string, string[]][]) => ({ target, chains: new Map([[target, rules], ...picks]) })
  if (traffic === 'internal') return made(`cluster-ip-${cluster}`, [...internalMasquerade(options), `goto ${all[0]}`], [all])
  const kind = traffic === 'nodeport' ? 'nodeport' : 'external-ip'
  // The endpoint may be on another node, which would answer the client directly.
  if (!isLocal) return made(`${kind}-${cluster}`, [masquerade, `goto ${all[0]}`], [all])
  return made(`${kind}-local-${local}-of-${cluster}`, [...cluster > 0 ? shortCircuit(all[0], options) : [], ...local > 0 ? [`goto ${here[0]}`] : []],
    [...cluster > 0 ? [all] : [], ...local > 0 ? [here] : []])
}

/** Whether a chain looks endpoints up itself. nft (1.0.6) cannot add a rule that uses a map of addresses and ports which is already in the kernel. */
export const looksUp = (rules: readonly string[]): boolean => rules.some(rule => rule.includes(' map @'))

/** Pods and the node itself see no external policy, as if they went out to the load balancer and back in. */
const shortCircuit = (target: string, { family, localTraffic }: NodeOptions): string[] => [
  ...localTraffic ? [`${matchLocal(localTraffic, nftFamily(family), true)} goto ${target}`] : [],
  `fib saddr type local ${masquerade}`,
  `fib saddr type local goto ${target}`,
]

/** The chains of a port with session affinity, and the sets that remember which client went to which endpoint. */
export function affinityChains(port: ProxiedPort, options: NodeOptions): { chains: Chains; sets: string[] } {
  const ip = nftFamily(options.family), protocol = port.protocol.toLowerCase()
  const chains = new Map<string, readonly string[]>()
  const cluster = portName('service', port), local = portName('local', port)
  const toClusterIP = (isTarget: boolean) => isTarget ? internalMasquerade(options).map(rule => `${ip} daddr ${port.clusterIP} ${protocol} dport ${port.port} ${rule}`) : []
  if (port.cluster.length > 0) chains.set(cluster, [...toClusterIP(!port.internalPolicyLocal), ...stick(port, port.cluster, ip)])
  if (port.local.length > 0) chains.set(local, [...toClusterIP(port.internalPolicyLocal), ...stick(port, port.local, ip)])
  chains.set(portName('external', port), !port.externalPolicyLocal ? [masquerade, `goto ${cluster}`]
    : [...port.cluster.length > 0 ? shortCircuit(cluster, options) : [], ...port.local.length > 0 ? [`goto ${local}`] : []])
  if (!isExternal(port)) chains.delete(portName('external', port))
  for (const endpoint of port.reachable) {
    const to = endpoint.ip.includes(':') ? `[${endpoint.ip}]:${endpoint.port}` : `${endpoint.ip}:${endpoint.port}`
    chains.set(portName('endpoint', port, endpoint), [
      `update @${portName('affinity', port, endpoint)} { ${ip} saddr timeout ${duration(port.affinitySeconds)} }`, `meta l4proto ${protocol} dnat to ${to}`,
    ])
  }
  return { chains, sets: port.reachable.map(endpoint => portName('affinity', port, endpoint)) }
}
const isExternal = (port: ProxiedPort) => port.nodePort !== 0 || port.externalIPs.length > 0 || port.loadBalancerIPs.length > 0

function stick(port: ProxiedPort, endpoints: readonly Endpoint[], ip: string): string[] {
  const chainOf = (endpoint: Endpoint) => portName('endpoint', port, endpoint)
  return [
    ...endpoints.map(endpoint => `${ip} saddr @${portName('affinity', port, endpoint)} goto ${chainOf(endpoint)}`),
    `numgen random mod ${endpoints.length} vmap { ${endpoints.map((endpoint, i) => `${i} : goto ${chainOf(endpoint)}`).join(', ')} }`,
  ]
}

/** As nft prints it: `3h`, `1h1m1s`. */
function duration(seconds: number): string {
  const parts = [[Math.floor(seconds / 86400), 'd'], [Math.floor(seconds / 3600) % 24, 'h'], [Math.floor(seconds / 60) % 60, 'm'], [seconds % 60, 's']] as const
  return parts.filter(([count]) => count > 0).map(([count, unit]) => `${count}${unit}`).join('')
}
