// The rules that single Services need, as no set can say them: externalTrafficPolicy Local, which does
// not count for this node and its pods, and load balancers that the node itself may not use.
import { externallyAccessible } from '../services.ts'
import type { ProxiedPort } from '../state.ts'
import { chains, setName } from './names.ts'
import type { IpvsOptions } from './options.ts'
import { admitsNode } from './sets.ts'

export interface ServiceRules {
  /** For KUBE-LOCAL-CLIENTS of nat. */
  readonly localClients: readonly string[]
  /** For KUBE-IPVS-OUT-FILTER of filter. */
  readonly outFilter: readonly string[]
}

const none: ServiceRules = { localClients: [], outFilter: [] }

export function serviceRules(port: ProxiedPort, options: IpvsOptions): ServiceRules {
  if (!port.hasEndpoints || !externallyAccessible(port)) return none
  const isGuarded = port.loadBalancerSourceRanges.length > 0 && !admitsNode(port, options.nodeIP)
  return {
    localClients: port.externalPolicyLocal ? localClientRules(port, options, isGuarded) : [],
    // The node's request to an address on its own device carries that address as its source too. IPVS has translated it by now (kubernetes#119656).
    outFilter: isGuarded ? port.loadBalancerIPs.map(ip => `-s ${ip} -m ipvs --vaddr ${ip} --vproto ${port.protocol.toLowerCase()} --vport ${port.port} -j DROP`) : [],
  }
}

/**
 * As if they went out to the load balancer and came back in: to the cluster IP's virtual server, whose endpoints
 * are those of the whole cluster. The node's own requests are masqueraded, lest an endpoint elsewhere answer to a Service's address.
 */
function localClientRules(port: ProxiedPort, options: IpvsOptions, isGuarded: boolean): string[] {
  const protocol = port.protocol.toLowerCase(), comment = (text: string) => `-m comment --comment "${text} ${port.id} external destinations"`
  const to = options.family === 6 ? `[${port.clusterIP}]:${port.port}` : `${port.clusterIP}:${port.port}`
  const masquerade = (match: string) => `${comment('masquerade LOCAL traffic for')} ${match} -m addrtype --src-type LOCAL -j ${chains.markMasq}`
  const route = (match: string, client = '') => `${comment(client ? `route ${client} traffic for` : 'route LOCAL and pod traffic for')} ${match} -j DNAT --to-destination ${to}`
  const address = (ip: string) => `-m ${protocol} -p ${protocol} -d ${ip} --dport ${port.port}`
  const guarded = (ip: string) => [
    ...isGuarded ? [] : [masquerade(address(ip)), route(`${address(ip)} -m addrtype --src-type LOCAL`, 'LOCAL')],
    route(`${address(ip)} -m set --match-set ${setName('LOAD-BALANCER-SOURCE-CIDR', options.family)} dst,dst,src`, 'pod'),
  ]
  return [
    ...port.externalIPs.flatMap(ip => [masquerade(address(ip)), route(address(ip))]),
    ...port.loadBalancerIPs.flatMap(ip => port.loadBalancerSourceRanges.length > 0 ? guarded(ip) : [masquerade(address(ip)), route(address(ip))]),
    ...port.nodePort ? nodePortMatches(options).map(match => `-m ${protocol} -p ${protocol} ${match} --dport ${port.nodePort}`).flatMap(match => [masquerade(match), route(match)]) : [],
  ]
}

/** The node's own addresses, not those of Services. */
function nodePortMatches({ family, nodePortAddresses, nodeAddresses }: IpvsOptions): string[] {
  if (nodePortAddresses !== 'all') return nodeAddresses.map(ip => `-d ${ip}`)
  return [`-m addrtype --dst-type LOCAL -m set ! --match-set ${setName('IPVS-IPS', family)} dst ! -d ${family === 6 ? '::1/128' : '127.0.0.0/8'}`]
}
