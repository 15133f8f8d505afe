// The iptables rules of the ipvs mode: upstream's chains and comments (writeIptablesRules of
// pkg/proxy/ipvs/proxier.go), fixed but for two kinds of Services, as what differs is in the sets. They
// mark what to masquerade and refuse what must not be let in; IPVS itself does the balancing.
import type { NodeOptions } from '../dataplane.ts'
import { iptablesOptions } from '../iptables/options.ts'
import type { Chains, Jump, Ruleset } from '../iptables/ruleset.ts'
import type { ProxiedPort } from '../state.ts'
import { chains, setName, type SetId } from './names.ts'
import type { IpvsOptions } from './options.ts'
import { serviceRules, type ServiceRules } from './service-rules.ts'

/** A function to rules that remembers what it made of each port. */
export function ruleGenerator(options: IpvsOptions): (ports: readonly ProxiedPort[]) => Ruleset {
  const made = new WeakMap<ProxiedPort, ServiceRules>()
  const local = iptablesOptions(options, options.randomFully).localTraffic
  const fixed = { nat: natChains(options, local), filter: filterChains(options) }
  return ports => {
    const localClients: string[] = [], outFilter: string[] = []
    for (const port of ports) {
      let rules = made.get(port)
      if (!rules) made.set(port, rules = serviceRules(port, options))
      localClients.push(...rules.localClients)
      outFilter.push(...rules.outFilter)
    }
    return {
      shared: {
        nat: new Map([...fixed.nat, [chains.localClients, localClients]]),
        filter: new Map([...fixed.filter, [chains.ipvsOutFilter, [...outFilter, dropNoLocal(options)]]]),
        mangle: new Map([[chains.canary, []]]),
      },
      owned: new Map(),
    }
  }
}

export const rules = (ports: readonly ProxiedPort[], options: IpvsOptions): Ruleset => ruleGenerator(options)(ports)

const mark = ({ masqueradeBit }: NodeOptions) => `0x${(2 ** masqueradeBit).toString(16)}`
const loopback = ({ family }: NodeOptions) => family === 4 ? '127.0.0.0/8' : '::1/128'

/** Upstream's comment of each set. */
const comments: Partial<Record<SetId, string>> = {
  'LOOP-BACK': 'Kubernetes endpoints dst ip:port, source ip for solving hairpin purpose',
  'CLUSTER-IP': 'Kubernetes service cluster ip + port for masquerade purpose',
  'EXTERNAL-IP': 'Kubernetes service external ip + port for masquerade and filter purpose',
  'EXTERNAL-IP-LOCAL': 'Kubernetes service external ip + port with externalTrafficPolicy=local',
  'LOAD-BALANCER': 'Kubernetes service lb portal',
  'LOAD-BALANCER-FW': 'Kubernetes service load balancer ip + port for load balancer with sourceRange',
  'LOAD-BALANCER-LOCAL': 'Kubernetes service load balancer ip + port with externalTrafficPolicy=local',
  'LOAD-BALANCER-SOURCE-IP': 'Kubernetes service load balancer ip + port + source IP for packet filter purpose',
  'LOAD-BALANCER-SOURCE-CIDR': 'Kubernetes service load balancer ip + port + source cidr for packet filter purpose',
  'NODE-PORT-TCP': 'Kubernetes nodeport TCP port for masquerade purpose',
  'NODE-PORT-LOCAL-TCP': 'Kubernetes nodeport TCP port with externalTrafficPolicy=local',
  'NODE-PORT-UDP': 'Kubernetes nodeport UDP port for masquerade purpose',
  'NODE-PORT-LOCAL-UDP': 'Kubernetes nodeport UDP port with externalTrafficPolicy=local',
  'NODE-PORT-SCTP-HASH': 'Kubernetes nodeport SCTP port for masquerade purpose',
  'NODE-PORT-LOCAL-SCTP-HASH': 'Kubernetes nodeport SCTP port with externalTrafficPolicy=local',
  'HEALTH-CHECK-NODE-PORT': 'Kubernetes health check node port',
}
type Direction = 'dst' | 'dst,dst' | 'src,dst' | 'dst,dst,src'
const inSet = ({ family }: NodeOptions, set: SetId, direction: Direction) =>
  `${comments[set] ? `-m comment --comment "${comments[set]}" ` : ''}-m set --match-set ${setName(set, family)} ${direction}`
