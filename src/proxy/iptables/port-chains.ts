// The chains of one Service port in the nat table: masquerading, source ranges, affinity, balancing
// and the translation itself.
import { contains, parseCidr, parseIp } from '#net/ip.ts'
import type { Endpoint } from '../endpoints.ts'
import { usesLocalEndpoints } from '../services.ts'
import type { ProxiedPort } from '../state.ts'
import { matchAddress, matchProtocol, policyChain, type Targets } from './captures.ts'
import { chainName, chains } from './names.ts'
import type { RuleOptions } from './options.ts'
import type { Chains } from './ruleset.ts'

interface Options extends RuleOptions { readonly comments: boolean }

/** In the order in which a packet meets them. */
export function portChains(port: ProxiedPort, { internal, external }: Targets, options: Options): Chains {
  const made = new Map<string, readonly string[]>()
  const endpointChains = new Map(port.reachable.map(({ address }) => [address, chainName('KUBE-SEP-', port.id, port.protocol, address)]))
  const all = { ...options, chainOf: ({ address }: Endpoint) => endpointChains.get(address)! }
  if (external.chain) made.set(external.chain, externalRules(port, external.refusal !== undefined, options))
  if (external.firewallChain) made.set(external.firewallChain, firewallRules(port, external.chain!, options))
  const policies = [
    { local: false, endpoints: port.cluster }, { local: true, endpoints: usesLocalEndpoints(port) ? port.local : [] },
  ]
  for (const { local, endpoints } of policies) {
    if (endpoints.length === 0) continue
    const chain = policyChain(port, local)
    const masquerade = internal.chain === chain ? internalMasquerade(port, options) : []
    made.set(chain, [...masquerade, ...balancingRules(port, endpoints, all)])
  }
  for (const endpoint of port.reachable) made.set(all.chainOf(endpoint), endpointRules(port, endpoint, all))
  return made
}

interface EndpointOptions { readonly comments: boolean; readonly chainOf: (endpoint: Endpoint) => string }

const jumpIf = (...parts: (string | undefined)[]) => parts.filter(part => part).join(' ')

/** Traffic to the cluster IP from outside the cluster bounces off this node, so its answer must come back here. */
function internalMasquerade(port: ProxiedPort, { masqueradeAll, localTraffic }: Options): string[] {
  if (!masqueradeAll && !localTraffic) return []
  return [jumpIf(matchAddress(port, `${port.id} cluster IP`, port.clusterIP), masqueradeAll ? '' : localTraffic!.ifNotLocal, `-j ${chains.markMasq}`)]
}

function externalRules(port: ProxiedPort, refused: boolean, { localTraffic }: Options): string[] {
  const comment = (text: string) => `-m comment --comment "${text} ${port.id} external destinations"`
  const cluster = policyChain(port, false)
  const rules = !port.externalPolicyLocal
    // The endpoint may be on another node, which would answer the client directly.
    ? [`${comment('masquerade traffic for')} -j ${chains.markMasq}`]
    : [
        // Pods and the node itself see no policy, as if they went out to the load balancer and back in.
        ...localTraffic ? [`${comment('pod traffic for')} ${localTraffic.ifLocal} -j ${cluster}`] : [],
        `${comment('masquerade LOCAL traffic for')} -m addrtype --src-type LOCAL -j ${chains.markMasq}`,
        `${comment('route LOCAL traffic for')} -m addrtype --src-type LOCAL -j ${cluster}`,
      ]
  return refused ? rules : [...rules, `-j ${policyChain(port, port.externalPolicyLocal)}`]
}

function firewallRules(port: ProxiedPort, target: string, { nodeIP }: Options): string[] {
  const rule = (source: string) => `-m comment --comment "${port.id} loadbalancer IP" -s ${source} -j ${target}`
  const node = nodeIP === undefined ? undefined : parseIp(nodeIP)
  const admitsNode = node !== undefined && port.loadBalancerSourceRanges.some(range => contains(parseCidr(range)!, node))
  return [
    ...port.loadBalancerSourceRanges.map(rule),
    // Where the load balancer's address is also the node's, the node's own requests carry it as their source.
    ...admitsNode ? port.loadBalancerIPs.map(rule) : [],
    `-m comment --comment "other traffic to ${port.id} will be dropped by ${chains.proxyFirewall}"`,
  ]
}

function balancingRules(port: ProxiedPort, endpoints: readonly Endpoint[], { comments, chainOf }: EndpointOptions): string[] {
  const comment = (endpoint: Endpoint) => comments ? `-m comment --comment "${port.id} -> ${endpoint.address}"` : ''
  const affinity = port.affinitySeconds === 0 ? [] : endpoints.map(endpoint => jumpIf(comment(endpoint),
    `-m recent --name ${chainOf(endpoint)} --rcheck --seconds ${port.affinitySeconds} --reap -j ${chainOf(endpoint)}`))
  return [...affinity, ...endpoints.map((endpoint, i) => {
    // Of the n - i that are left each is as likely as any other; ten decimals since kubernetes#83599.
    const last = i === endpoints.length - 1
    const chance = last ? '' : `-m statistic --mode random --probability ${(1 / (endpoints.length - i)).toFixed(10)}`
    return jumpIf(comment(endpoint), chance, `-j ${chainOf(endpoint)}`)
  })]
}

function endpointRules(port: ProxiedPort, endpoint: Endpoint, { comments, chainOf }: EndpointOptions): string[] {
  const comment = comments ? `-m comment --comment "${port.id}"` : ''
  const remember = port.affinitySeconds === 0 ? '' : `-m recent --name ${chainOf(endpoint)} --set`
  return [
    // Hairpin: a pod that reaches itself through the Service must see another source than itself.
    jumpIf(comment, `-s ${endpoint.ip} -j ${chains.markMasq}`),
    jumpIf(comment, remember, `${matchProtocol(port)} -j DNAT --to-destination ${endpoint.address}`),
  ]
}
