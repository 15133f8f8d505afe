// The pod network of a node as a value: its bridge, the routes to the other nodes' pods, and the nft
// rules for what leaves the cluster and for hostPorts. Pure; apply.ts puts it into the kernel. What
// Services need is kube-proxy's, in chains of its own.
import type { IpConfig } from '#host/ip.ts'
import { at, formatIp, parseCidr } from '#net/ip.ts'

export const bridge = 'cni0'

export interface NodeNetwork {
  /** The node's address on the network of nodes. */
  readonly nodeIp: string
  /** Its share of the cluster's pod range: `10.244.1.0/24`. */
  readonly podCidr: string
  /** All pods of the cluster: `10.244.0.0/16`. What they send elsewhere leaves with the node's address. */
  readonly clusterCidr: string
}
export interface Peer { readonly nodeIp: string; readonly podCidr: string }

export interface HostPort {
  /** '' or 0.0.0.0: every address of the node. */
  readonly hostIp: string
  readonly hostPort: number
  readonly podIp: string
  readonly containerPort: number
  readonly protocol: 'TCP' | 'UDP' | 'SCTP'
}

/** Links and routes (`host-gw`: the other nodes are on the same link and route for their pods themselves). */
export function nodeLinks({ podCidr }: NodeNetwork, peers: readonly Peer[]): IpConfig {
  const cidr = parseCidr(podCidr)!
  return {
    links: [{ name: bridge, kind: 'bridge', addresses: [`${formatIp(at(cidr, 1))}/${cidr.prefix}`] }],
    routes: peers.filter(peer => peer.podCidr !== podCidr).map(peer => ({ to: peer.podCidr, via: peer.nodeIp })),
  }
}

/** What this node's network namespace must have switched on, under /proc/sys. */
export const nodeSysctls: Readonly<Record<string, string>> = {
  'net/ipv4/ip_forward': '1',
  // Pods of one node are sent back to the bridge that they came from: no need to tell them of a shorter way.
  'net/ipv4/conf/all/send_redirects': '0',
  'net/ipv4/conf/default/send_redirects': '0',
  // By default the kernel tells each host about one refusal a second; the others would run into timeouts.
  'net/ipv4/icmp_ratelimit': '0',
  'net/ipv6/conf/default/disable_ipv6': '1',
}

/** The nft table of what leaves the cluster, replaced whole: it gets the node's address, anything inside keeps its own. */
export function masqueradeRules({ clusterCidr, podCidr }: NodeNetwork): string {
  return replaced('fairway-pods', `
  chain postrouting {
    type nat hook postrouting priority 110; policy accept;
    ip saddr ${podCidr} ip daddr != ${clusterCidr} oifname != "${bridge}" masquerade
  }
`)
}

// The mark that CNI's portmap plugin uses: the packet goes back to the bridge that it came from.
const mark = '0x2000'

/** The nft table of hostPorts, replaced whole; as CNI's portmap plugin also for the node itself and for the pod that has the port. */
export function hostPortRules(hostPorts: readonly HostPort[]): string {
  const entries = hostPorts.map(port => ({ ...port, any: port.hostIp === '' || port.hostIp === '0.0.0.0', protocol: port.protocol.toLowerCase() }))
  const map = (name: string, type: string, list: readonly string[]) => `  map ${name} { type ${type} : ipv4_addr . inet_service;${list.length ? ` elements = { ${list.join(', ')} };` : ''} }\n`
  const ports = map('ports', 'inet_proto . inet_service', entries.filter(entry => entry.any)
    .map(entry => `${entry.protocol} . ${entry.hostPort} : ${entry.podIp} . ${entry.containerPort}`))
  const addressed = map('addressed', 'ipv4_addr . inet_proto . inet_service', entries.filter(entry => !entry.any)
    .map(entry => `${entry.hostIp} . ${entry.protocol} . ${entry.hostPort} : ${entry.podIp} . ${entry.containerPort}`))
  return replaced('fairway-hostports', `
${ports}${addressed}  chain hostports {
    dnat ip addr . port to ip daddr . ip protocol . th dport map @addressed
    dnat ip addr . port to ip protocol . th dport map @ports
  }
  chain prerouting {
    type nat hook prerouting priority -90; policy accept;
    fib daddr type local iifname "${bridge}" meta mark set meta mark or ${mark}
    fib daddr type local goto hostports
  }
  chain output {
    type nat hook output priority -90; policy accept;
    fib daddr type local goto hostports
  }
  chain postrouting {
    type nat hook postrouting priority 110; policy accept;
    meta mark and ${mark} == ${mark} ct status dnat oifname "${bridge}" masquerade
    ip saddr 127.0.0.0/8 ct status dnat oifname "${bridge}" masquerade
  }
`)
}

const replaced = (name: string, body: string) => `add table ip ${name}\ndelete table ip ${name}\ntable ip ${name} {${body}}\n`