const plainSet = ({ family }: NodeOptions, set: SetId, direction: Direction) => `-m set --match-set ${setName(set, family)} ${direction}`

function natChains(options: IpvsOptions, local: { readonly ifLocal: string; readonly ifNotLocal: string } | undefined): Chains {
  const { localClients, loadBalancer, markMasq, nodePort } = chains
  return new Map([
    [chains.services, [
      // Ours, before all else: they translate to another virtual server, at which the packet then arrives.
      ...local ? [`-m comment --comment "pod traffic to external destinations with policy Local" ${local.ifLocal} -j ${localClients}`] : [],
      `-m comment --comment "LOCAL traffic to external destinations with policy Local" -m addrtype --src-type LOCAL -j ${localClients}`,
      `-s ${loopback(options)} -j RETURN`,
      `${inSet(options, 'LOAD-BALANCER', 'dst,dst')} -j ${loadBalancer}`,
      clusterIPMasquerade(options, local?.ifNotLocal),
      `${inSet(options, 'EXTERNAL-IP', 'dst,dst')} -j ${markMasq}`,
      // Upstream has these at the end; there a port number that is also a NodePort's is masqueraded as one.
      ...(['EXTERNAL-IP', 'EXTERNAL-IP-LOCAL', 'CLUSTER-IP', 'LOAD-BALANCER'] as const).map(set => `${plainSet(options, set, 'dst,dst')} -j ACCEPT`),
      `-m addrtype --dst-type LOCAL -j ${nodePort}`,
    ]],
    [loadBalancer, [`${inSet(options, 'LOAD-BALANCER-LOCAL', 'dst,dst')} -j RETURN`, `-j ${markMasq}`]],
    [nodePort, (['tcp', 'udp', 'sctp'] as const).flatMap(protocol => nodePortRules(options, protocol))],
    [chains.postrouting, postroutingRules(options)],
    [markMasq, [`-j MARK --or-mark ${mark(options)}`]],
    [chains.canary, []],
  ])
}

function clusterIPMasquerade(options: IpvsOptions, ifNotLocal: string | undefined): string {
  const { markMasq } = chains
  if (options.masqueradeAll) return `${inSet(options, 'CLUSTER-IP', 'dst,dst')} -j ${markMasq}`
  if (ifNotLocal) return `${inSet(options, 'CLUSTER-IP', 'dst,dst')} ${ifNotLocal} -j ${markMasq}`
  // The node's own requests to a cluster IP have it as their source as well, as it is on a device here.
  return `${inSet(options, 'CLUSTER-IP', 'src,dst')} -j ${markMasq}`
}

function nodePortRules(options: IpvsOptions, protocol: 'tcp' | 'udp' | 'sctp'): string[] {
  const [all, local] = protocol === 'sctp' ? ['NODE-PORT-SCTP-HASH', 'NODE-PORT-LOCAL-SCTP-HASH'] as const
    : protocol === 'tcp' ? ['NODE-PORT-TCP', 'NODE-PORT-LOCAL-TCP'] as const : ['NODE-PORT-UDP', 'NODE-PORT-LOCAL-UDP'] as const
  const direction = protocol === 'sctp' ? 'dst,dst' : 'dst'
  return [`-p ${protocol} ${inSet(options, local, direction)} -j RETURN`, `-p ${protocol} ${inSet(options, all, direction)} -j ${chains.markMasq}`]
}

const postroutingRules = (options: IpvsOptions): string[] => [
  `${inSet(options, 'LOOP-BACK', 'dst,dst,src')} -j MASQUERADE`,
  `-m mark ! --mark ${mark(options)}/${mark(options)} -j RETURN`,
  // The mark goes, lest the packet be masqueraded again when it passes once more (a tunnel).
  `-j MARK --xor-mark ${mark(options)}`,
  `-m comment --comment "kubernetes service traffic requiring SNAT" -j MASQUERADE${options.randomFully ? ' --random-fully' : ''}`,
]

