// Which of a Service port's addresses sockets translate themselves, and to what. Pure. Everything
// that is not here stays as it is and meets the packet rules beside (nftables mode): dropping, source
// ranges, SCTP, and settings that ask for masquerading.
import type { NodeOptions } from '../dataplane.ts'
import type { ProxiedPort } from '../state.ts'
import { kinds, type SocketAddress, type SocketProtocol } from './layout.ts'

export interface Translation {
  /** The same as long as it is the same port and policy. */
  readonly key: string
  readonly protocol: SocketProtocol
  /** Addresses that processes ask for; ip '' is any of the node's that serve NodePorts. */
  readonly frontends: readonly SocketAddress[]
  /** None: connections are refused at once. */
  readonly endpoints: readonly SocketAddress[]
  readonly affinitySeconds: number
}

export function translations(port: ProxiedPort, options: NodeOptions): Translation[] {
  // masqueradeAll wants every request to come from the node, and a socket's come from its pod.
  if (port.protocol === 'SCTP' || options.masqueradeAll) return []
  const { protocol, affinitySeconds, hasEndpoints } = port
  const make = (policy: 'cluster' | 'local', frontends: readonly SocketAddress[]): Translation[] => {
    const endpoints = port[policy]
    // Endpoints, but none that this policy allows: dropped, which a socket cannot do.
    if (frontends.length === 0 || (hasEndpoints && endpoints.length === 0)) return []
    return [{ key: `${port.id}/${protocol}/${policy}`, protocol, affinitySeconds, frontends, endpoints: hasEndpoints ? endpoints : [] }]
  }
  const internal = [{ ip: port.clusterIP, port: port.port }], external = externalFrontends(port, options)
  // Processes of this node reach external addresses as if they went out and back in: no policy but Cluster counts for them.
  if (!port.internalPolicyLocal) return make('cluster', [...internal, ...external])
  return [...make('local', internal), ...make('cluster', external)]
}

function externalFrontends(port: ProxiedPort, options: NodeOptions): SocketAddress[] {
  // Where the configuration does not tell pods from others, policy Local counts for them too (port-chains.ts: externalRules).
  if (port.externalPolicyLocal && !options.localTraffic && port.hasEndpoints) return []
  // Source ranges are for packets, which have a source; a socket has none yet.
  const loadBalancer = port.loadBalancerSourceRanges.length > 0 && port.hasEndpoints ? [] : port.loadBalancerIPs
  return [
    ...[...port.externalIPs, ...loadBalancer].map(ip => ({ ip, port: port.port })),
    ...port.nodePort ? [{ ip: '', port: port.nodePort }] : [],
  ]
}

export const loopbackRange = '127.0.0.0'

/** The node's addresses that serve NodePorts, each with the kinds of sockets for which it does. `machine`: all addresses that the node has. */
export function nodeAddresses(options: NodeOptions, machine: readonly string[]): Map<string, number> {
  const { nodePortAddresses, family, localhostNodePorts } = options
  const mine = (nodePortAddresses === 'all' ? machine : nodePortAddresses).filter(ip => ip.includes(':') === (family === 6))
  const found = new Map<string, number>()
  for (const ip of mine) if (!ip.startsWith('127.') && ip !== '::1') found.set(ip, kinds.node | kinds.pod)
  // A pod's loopback is its own.
  const loopback = family === 4 && localhostNodePorts && (nodePortAddresses === 'all' || nodePortAddresses.some(ip => ip.startsWith('127.')))
  if (loopback) found.set(loopbackRange, kinds.node)
  return found
}
