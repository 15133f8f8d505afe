// Which sockets a listener is: for a host of its own one, for all addresses one per address and the
// wildcards. A wildcard alone would answer from another address than was asked, as UDP sockets in
// Node do not tell where a packet was sent to.
import type { NetworkInterfaceInfo } from 'node:os'

export const wildcards = ['0.0.0.0', '::'] as const

export function udpAddresses(host: string, interfaces: NodeJS.Dict<NetworkInterfaceInfo[]>): string[] {
  if (host !== '') return [host]
  // Link-local ones would need a scope; they are served by the wildcard.
  const own = Object.values(interfaces).flatMap(list => list ?? []).map(({ address }) => address).filter(address => !address.startsWith('fe80:'))
  return [...wildcards, ...new Set(own)]
}