const dropNoLocal = (options: NodeOptions) => `${plainSet(options, 'NO-LOCAL-ENDPOINTS', 'dst,dst')} -j DROP`

function filterChains(options: IpvsOptions): Chains {
  return new Map([
    [chains.forward, [
      `-m comment --comment "kubernetes forwarding rules" -m mark --mark ${mark(options)}/${mark(options)} -j ACCEPT`,
      '-m comment --comment "kubernetes forwarding conntrack rule" -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT',
    ]],
    [chains.nodePort, [`${inSet(options, 'HEALTH-CHECK-NODE-PORT', 'dst')} -j ACCEPT`]],
    [chains.proxyFirewall, [`${inSet(options, 'LOAD-BALANCER-FW', 'dst,dst')} -j ${chains.sourceRanges}`, dropNoLocal(options)]],
    [chains.sourceRanges, [
      `${inSet(options, 'LOAD-BALANCER-SOURCE-CIDR', 'dst,dst,src')} -j RETURN`,
      `${inSet(options, 'LOAD-BALANCER-SOURCE-IP', 'dst,dst,src')} -j RETURN`,
      '-j DROP',
    ]],
    // What the node listens on must not be reached through an address of a Service (kubernetes#72236).
    [chains.ipvsFilter, [
      ...(['LOAD-BALANCER', 'CLUSTER-IP', 'EXTERNAL-IP', 'EXTERNAL-IP-LOCAL'] as const).map(set => `${plainSet(options, set, 'dst,dst')} -j RETURN`),
      `${plainSet(options, 'HEALTH-CHECK-NODE-PORT', 'dst')} -j RETURN`,
      `-m conntrack --ctstate NEW ${plainSet(options, 'IPVS-IPS', 'dst')} -j REJECT`,
    ]],
    ...guardsLocalnet(options) ? [[chains.kubeletFirewall, [localnetGuard]] as const] : [],
    [chains.canary, []],
  ])
}

const guardsLocalnet = ({ family, localhostNodePorts }: Pick<NodeOptions, 'family' | 'localhostNodePorts'>) => family === 4 && localhostNodePorts
// CVE-2020-8558: route_localnet makes the node's 127.0.0.0/8 reachable from its links. It does not make NodePorts
// work there: IPVS sends nothing from 127.0.0.0/8 to another machine (crosses_local_route_boundary).
const localnetGuard = '-m comment --comment "block incoming localnet connections" -d 127.0.0.0/8 ! -s 127.0.0.0/8'
  + ' -m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP'

/** Upstream's iptablesJumpChain; each is put first in its chain, so the last ends on top. */
export function jumps(options: Pick<NodeOptions, 'family' | 'localhostNodePorts'>): Jump[] {
  const jump = (table: Jump['table'], from: string, to: string, comment: string): Jump => ({ table, from, rule: `${comment && `-m comment --comment "${comment}" `}-j ${to}` })
  const portals = 'kubernetes service portals', firewall = 'kube-proxy firewall rules', access = 'kubernetes ipvs access filter'
  return [
    jump('nat', 'OUTPUT', chains.services, portals),
    jump('nat', 'PREROUTING', chains.services, portals),
    jump('nat', 'POSTROUTING', chains.postrouting, 'kubernetes postrouting rules'),
    jump('filter', 'FORWARD', chains.forward, 'kubernetes forwarding rules'),
    jump('filter', 'INPUT', chains.nodePort, 'kubernetes health check rules'),
    jump('filter', 'INPUT', chains.proxyFirewall, firewall),
    jump('filter', 'FORWARD', chains.proxyFirewall, firewall),
    jump('filter', 'INPUT', chains.ipvsFilter, access),
    jump('filter', 'OUTPUT', chains.ipvsOutFilter, access),
    ...guardsLocalnet(options) ? ['INPUT', 'OUTPUT'].map(from => jump('filter', from, chains.kubeletFirewall, '')) : [],
  ]
}
