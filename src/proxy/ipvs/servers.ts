// Which virtual servers a Service port has, and the real servers of each: the cluster IP, external and
// load balancer addresses, and its NodePort on each address of the node. What surrounds them (sets, rules)
// is sets.ts and rules.ts.
import type { Endpoint } from '../endpoints.ts'
import type { Protocol, ServicePort } from '../services.ts'
import type { ProxiedPort } from '../state.ts'

/** ipvsadm's own words for a virtual server; the key of everything about it. */
export type ServerKey = `${'-t' | '-u' | '--sctp-service'} ${string}`

export interface VirtualServer {
  readonly key: ServerKey
  /** Scheduler and persistence: `-s rr -p 10800`. */
  readonly options: string
  /** `10.244.1.2:80`, each of weight 1. None: IPVS refuses the client at once. */
  readonly endpoints: readonly string[]
}

/** What IPVS can schedule by (`ipvs.scheduler`). */
export const schedulers = ['rr', 'wrr', 'lc', 'wlc', 'lblc', 'lblcr', 'sh', 'dh', 'sed', 'nq', 'mh'] as const

const flags: Record<Protocol, string> = { TCP: '-t', UDP: '-u', SCTP: '--sctp-service' }
export const serverKey = (protocol: Protocol, address: string, port: number): ServerKey =>
  `${flags[protocol]} ${address.includes(':') ? `[${address}]` : address}:${port}` as ServerKey

/** The address in a key. */
export const addressOf = (key: string): string => key.slice(key.indexOf(' ') + 1, key.lastIndexOf(':')).replace(/[[\]]/g, '')

// mh hashes the client's port as well (FlagSourceHash of upstream), else a client has one endpoint for ever.
export const serverOptions = (scheduler: string, persistence: number) => `-s ${scheduler}${persistence > 0 ? ` -p ${persistence}` : ''}${scheduler === 'mh' ? ' -b mh-port' : ''}`

export interface ServerOptions {
  readonly scheduler: string
  /** Where NodePorts are served. */
  readonly nodeAddresses: readonly string[]
}

/** Where the endpoints of a policy leave nothing on this node though there is some elsewhere: no virtual server, packets are dropped. */
export const hasNoLocal = (port: ProxiedPort, isLocal: boolean): boolean => isLocal && port.hasEndpoints && port.local.length === 0

export function virtualServers(port: ProxiedPort, { scheduler, nodeAddresses }: ServerOptions): VirtualServer[] {
  const options = serverOptions(scheduler, port.affinitySeconds)
  const server = (address: string, number: number, isLocal: boolean): VirtualServer[] => hasNoLocal(port, isLocal) ? []
    : [{ key: serverKey(port.protocol, address, number), options, endpoints: addresses(isLocal ? port.local : port.cluster) }]
  return [
    ...server(port.clusterIP, port.port, port.internalPolicyLocal),
    ...externalAddresses(port).flatMap(address => server(address, port.port, port.externalPolicyLocal)),
    ...port.nodePort ? nodeAddresses.flatMap(address => server(address, port.nodePort, port.externalPolicyLocal)) : [],
  ]
}
const addresses = (endpoints: readonly Endpoint[]) => endpoints.map(({ address }) => address)

export const externalAddresses = (port: ServicePort): readonly string[] => [...new Set([...port.externalIPs, ...port.loadBalancerIPs])]

/** The line that makes a virtual server, and those of its endpoints, for `ipvsadm -R`. */
export const serverLines = ({ key, options, endpoints }: VirtualServer): string[] =>
  [`-A ${key} ${options}`, ...endpoints.map(endpoint => endpointLine('-a', key, endpoint))]

/** Weight 0 takes no new connections and keeps those that it has. */
export const endpointLine = (verb: '-a' | '-e', key: string, endpoint: string, weight = 1): string => `${verb} ${key} -r ${endpoint} -m -w ${weight}`
