// What a node's own description means for the proxy: its addresses, its pods' range, how local
// traffic is told, and which addresses serve NodePorts.
import type { Node } from '#api/core/v1.ts'
import { contains, formatCidr, formatIp, parseCidr, parseIp, type Cidr, type Family } from '#net/ip.ts'
import type { ProxyConfig } from './config.ts'
import type { LocalTraffic, NodeOptions } from './dataplane.ts'

/** The node's address in a family: InternalIP before ExternalIP (nodeutil.GetNodeHostIPs). */
export function nodeIP(node: Node | undefined, family: Family): string | undefined {
  const addresses = node?.status?.addresses ?? []
  for (const type of ['InternalIP', 'ExternalIP']) {
    for (const { address, type: own } of addresses) {
      const ip = own === type ? parseIp(address) : undefined
      if (ip?.family === family) return formatIp(ip)
    }
  }
  return undefined
}

export const podCIDR = (node: Node | undefined, family: Family): Cidr | undefined =>
  [...node?.spec?.podCIDRs ?? [], ...node?.spec?.podCIDR ? [node.spec.podCIDR] : []]
    .map(parseCidr).find(cidr => cidr?.base.family === family)

/** How rules tell the traffic of this node's pods; undefined when the configuration does not say. */
export function localTraffic(config: ProxyConfig, node: Node | undefined, family: Family): LocalTraffic | undefined {
  const ofCidr = (cidr: Cidr | undefined): LocalTraffic | undefined => cidr && { by: 'source', cidr: formatCidr(cidr) }
  switch (config.detectLocalMode) {
    case 'ClusterCIDR': return ofCidr(config.clusterCIDRs.find(cidr => cidr.base.family === family))
    case 'NodeCIDR': return ofCidr(podCIDR(node, family))
    case 'BridgeInterface': return { by: 'interface', name: config.bridgeInterface }
    case 'InterfaceNamePrefix': return { by: 'interfacePrefix', prefix: config.interfaceNamePrefix }
  }
}

/** `all`, or those of the machine's addresses that the configuration selects. */
export function nodePortAddresses(config: ProxyConfig, family: Family, { machine, primary }: { machine: readonly string[]; primary: string | undefined }): NodeOptions['nodePortAddresses'] {
  const wanted = config.nodePortAddresses
  const own = wanted.includes('primary') && primary ? [primary] : []
  const cidrs = wanted.filter(text => text !== 'primary').map(text => parseCidr(text)!).filter(cidr => cidr.base.family === family)
  // None for this family means all, as an empty list does; so does a range that holds every address.
  if (cidrs.some(cidr => cidr.prefix === 0) || (cidrs.length === 0 && !wanted.includes('primary'))) return 'all'
  return [...new Set([...own, ...machine.filter(address => {
    const ip = parseIp(address)
    if (ip?.family !== family || !cidrs.some(cidr => contains(cidr, ip))) return false
    return !isLoopback(address) || (family === 4 && config.localhostNodePorts)
  })])].sort()
}
const isLoopback = (address: string) => address.startsWith('127.') || address === '::1'

/** All that the rules of one IP family depend on besides Services. `machine` are the addresses of the machine's interfaces. */
export function nodeOptions(config: ProxyConfig, { family, node, machine }: { family: Family; node: Node | undefined; machine: readonly string[] }): NodeOptions {
  const primary = nodeIP(node, family) ?? ownAddress(config.bindAddress, family)
  const local = localTraffic(config, node, family)
  return {
    family, masqueradeAll: config.masqueradeAll, masqueradeBit: config.masqueradeBit,
    ...local && { localTraffic: local }, nodePortAddresses: nodePortAddresses(config, family, { machine, primary }),
    localhostNodePorts: config.localhostNodePorts, tcpBeLiberal: config.conntrack.tcpBeLiberal, nodeIP: primary,
  }
}

/** bindAddress stands in for a node that the API does not know, unless it is "any". */
const ownAddress = (bindAddress: string, family: Family): string | undefined => {
  const ip = parseIp(bindAddress)
  return ip?.family === family && ip.value !== 0n ? formatIp(ip) : undefined
}
