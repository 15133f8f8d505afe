// Which of the machine's addresses the proxy's sockets are called at.
import { parseIp, type Family } from '#net/ip.ts'

/** The node's address where it is one of the machine's, else the first that others can reach, else a loopback address, which serves the machine itself. */
export function hostAddress(machine: readonly string[], family: Family, nodeIP: string | undefined): string {
  if (nodeIP !== undefined && machine.includes(nodeIP)) return nodeIP
  return machine.find(address => parseIp(address)?.family === family && !isLoopback(address) && !isLinkLocal(address))
    ?? (family === 6 ? '::1' : '127.0.0.1')
}

export const isLoopback = (address: string): boolean => address.startsWith('127.') || address === '::1'
const isLinkLocal = (address: string): boolean => /^fe[89ab]/i.test(address) || address.startsWith('169.254.')

/** `bindAddress` of the configuration, when it is an address of the family and not "any". */
export function boundAddress(bindAddress: string, family: Family): string | undefined {
  const ip = parseIp(bindAddress)
  return ip?.family === family && ip.value !== 0n ? bindAddress : undefined
}
