// What the virtual servers, sets and rules of the ipvs mode depend on besides the state.
import { contains, parseIp, type Family } from '#net/ip.ts'
import type { ProxyConfig } from '../config.ts'
import type { NodeOptions } from '../dataplane.ts'
import { device } from './names.ts'

export interface IpvsOptions extends NodeOptions {
  readonly scheduler: string
  /** Whether MASQUERADE knows --random-fully. */
  readonly randomFully: boolean
  /** The node's own addresses that serve NodePorts, each with virtual servers of its own. */
  readonly nodeAddresses: readonly string[]
  /** All of the node's own addresses: these are not put on the device. */
  readonly ownAddresses: readonly string[]
}

/** Interface to its addresses. */
export type Interfaces = ReadonlyMap<string, readonly string[]>

/** `interfaces` are the node's, of both families. Like upstream, NodePorts are on no loopback and no IPv6 link-local address. */
export function ipvsOptions(options: NodeOptions, { config, interfaces, randomFully }: { config: ProxyConfig; interfaces: Interfaces; randomFully: boolean }): IpvsOptions {
  const ownAddresses = nodeAddresses(interfaces, options.family)
  const { nodePortAddresses: wanted } = options
  return { ...options, scheduler: config.ipvs.scheduler, randomFully, ownAddresses, nodeAddresses: wanted === 'all' ? ownAddresses : wanted.filter(isServing) }
}

export const nodeAddresses = (interfaces: Interfaces, family: Family): string[] =>
  [...new Set([...interfaces].filter(([name]) => name !== device).flatMap(([, addresses]) => addresses))].filter(address => parseIp(address)?.family === family && isServing(address)).sort()

const isServing = (address: string) => !address.startsWith('127.') && address !== '::1' && !/^fe[89ab]/i.test(address)

/** Whether a virtual server of the address is somebody else's (`ipvs.excludeCIDRs`). */
export const isExcluded = (address: string, config: ProxyConfig): boolean => {
  const ip = parseIp(address)
  return ip !== undefined && config.ipvs.excludeCIDRs.some(cidr => cidr.base.family === ip.family && contains(cidr, ip))
}
