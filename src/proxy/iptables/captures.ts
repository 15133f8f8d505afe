// Which packets a Service port captures: its rules in the shared chains of nat (where to go) and of
// filter (what to refuse when there is nowhere to go). What happens then is port-chains.ts.
import { externallyAccessible } from '../services.ts'
import type { ProxiedPort } from '../state.ts'
import { chainName, chains } from './names.ts'
import type { Chains } from './ruleset.ts'

/** Where traffic of one kind goes: into a chain, or to a refusal (KUBE-SERVICES of the filter table), or both. */
export interface Target { readonly chain: string | undefined; readonly refusal: string | undefined; readonly reason: string }
export interface ExternalTargets {
  /** NodePorts and external IPs. The chain exists even where the policy leaves no endpoint: for the node's own traffic. */
  readonly chain: string | undefined
  /** Load balancer addresses: the firewall chain where source ranges are set. */
  readonly loadBalancerChain: string | undefined
  readonly firewallChain: string | undefined
  readonly refusal: string | undefined
  readonly reason: string
}
export interface Targets { readonly internal: Target; readonly external: ExternalTargets }

/** The chain of the endpoints under a policy. */
export const policyChain = (port: ProxiedPort, local: boolean): string =>
  chainName(local ? 'KUBE-SVL-' : 'KUBE-SVC-', port.id, port.protocol)

// Nowhere any endpoint: refused at once. Only none on this node: dropped, so that a load balancer tries another.
const refusalOf = (port: ProxiedPort, policyLocal: boolean) => {
  if (!port.hasEndpoints) return { refusal: 'REJECT', reason: `${port.id} has no endpoints` }
  if (policyLocal && port.local.length === 0) return { refusal: 'DROP', reason: `${port.id} has no local endpoints` }
  return { refusal: undefined, reason: '' }
}

export function internalTarget(port: ProxiedPort): Target {
  const refused = refusalOf(port, port.internalPolicyLocal)
  return { chain: refused.refusal ? undefined : policyChain(port, port.internalPolicyLocal), ...refused }
}

export function externalTargets(port: ProxiedPort): ExternalTargets {
  const chain = port.hasEndpoints && externallyAccessible(port) ? chainName('KUBE-EXT-', port.id, port.protocol) : undefined
  const hasFirewall = port.hasEndpoints && port.loadBalancerIPs.length > 0 && port.loadBalancerSourceRanges.length > 0
  const firewallChain = hasFirewall ? chainName('KUBE-FW-', port.id, port.protocol) : undefined
  return { chain, firewallChain, loadBalancerChain: firewallChain ?? chain, ...refusalOf(port, port.externalPolicyLocal) }
}

/** Matches packets to one address and port of the Service. */
export const matchAddress = (port: ProxiedPort, comment: string, ip: string): string =>
  `-m comment --comment "${comment}" ${matchProtocol(port)} -d ${ip} --dport ${port.port}`
export const matchProtocol = ({ protocol }: ProxiedPort): string => `-m ${protocol.toLowerCase()} -p ${protocol.toLowerCase()}`

export function natRules(port: ProxiedPort, { internal, external }: Targets): Chains {
  const services: string[] = [], nodePorts: string[] = []
  if (internal.chain) services.push(`${matchAddress(port, `${port.id} cluster IP`, port.clusterIP)} -j ${internal.chain}`)
  if (external.chain) {
    for (const ip of port.externalIPs) services.push(`${matchAddress(port, `${port.id} external IP`, ip)} -j ${external.chain}`)
    for (const ip of port.loadBalancerIPs) services.push(`${matchAddress(port, `${port.id} loadbalancer IP`, ip)} -j ${external.loadBalancerChain}`)
    // NodePorts are not subject to loadBalancerSourceRanges.
    if (port.nodePort) nodePorts.push(`-m comment --comment "${port.id}" ${matchProtocol(port)} --dport ${port.nodePort} -j ${external.chain}`)
  }
  return notEmpty([[chains.services, services], [chains.nodePorts, nodePorts]])
}

export function filterRules(port: ProxiedPort, { internal, external }: Targets): Chains {
  const services: string[] = [], externalServices: string[] = [], nodePorts: string[] = [], firewall: string[] = []
  if (internal.refusal) services.push(`${matchAddress(port, internal.reason, port.clusterIP)} -j ${internal.refusal}`)
  if (external.refusal) {
    for (const ip of [...port.externalIPs, ...port.loadBalancerIPs]) externalServices.push(`${matchAddress(port, external.reason, ip)} -j ${external.refusal}`)
    if (port.nodePort) externalServices.push(`-m comment --comment "${external.reason}" -m addrtype --dst-type LOCAL ${matchProtocol(port)} --dport ${port.nodePort} -j ${external.refusal}`)
  }
  // What passed the firewall chain was translated and no longer has this destination.
  if (external.firewallChain) {
    for (const ip of port.loadBalancerIPs) firewall.push(`${matchAddress(port, `${port.id} traffic not accepted by ${external.firewallChain}`, ip)} -j DROP`)
  }
  if (port.healthCheckNodePort) nodePorts.push(`-m comment --comment "${port.id} health check node port" -m tcp -p tcp --dport ${port.healthCheckNodePort} -j ACCEPT`)
  return notEmpty([[chains.services, services], [chains.externalServices, externalServices], [chains.nodePorts, nodePorts], [chains.proxyFirewall, firewall]])
}

const notEmpty = (all: [string, string[]][]): Chains => new Map(all.filter(([, rules]) => rules.length > 0))
