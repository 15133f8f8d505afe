// What a Service port puts into the ipsets that the mode's few iptables rules look things up in: whom to
// masquerade, whom to let in. Entries are spelled as `ipset save` prints them.
import { contains, formatCidr, parseCidr, parseIp } from '#net/ip.ts'
import type { ProxiedPort } from '../state.ts'
import type { SetId } from './names.ts'
import { externalAddresses, hasNoLocal } from './servers.ts'

export interface SetOptions {
  readonly nodeAddresses: readonly string[]
  readonly nodeIP: string | undefined
}
export interface Entry { readonly set: SetId; readonly entry: string }

export function setEntries(port: ProxiedPort, options: SetOptions): Entry[] {
  const protocol = port.protocol.toLowerCase()
  const at = (set: SetId, address: string, number = port.port): Entry => ({ set, entry: `${address},${protocol}:${number}` })
  // A pod that reaches itself through the Service must see another source than itself.
  const loops = port.reachable.filter(({ isLocal }) => isLocal).map(({ ip, port: number }): Entry => ({ set: 'LOOP-BACK', entry: `${ip},${protocol}:${number},${ip}` }))
  return [
    ...loops, at('CLUSTER-IP', port.clusterIP),
    ...port.externalIPs.map(ip => at(port.externalPolicyLocal ? 'EXTERNAL-IP-LOCAL' : 'EXTERNAL-IP', ip)),
    ...port.loadBalancerIPs.flatMap(ip => loadBalancerEntries(port, ip, options)),
    ...port.nodePort ? nodePortEntries(port, options.nodeAddresses) : [],
    ...port.healthCheckNodePort ? [{ set: 'HEALTH-CHECK-NODE-PORT', entry: String(port.healthCheckNodePort) } as const] : [],
    ...hasNoLocal(port, port.internalPolicyLocal) ? [at('NO-LOCAL-ENDPOINTS', port.clusterIP)] : [],
    ...hasNoLocal(port, port.externalPolicyLocal) ? [
      ...externalAddresses(port).map(ip => at('NO-LOCAL-ENDPOINTS', ip)),
      ...port.nodePort ? options.nodeAddresses.map(ip => at('NO-LOCAL-ENDPOINTS', ip, port.nodePort)) : [],
    ] : [],
  ]
}

function loadBalancerEntries(port: ProxiedPort, ip: string, { nodeIP }: SetOptions): Entry[] {
  const entry = `${ip},${port.protocol.toLowerCase()}:${port.port}`
  const hasFirewall = port.loadBalancerSourceRanges.length > 0 && port.hasEndpoints // without endpoints it is refused, not dropped
  return [
    { set: 'LOAD-BALANCER', entry },
    ...port.externalPolicyLocal ? [{ set: 'LOAD-BALANCER-LOCAL', entry } as const] : [],
    ...hasFirewall ? [
      { set: 'LOAD-BALANCER-FW', entry } as const,
      ...port.loadBalancerSourceRanges.flatMap(halves).map(range => ({ set: 'LOAD-BALANCER-SOURCE-CIDR', entry: `${entry},${range}` } as const)),
      // The node's own requests carry the load balancer's address as their source, which is on its device.
      ...admitsNode(port, nodeIP) ? [{ set: 'LOAD-BALANCER-SOURCE-IP', entry: `${entry},${ip}` } as const] : [],
    ] : [],
  ]
}

/** Whether the source ranges hold the node itself. */
export function admitsNode(port: ProxiedPort, nodeIP: string | undefined): boolean {
  const node = nodeIP === undefined ? undefined : parseIp(nodeIP)
  return node !== undefined && port.loadBalancerSourceRanges.some(range => contains(parseCidr(range)!, node))
}

/** A hash of networks cannot hold a range of prefix length 0, but two halves of it; it prints one address without a length. */
function halves(range: string): string[] {
  const { base, prefix } = parseCidr(range)!
  if (prefix === 0) return base.family === 4 ? ['0.0.0.0/1', '128.0.0.0/1'] : ['::/1', '8000::/1']
  return [formatCidr({ base, prefix }).replace(base.family === 4 ? /\/32$/ : /\/128$/, '')]
}

function nodePortEntries(port: ProxiedPort, nodeAddresses: readonly string[]): Entry[] {
  const { protocol, nodePort } = port
  const kinds = port.externalPolicyLocal ? ['', 'LOCAL-'] as const : [''] as const
  return kinds.flatMap(kind => protocol === 'SCTP' // a bitmap of ports does not know SCTP
    ? nodeAddresses.map((address): Entry => ({ set: `NODE-PORT-${kind}SCTP-HASH`, entry: `${address},sctp:${nodePort}` }))
    : [{ set: `NODE-PORT-${kind}${protocol}` as const, entry: String(nodePort) }])
}
