// The names of kube-proxy's chains: fixed ones, and those made of a hash of what they serve.
import { hash } from 'node:crypto'
import type { Protocol } from '../services.ts'

export const chains = {
  services: 'KUBE-SERVICES',
  externalServices: 'KUBE-EXTERNAL-SERVICES',
  nodePorts: 'KUBE-NODEPORTS',
  postrouting: 'KUBE-POSTROUTING',
  markMasq: 'KUBE-MARK-MASQ',
  forward: 'KUBE-FORWARD',
  proxyFirewall: 'KUBE-PROXY-FIREWALL',
  /** Not ours alone: the kubelet makes it too, with the same rule. */
  kubeletFirewall: 'KUBE-FIREWALL',
  canary: 'KUBE-PROXY-CANARY',
} as const

/** Chains of one Service port: Cluster and Local endpoints, external traffic, source ranges; SEP is one endpoint. */
export type Prefix = 'KUBE-SVC-' | 'KUBE-SVL-' | 'KUBE-EXT-' | 'KUBE-FW-' | 'KUBE-SEP-'

/** `id` is ServicePort.id; `address` (`ip:port`) only for KUBE-SEP-. */
export const chainName = (prefix: Prefix, id: string, protocol: Protocol, address = ''): string =>
  prefix + base32(hash('sha256', id + protocol.toLowerCase() + address, 'buffer').subarray(0, 10))

/** Whether a chain of the nat table belongs to one Service port, now or in an earlier run (KUBE-XLB- is 1.20's). */
export const isServiceChain = (chain: string): boolean => /^KUBE-(SVC|SVL|EXT|FW|SEP|XLB)-/.test(chain)

/** RFC 4648 section 6; of ten bytes it makes sixteen characters, with nothing left over. */
function base32(bytes: Uint8Array): string {
  let text = '', value = 0, bits = 0
  for (const byte of bytes) {
    value = value << 8 | byte
    for (bits += 8; bits >= 5; bits -= 5) text += 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'[value >> (bits - 5) & 31]
    value &= (1 << bits) - 1
  }
  return text
}
