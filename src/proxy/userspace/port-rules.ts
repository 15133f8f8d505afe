// What one Service port adds to the chains of the userspace mode: which packets go to which of its
// sockets, which are refused, and who may call the sockets. Kubernetes 1.20's rules (iptablesCommonPortalArgs
// and its callers), and where it had none: KUBE-PORTALS-FIREWALL for all that is refused, and a chain
// KUBE-PORTAL-* for external traffic policy Local.
import { contains, parseCidr, parseIp } from '#net/ip.ts'
import type { NodeOptions } from '../dataplane.ts'
import { externalTargets, internalTarget, matchAddress, matchProtocol } from '../iptables/captures.ts'
import { chainName } from '../iptables/names.ts'
import type { Chains } from '../iptables/ruleset.ts'
import { externallyAccessible } from '../services.ts'
import type { ProxiedPort } from '../state.ts'
import { affinityKey } from './portals.ts'

/** Of the nat table, except `nodePortNonLocal` and `firewall`, which are of filter; `canary` is in each. */
export const chains = {
  portalsContainer: 'KUBE-PORTALS-CONTAINER',
  portalsHost: 'KUBE-PORTALS-HOST',
  nodePortContainer: 'KUBE-NODEPORT-CONTAINER',
  nodePortHost: 'KUBE-NODEPORT-HOST',
  nodePortNonLocal: 'KUBE-NODEPORT-NON-LOCAL',
  firewall: 'KUBE-PORTALS-FIREWALL',
  canary: 'KUBE-PORTALS-CANARY',
} as const
export type SharedChain = Exclude<keyof typeof chains, 'canary'>

const portChain = (port: ProxiedPort) => `KUBE-PORTAL-${chainName('KUBE-EXT-', port.id, port.protocol).slice('KUBE-EXT-'.length)}`
/** Whether a chain belongs to one Service port, now or in an earlier run. */
export const isPortChain = (chain: string): boolean => chain.startsWith('KUBE-PORTAL-')

export interface PortalOptions extends NodeOptions {
  /** One of the machine's addresses: where the node's own traffic is sent, and all of UDP. */
  readonly hostIP: string
  /** The sockets of TCP listen on hostIP only, too. */
  readonly boundToHostIP: boolean
}

export interface PortContext {
  readonly options: PortalOptions
  /** iptables arguments that match the traffic of this node's pods; undefined when unknown. */
  readonly ifLocal: string | undefined
  /** The port numbers of the sockets that balance over Cluster and over Local endpoints. */
  readonly sockets: { readonly cluster: number | undefined; readonly local: number | undefined }
}

export interface PortRules { readonly key: string; readonly shared: Readonly<Record<SharedChain, readonly string[]>>; readonly owned: Chains }
type Shared = Record<SharedChain, string[]>

export function portRules(port: ProxiedPort, { options, ifLocal, sockets }: PortContext): PortRules {
  const shared: Shared = { portalsContainer: [], portalsHost: [], nodePortContainer: [], nodePortHost: [], nodePortNonLocal: [], firewall: [] }
  const internal = internalTarget(port), external = externalTargets(port)
  const usable = { cluster: port.cluster.length > 0 ? sockets.cluster : undefined, local: port.local.length > 0 ? sockets.local : undefined }
  const context: PortContext = { options, ifLocal, sockets: usable }
  let owned: Chains = new Map()
  if (internal.refusal) shared.firewall.push(`${matchAddress(port, internal.reason, port.clusterIP)} -j ${internal.refusal}`)
  else addInternal(shared, port, context)
  if (port.hasEndpoints && externallyAccessible(port)) owned = addExternal(shared, port, context)
  if (external.refusal) shared.firewall.push(...refusals(port, external.refusal, external.reason))
  shared.firewall.push(...sourceRangeDrops(port), ...guards(port, { options, ifLocal, sockets }))
  shared.nodePortNonLocal.push(...admissions(port, usable))
  return { key: affinityKey(port), shared, owned }
}

const match = (port: ProxiedPort, number: number, address?: string): string =>
  `-m comment --comment "${port.id}" ${matchProtocol(port)}${address === undefined ? '' : ` -d ${address}`} --dport ${number}`

/** What the node itself sends; REDIRECT would send it to 127.0.0.1, which cannot answer elsewhere. */
const fromHost = (number: number, { hostIP }: PortalOptions): string =>
  `-j DNAT --to-destination ${hostIP.includes(':') ? `[${hostIP}]` : hostIP}:${number}`

/**
 * A UDP socket that listens on every address answers from whichever the kernel picks, and conntrack may then not know
 * the answer: so those listen on hostIP alone.
 */
export const isBoundToHostIP = ({ protocol }: { readonly protocol: string }, options: Pick<PortalOptions, 'boundToHostIP'>): boolean =>
  options.boundToHostIP || protocol === 'UDP'

/** What comes in by a link; REDIRECT sends it to the link's own address. */
const fromContainer = (port: ProxiedPort, number: number, options: PortalOptions): string =>
  isBoundToHostIP(port, options) ? fromHost(number, options) : `-j REDIRECT --to-ports ${number}`

