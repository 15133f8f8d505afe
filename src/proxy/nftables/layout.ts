// What the table holds whatever Services there are: hooks at upstream's priorities, and the chains
// that look packets up in the maps. Rules are in nft's own spelling, as `nft list` prints them.
import type { LocalTraffic, NodeOptions } from '../dataplane.ts'
import { nftFamily } from './names.ts'

export interface Chain {
  /** `type nat hook prerouting priority dstnat`; undefined for a chain that others lead to. */
  readonly hook?: string
  readonly rules: readonly string[]
}

const hex = (bit: number) => `0x${(2 ** bit).toString(16).padStart(8, '0')}`

/** Matches packets of this node's own pods, or all others. */
export function matchLocal(local: LocalTraffic, ip: string, isLocal: boolean): string {
  const not = isLocal ? '' : '!= '
  switch (local.by) {
    case 'source': return `${ip} saddr ${not}${local.cidr}`
    case 'interface': return `iifname ${not}"${local.name}"`
    case 'interfacePrefix': return `iifname ${not}"${local.prefix}*"`
  }
}

export function layoutChains(options: NodeOptions): ReadonlyMap<string, Chain> {
  const ip = nftFamily(options.family), socket = `${ip} daddr . meta l4proto . th dport`
  const hook = (type: string, at: string, priority: string) => `type ${type} hook ${at} priority ${priority}`
  const isNodePort = nodePortMatch(options)
  const mark = hex(options.masqueradeBit)
  const isNew = (chain: string) => `ct state new jump ${chain}`
  const guard = options.family === 4 && options.localhostNodePorts ? [localnetGuard] : []
  return new Map<string, Chain>([
    ['filter-prerouting-pre-dnat', { hook: hook('filter', 'prerouting', 'dstnat - 10'), rules: [isNew('firewall-check')] }],
    ['filter-output-pre-dnat', { hook: hook('filter', 'output', '-110'), rules: [isNew('firewall-check')] }],
    ['nat-prerouting', { hook: hook('nat', 'prerouting', 'dstnat'), rules: ['jump services'] }],
    ['nat-output', { hook: hook('nat', 'output', '-100'), rules: ['jump services'] }],
    ['filter-input', { hook: hook('filter', 'input', '-110'), rules: [...guard, isNew('nodeport-endpoints-check'), isNew('service-endpoints-check')] }],
    // Without the first rule a late packet of a translated connection reaches the client untranslated, and resets it (kubernetes#74839).
    ['filter-forward', { hook: hook('filter', 'forward', '-110'), rules: [...options.tcpBeLiberal ? [] : ['ct state invalid drop'], isNew('service-endpoints-check'), isNew('cluster-ips-check')] }],
    // What the node itself sends is checked once it is translated: a policy that leaves a client outside no endpoint may leave the node some.
    ['filter-output-post-dnat', { hook: hook('filter', 'output', '-90'), rules: [...guard, isNew('nodeport-endpoints-check'), isNew('service-endpoints-check'), isNew('cluster-ips-check')] }],
    ['nat-postrouting', { hook: hook('nat', 'postrouting', 'srcnat'), rules: [
      // A pod that reaches itself through a Service must see another source than itself.
      `ct status dnat ${ip} saddr . ${ip} daddr @hairpin-connections jump mark-for-masquerade`,
      // The mark goes, lest the packet be masqueraded again when it passes once more (a tunnel).
      `meta mark & ${mark} == ${mark} meta mark set meta mark ^ ${mark} masquerade fully-random`,
    ] }],
    ['services', { rules: [`${socket} vmap @service-ips`, `${isNodePort} meta l4proto . th dport vmap @service-nodeports`] }],
    ['firewall-check', { rules: [`${socket} @firewall-ips ${socket} . ${ip} saddr != @firewall-sources drop`] }],
    ['service-endpoints-check', { rules: [`${socket} vmap @no-endpoint-services`] }],
    ['nodeport-endpoints-check', { rules: [`${isNodePort} meta l4proto . th dport vmap @no-endpoint-nodeports`] }],
    ['cluster-ips-check', { rules: [`${ip} daddr @cluster-ips reject`] }],
    ['mark-for-masquerade', { rules: [`meta mark set meta mark | ${mark}`] }],
    ['reject-chain', { rules: ['reject'] }],
  ])
}

// Without it route_localnet would open every port of 127.0.0.1 to the neighbours (CVE-2020-8558).
const localnetGuard = 'ip saddr != 127.0.0.0/8 ip daddr 127.0.0.0/8 ct state new ct status & dnat != dnat drop'

/** Which destinations serve NodePorts. */
function nodePortMatch({ family, nodePortAddresses, localhostNodePorts }: NodeOptions): string {
  const ip = nftFamily(family)
  if (nodePortAddresses !== 'all') return `${ip} daddr @nodeport-ips`
  // IPv6 has no route_localnet: there NodePorts never work on localhost.
  return `fib daddr type local${family === 6 ? ' ip6 daddr != ::1' : localhostNodePorts ? '' : ' ip daddr != 127.0.0.0/8'}`
}
