// The names that the ipvs mode gives things in the kernel: upstream's device, sets and chains, and the
// few of our own for what upstream's ipvs mode does not do.
import type { Family } from '#net/ip.ts'

/** A dummy device that holds every address of a Service, so that packets to them are delivered here. It stays down, as upstream's. */
export const device = 'kube-ipvs0'

export const chains = {
  services: 'KUBE-SERVICES',
  loadBalancer: 'KUBE-LOAD-BALANCER',
  /** In nat what to masquerade, in filter what to admit. */
  nodePort: 'KUBE-NODE-PORT',
  postrouting: 'KUBE-POSTROUTING',
  markMasq: 'KUBE-MARK-MASQ',
  forward: 'KUBE-FORWARD',
  proxyFirewall: 'KUBE-PROXY-FIREWALL',
  sourceRanges: 'KUBE-SOURCE-RANGES-FIREWALL',
  ipvsFilter: 'KUBE-IPVS-FILTER',
  ipvsOutFilter: 'KUBE-IPVS-OUT-FILTER',
  /** Not ours alone: the kubelet and the iptables mode make it too, with the same rule. */
  kubeletFirewall: 'KUBE-FIREWALL',
  /** Ours: traffic of this node and its pods, for which externalTrafficPolicy Local does not count. */
  localClients: 'KUBE-LOCAL-CLIENTS',
  /** Ours: empty; where it is gone, something flushed the tables. */
  canary: 'KUBE-IPVS-CANARY',
} as const

/** Set to its type; upstream's ipsetInfo, in its order, and one of our own at the end. */
export const setTypes = {
  'LOOP-BACK': 'hash:ip,port,ip',
  'CLUSTER-IP': 'hash:ip,port',
  'EXTERNAL-IP': 'hash:ip,port',
  'EXTERNAL-IP-LOCAL': 'hash:ip,port',
  'LOAD-BALANCER': 'hash:ip,port',
  'LOAD-BALANCER-FW': 'hash:ip,port',
  'LOAD-BALANCER-LOCAL': 'hash:ip,port',
  'LOAD-BALANCER-SOURCE-IP': 'hash:ip,port,ip',
  'LOAD-BALANCER-SOURCE-CIDR': 'hash:ip,port,net',
  'NODE-PORT-TCP': 'bitmap:port',
  'NODE-PORT-LOCAL-TCP': 'bitmap:port',
  'NODE-PORT-UDP': 'bitmap:port',
  'NODE-PORT-LOCAL-UDP': 'bitmap:port',
  'NODE-PORT-SCTP-HASH': 'hash:ip,port',
  'NODE-PORT-LOCAL-SCTP-HASH': 'hash:ip,port',
  'HEALTH-CHECK-NODE-PORT': 'bitmap:port',
  'IPVS-IPS': 'hash:ip',
  /** Addresses whose policy is Local and that have no endpoint on this node: dropped, so that a load balancer tries another node. */
  'NO-LOCAL-ENDPOINTS': 'hash:ip,port',
} as const satisfies Record<string, string>

export type SetId = keyof typeof setTypes
export const setIds = Object.keys(setTypes) as SetId[]

/** Cut to what the kernel takes, as upstream (KUBE-6-LOAD-BALANCER-SOURCE-CID). */
export const setName = (id: SetId, family: Family): string => (family === 4 ? `KUBE-${id}` : `KUBE-6-${id}`).slice(0, 31)

// Upstream's sets hold 65536; a set takes memory only for what is in it.
const maxElements = 1_048_576
/** What `ipset restore` takes to make the set. */
export function setDefinition(id: SetId, family: Family): string {
  const type = setTypes[id]
  return type === 'bitmap:port' ? `${setName(id, family)} ${type} range 0-65535`
    : `${setName(id, family)} ${type} family ${family === 4 ? 'inet' : 'inet6'} hashsize 1024 maxelem ${maxElements}`
}

/** Sets of versions before ours (KUBE-NODE-PORT-SCTP was a bitmap until Kubernetes 1.14): only ever removed. */
export const oldSets: readonly string[] = ['KUBE-NODE-PORT-SCTP', 'KUBE-NODE-PORT-LOCAL-SCTP', 'KUBE-6-NODE-PORT-SCTP', 'KUBE-6-NODE-PORT-LOCAL-SCTP']
