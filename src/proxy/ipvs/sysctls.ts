// Settings of the kernel that the ipvs mode needs: upstream's NewProxier.
import type { ProxyConfig } from '../config.ts'

export interface Sysctl {
  readonly name: string
  readonly value: number
  /** Kernels that need it, from the first of these to before the second; all unless told. */
  readonly kernels?: readonly [from: number, before: number]
}

export const sysctls = ({ ipvs }: ProxyConfig): Sysctl[] => [
  // Masquerading is conntrack's, which must see IPVS's connections for that.
  { name: 'net/ipv4/vs/conntrack', value: 1 },
  // 1 delays connections from a port used before by a second (kubernetes#81775), but from 5.9 on; before 4.1 there was no such setting.
  { name: 'net/ipv4/vs/conn_reuse_mode', value: 0, kernels: [4_001, 5_009] },
  // Clients of an endpoint that is gone get another with their next packet, and affinity to a draining one ends.
  { name: 'net/ipv4/vs/expire_nodest_conn', value: 1 },
  { name: 'net/ipv4/vs/expire_quiescent_template', value: 1 },
  { name: 'net/ipv4/ip_forward', value: 1 },
  // The addresses of Services are on a device of every node: only a load balancer's announcer may answer ARP for them.
  ...ipvs.strictARP ? [{ name: 'net/ipv4/conf/all/arp_ignore', value: 1 }, { name: 'net/ipv4/conf/all/arp_announce', value: 2 }] : [],
]

/** Where the kernel tells its release: `6.1.0-56-amd64`. */
export const release = 'kernel/osrelease'

export function isFor(kernelRelease: string): (sysctl: Sysctl) => boolean {
  const [major = 0, minor = 0] = kernelRelease.split('.').map(part => parseInt(part, 10) || 0)
  const number = major * 1000 + minor
  return ({ kernels: [from, before] = [0, Infinity] }) => number >= from && number < before
}
