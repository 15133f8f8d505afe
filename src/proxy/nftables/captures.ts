// Which packets a Service port captures, and where each map sends them: the elements of every map,
// by what they capture. The chains that they lead to are chains.ts.
import { contains, formatCidr, parseCidr, parseIp, type Cidr } from '#net/ip.ts'
import type { NodeOptions } from '../dataplane.ts'
import type { Endpoint } from '../endpoints.ts'
import type { ProxiedPort } from '../state.ts'
import { affinityChains, sharedChain, type Chains, type Traffic } from './chains.ts'
import { portName } from './names.ts'

export interface Element {
  readonly set: string
  /** As nft prints it: `10.96.0.10 . udp . 53`. */
  readonly key: string
  /** '' in a set. */
  readonly value: string
}

/** All that decides about the packets to one address and port, or to one node port. Where two Services claim the same, one of them gets all of it. */
export interface Claim {
  readonly captures: string
  readonly elements: readonly Element[]
  /** Chains that the elements lead to and other ports may lead to as well. */
  readonly chains: Chains
}
export interface PortRules {
  readonly claims: readonly Claim[]
  /** Chains and sets of this port alone: only session affinity needs them. */
  readonly ownChains: Chains
  readonly ownSets: readonly string[]
  /** Elements that several ports may have. */
  readonly shared: readonly Element[]
}

export function portRules(port: ProxiedPort, options: NodeOptions): PortRules {
  const own = port.affinitySeconds > 0 && port.reachable.length > 0 ? affinityChains(port, options) : { chains: new Map(), sets: [] }
  const external = claimOf(port, options, 'external'), protocol = port.protocol.toLowerCase()
  const socket = (ip: string) => `${ip} . ${protocol} . ${port.port}`
  const claims = [
    claimOf(port, options, 'internal')(socket(port.clusterIP)),
    ...port.externalIPs.map(ip => external(socket(ip))),
    ...port.loadBalancerIPs.map(ip => { const claim = external(socket(ip)); return { ...claim, elements: [...claim.elements, ...firewall(port, ip, options)] } }),
    ...port.nodePort ? [claimOf(port, options, 'nodeport')(`${protocol} . ${port.nodePort}`)] : [],
  ]
  const hairpin = port.reachable.filter(endpoint => endpoint.isLocal || endpoint.nodeName === '').map(({ ip }) => ({ set: 'hairpin-connections', key: `${ip} . ${ip}`, value: '' }))
  return { claims, ownChains: own.chains, ownSets: own.sets, shared: [{ set: 'cluster-ips', key: port.clusterIP, value: '' }, ...hairpin] }
}

// Nowhere any endpoint: refused at once. Only none on this node: dropped, so that a load balancer tries another.
const refusal = (port: ProxiedPort, isLocal: boolean): string | undefined =>
  !port.hasEndpoints ? 'goto reject-chain' : isLocal && port.local.length === 0 ? 'drop' : undefined

const claimOf = (port: ProxiedPort, options: NodeOptions, traffic: Traffic) => (key: string): Claim => {
  const isLocal = traffic === 'internal' ? port.internalPolicyLocal : port.externalPolicyLocal
  const refused = refusal(port, isLocal)
  const isNodePort = traffic === 'nodeport'
  const elements: Element[] = refused ? [{ set: isNodePort ? 'no-endpoint-nodeports' : 'no-endpoint-services', key, value: refused }] : []
  // Under an external policy Local, pods and the node itself reach all endpoints even where none is here.
  if (!port.hasEndpoints || (refused && traffic === 'internal')) return { captures: `${isNodePort ? 'nodeport' : 'socket'} ${key}`, elements, chains: new Map() }
  const { target, chains } = targetOf(port, options, traffic)
  elements.push({ set: isNodePort ? 'service-nodeports' : 'service-ips', key, value: `goto ${target}` })
  if (port.affinitySeconds === 0) elements.push(...endpointElements(port, key, traffic))
  return { captures: `${isNodePort ? 'nodeport' : 'socket'} ${key}`, elements, chains }
}

function targetOf(port: ProxiedPort, options: NodeOptions, traffic: Traffic): { target: string; chains: Chains } {
  if (port.affinitySeconds > 0) {
    const prefix = traffic !== 'internal' ? 'external' : port.internalPolicyLocal ? 'local' : 'service'
    return { target: portName(prefix, port), chains: new Map() }
  }
  return sharedChain(traffic, { isLocal: traffic === 'internal' ? false : port.externalPolicyLocal, cluster: clusterEndpoints(port, traffic).length, local: port.local.length }, options)
}

/** What the map `endpoints` holds for one kind of traffic. */
const clusterEndpoints = (port: ProxiedPort, traffic: Traffic): readonly Endpoint[] =>
  traffic === 'internal' && port.internalPolicyLocal ? port.local : port.cluster

function endpointElements(port: ProxiedPort, key: string, traffic: Traffic): Element[] {
  const prefix = traffic === 'nodeport' ? 'nodeport-' : ''
  const numbered = (set: string, endpoints: readonly Endpoint[]) => endpoints.map((endpoint, i) => ({ set, key: `${key} . ${i}`, value: `${endpoint.ip} . ${endpoint.port}` }))
  return [
    ...numbered(`${prefix}endpoints`, clusterEndpoints(port, traffic)),
    ...traffic !== 'internal' && port.externalPolicyLocal ? numbered(`${prefix}local-endpoints`, port.local) : [],
  ]
}

/** Source ranges hold for a load balancer's addresses alone; NodePorts are not subject to them. */
function firewall(port: ProxiedPort, ip: string, { nodeIP }: NodeOptions): Element[] {
  if (!port.hasEndpoints || port.loadBalancerSourceRanges.length === 0) return []
  const node = nodeIP === undefined ? undefined : parseIp(nodeIP)
  const ranges = port.loadBalancerSourceRanges.map(range => parseCidr(range)!)
  // Where the load balancer's address is also the node's, the node's own requests carry it as their source.
  const own = node && ranges.some(range => contains(range, node)) ? port.loadBalancerIPs.map(text => hostCidr(text)) : []
  const socket = `${ip} . ${port.protocol.toLowerCase()} . ${port.port}`
  return [{ set: 'firewall-ips', key: socket, value: '' },
    ...outermost([...ranges, ...own]).map(range => ({ set: 'firewall-sources', key: `${socket} . ${formatRange(range)}`, value: '' }))]
}

const hostCidr = (text: string): Cidr => parseCidr(`${text}/${text.includes(':') ? 128 : 32}`)!
const formatRange = (cidr: Cidr) => cidr.prefix === (cidr.base.family === 4 ? 32 : 128) ? formatCidr(cidr).split('/')[0]! : formatCidr(cidr)

/** nft refuses ranges that overlap; of CIDRs one then holds the other. */
function outermost(ranges: readonly Cidr[]): Cidr[] {
  const sorted = ranges.toSorted((a, b) => a.prefix - b.prefix)
  return sorted.filter((range, i) => !sorted.slice(0, i).some(other => contains(other, range.base)))
}