function addInternal(shared: Shared, port: ProxiedPort, { options, sockets }: PortContext): void {
  const socket = port.internalPolicyLocal ? sockets.local : sockets.cluster
  if (socket === undefined) return
  const matches = match(port, port.port, port.clusterIP)
  shared.portalsContainer.push(`${matches} ${fromContainer(port, socket, options)}`)
  shared.portalsHost.push(`${matches} ${fromHost(socket, options)}`)
}

function addExternal(shared: Shared, port: ProxiedPort, context: PortContext): Chains {
  const { options, sockets: { cluster } } = context
  const others = port.externalPolicyLocal ? `-j ${portChain(port)}` : cluster === undefined ? undefined : fromContainer(port, cluster, options)
  // The node itself sees no policy, as if it went out to the load balancer and back in.
  const own = cluster === undefined ? undefined : fromHost(cluster, options)
  const add = (container: SharedChain, host: SharedChain, matches: string) => {
    if (others) shared[container].push(`${matches} ${others}`)
    if (own) shared[host].push(`${matches} ${own}`)
  }
  for (const ip of port.externalIPs) add('portalsContainer', 'portalsHost', match(port, port.port, ip))
  for (const ip of port.loadBalancerIPs) {
    for (const source of admittedSources(port, options)) add('portalsContainer', 'portalsHost', `${match(port, port.port, ip)}${source && ` -s ${source}`}`)
  }
  const addresses = options.nodePortAddresses === 'all' ? [undefined] : options.nodePortAddresses
  if (port.nodePort) for (const address of addresses) add('nodePortContainer', 'nodePortHost', match(port, port.nodePort, address))
  return port.externalPolicyLocal ? new Map([[portChain(port), localPolicyRules(port, context)]]) : new Map()
}

/** Pods see no policy either. */
function localPolicyRules(port: ProxiedPort, { options, ifLocal, sockets: { cluster, local } }: PortContext): string[] {
  const rule = (text: string, matches: string, number: number) =>
    `-m comment --comment "${text} ${port.id} external destinations" ${matchProtocol(port)}${matches} ${fromContainer(port, number, options)}`
  return [
    ...ifLocal !== undefined && cluster !== undefined ? [rule('pod traffic for', ` ${ifLocal}`, cluster)] : [],
    ...local !== undefined ? [rule('local endpoints of', '', local)] : [],
  ]
}

/** Whom load balancer addresses admit; '' is everyone. */
function admittedSources(port: ProxiedPort, { nodeIP }: PortalOptions): readonly string[] {
  const ranges = port.loadBalancerSourceRanges
  if (ranges.length === 0) return ['']
  const node = nodeIP === undefined ? undefined : parseIp(nodeIP)
  const admitsNode = node !== undefined && ranges.some(range => contains(parseCidr(range)!, node))
  // Where the load balancer's address is also the node's, the node's own requests carry it as their source.
  return [...ranges, ...admitsNode ? port.loadBalancerIPs : []]
}

function refusals(port: ProxiedPort, target: string, reason: string): string[] {
  const addresses = [...port.externalIPs, ...port.loadBalancerIPs].map(ip => `${matchAddress(port, reason, ip)} -j ${target}`)
  if (port.nodePort === 0) return addresses
  return [...addresses, `-m comment --comment "${reason}" -m addrtype --dst-type LOCAL ${matchProtocol(port)} --dport ${port.nodePort} -j ${target}`]
}

/** What the source ranges admit was translated, and comes here no more. */
const sourceRangeDrops = (port: ProxiedPort): string[] => port.hasEndpoints && port.loadBalancerSourceRanges.length > 0
  ? port.loadBalancerIPs.map(ip => `${matchAddress(port, `${port.id} traffic not in loadBalancerSourceRanges`, ip)} -j DROP`) : []

/** The sockets are for what came through a portal: called by their own number they know no source ranges and no policy. */
function guards(port: ProxiedPort, { options, sockets }: PortContext): string[] {
  const toSocket = isBoundToHostIP(port, options) ? `-d ${options.hostIP}` : '-m addrtype --dst-type LOCAL'
  return [sockets.cluster, sockets.local].filter(number => number !== undefined).map(number =>
    `-m comment --comment "${port.id} proxy port" ${toSocket} ${matchProtocol(port)} --dport ${number} -j REJECT`)
}

function admissions(port: ProxiedPort, { cluster, local }: PortContext['sockets']): string[] {
  const sockets = port.nodePort === 0 ? [] : [cluster, port.externalPolicyLocal ? local : undefined].filter(number => number !== undefined)
  return [
    ...sockets.map(number => `${match(port, number)} -m conntrack --ctstate NEW -j ACCEPT`),
    ...port.healthCheckNodePort ? [`-m comment --comment "${port.id} health check node port" -m tcp -p tcp --dport ${port.healthCheckNodePort} -j ACCEPT`] : [],
  ]
}
