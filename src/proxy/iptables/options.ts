// What the rules depend on besides the state: settings of the proxy and facts about the node.
import type { Family } from '#net/ip.ts'

export interface RuleOptions {
  readonly family: Family
  readonly masqueradeAll: boolean
  /** 0 to 31; kube-proxy's is 14 (mark 0x4000). */
  readonly masqueradeBit: number
  readonly randomFully: boolean
  /** How traffic from this node's own pods is told: iptables arguments for it and for its opposite; undefined when unknown. */
  readonly localTraffic?: { readonly ifLocal: string; readonly ifNotLocal: string }
  /** 'all', or the node's addresses that serve NodePorts. */
  readonly nodePortAddresses: 'all' | readonly string[]
  readonly localhostNodePorts: boolean
  /** conntrack.tcpBeLiberal: packets in state INVALID are then left alone. */
  readonly tcpBeLiberal: boolean
  /** The node's own address: a source range that holds it also admits the load balancer's addresses. */
  readonly nodeIP: string | undefined
}
