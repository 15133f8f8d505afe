// The desired state as iptables rules: upstream kube-proxy 1.36's chains, comments and order
// (syncProxyRules of pkg/proxy/iptables/proxier.go), as a value. Writing them is apply.ts.
// Left out: the nfacct counters, which upstream leaves out as well where the kernel has none.
import type { ProxiedPort } from '../state.ts'
import { externalTargets, filterRules, internalTarget, natRules } from './captures.ts'
import { chains } from './names.ts'
import type { RuleOptions } from './options.ts'
import { portChains } from './port-chains.ts'
import type { Chains, Jump, Ruleset } from './ruleset.ts'

/** Above this many endpoints chains carry no comments of their own, as upstream: it saves 40 % of the text. */
const largeClusterEndpoints = 1000

/**
 * A function from ports to rules that remembers what it made of each port: a port that did not
 * change gives the same objects again, which is what makes a change cheap.
 */
export function ruleGenerator(options: RuleOptions): (ports: readonly ProxiedPort[]) => Ruleset {
  let large = false
  let made = new WeakMap<ProxiedPort, PortRules>()
  return ports => {
    const isLarge = ports.reduce((sum, port) => sum + port.reachable.length, 0) > largeClusterEndpoints
    if (isLarge !== large) { large = isLarge; made = new WeakMap() }
    const rulesOf = (port: ProxiedPort): PortRules => {
      let rules = made.get(port)
      if (!rules) made.set(port, rules = portRules(port, options, large))
      return rules
    }
    return ruleset(ports.map(rulesOf), options)
  }
}

export const rules = (ports: readonly ProxiedPort[], options: RuleOptions): Ruleset => ruleGenerator(options)(ports)

interface PortRules { readonly key: string; readonly filter: Chains; readonly nat: Chains; readonly owned: Chains }

const portRules = (port: ProxiedPort, options: RuleOptions, large: boolean): PortRules => {
  const targets = { internal: internalTarget(port), external: externalTargets(port) }
  return { key: `${port.id}/${port.protocol}`, filter: filterRules(port, targets), nat: natRules(port, targets), owned: portChains(port, targets, { ...options, comments: !large }) }
}

function ruleset(ports: readonly PortRules[], options: RuleOptions): Ruleset {
  const gather = (table: 'filter' | 'nat', chain: string) => {
    const gathered: string[] = [] // a plain loop: with 10,000 Services this is most of what a change costs here
    for (const rules of ports) for (const rule of rules[table].get(chain) ?? noRules) gathered.push(rule)
    return gathered
  }
  const guard: [string, string[]][] = options.family === 4 && options.localhostNodePorts ? [[chains.kubeletFirewall, [localnetGuard]]] : []
  return {
    shared: {
      filter: new Map([
        [chains.services, gather('filter', chains.services)],
        [chains.externalServices, gather('filter', chains.externalServices)],
        [chains.forward, forwardRules(options)],
        [chains.nodePorts, gather('filter', chains.nodePorts)],
        [chains.proxyFirewall, gather('filter', chains.proxyFirewall)],
        ...guard, canary,
      ]),
      nat: new Map([
        [chains.services, [...gather('nat', chains.services), ...nodePortJumps(options)]],
        [chains.nodePorts, gather('nat', chains.nodePorts)],
        [chains.postrouting, postroutingRules(options)],
        [chains.markMasq, [`-j MARK --or-mark ${mark(options)}`]],
        canary,
      ]),
      mangle: new Map([canary]),
    },
    owned: new Map(ports.map(rules => [rules.key, rules.owned])),
  }
}
const noRules: readonly string[] = []

// An empty chain in each table: where it is gone, something flushed the tables.
const canary: [string, string[]] = [chains.canary, []]

const mark = ({ masqueradeBit }: RuleOptions) => `0x${(2 ** masqueradeBit).toString(16)}`

// CVE-2020-8558: route_localnet makes the node's 127.0.0.0/8 reachable from its links.
const localnetGuard = '-m comment --comment "block incoming localnet connections" -d 127.0.0.0/8 ! -s 127.0.0.0/8'
  + ' -m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP'

const postroutingRules = (options: RuleOptions) => [
  `-m mark ! --mark ${mark(options)}/${mark(options)} -j RETURN`,
  // The mark goes, lest the packet be masqueraded again when it passes once more (a tunnel).
  `-j MARK --xor-mark ${mark(options)}`,
  `-m comment --comment "kubernetes service traffic requiring SNAT" -j MASQUERADE${options.randomFully ? ' --random-fully' : ''}`,
]

const forwardRules = (options: RuleOptions) => [
  // Without it a late packet of a translated connection reaches the client untranslated, and resets it (kubernetes#74839).
  ...options.tcpBeLiberal ? [] : ['-m conntrack --ctstate INVALID -j DROP'],
  `-m comment --comment "kubernetes forwarding rules" -m mark --mark ${mark(options)}/${mark(options)} -j ACCEPT`,
  '-m comment --comment "kubernetes forwarding conntrack rule" -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT',
]

function nodePortJumps({ family, nodePortAddresses, localhostNodePorts }: RuleOptions): string[] {
  const comment = '-m comment --comment "kubernetes service nodeports; NOTE: this must be the last rule in this chain"'
  if (nodePortAddresses !== 'all') return nodePortAddresses.map(ip => `${comment} -d ${ip} -j ${chains.nodePorts}`)
  // IPv6 has no route_localnet: there NodePorts never work on localhost.
  const except = family === 6 ? ' ! -d ::1/128' : localhostNodePorts ? '' : ' ! -d 127.0.0.0/8'
  return [`${comment} -m addrtype --dst-type LOCAL${except} -j ${chains.nodePorts}`]
}

/** Upstream's iptablesJumpChains and iptablesKubeletJumpChains; each is put first in its chain, so the last ends on top. */
export function jumps({ family, localhostNodePorts }: Pick<RuleOptions, 'family' | 'localhostNodePorts'>): Jump[] {
  const jump = (table: Jump['table'], from: string, to: string, comment: string, isNew = false): Jump =>
    ({ table, from, rule: `${isNew ? '-m conntrack --ctstate NEW ' : ''}${comment && `-m comment --comment "${comment}" `}-j ${to}` })
  const portals = 'kubernetes service portals', external = 'kubernetes externally-visible service portals', firewall = 'kubernetes load balancer firewall'
  return [
    jump('filter', 'INPUT', chains.externalServices, external, true),
    jump('filter', 'FORWARD', chains.externalServices, external, true),
    jump('filter', 'INPUT', chains.nodePorts, 'kubernetes health check service ports'),
    jump('filter', 'FORWARD', chains.services, portals, true),
    jump('filter', 'OUTPUT', chains.services, portals, true),
    jump('filter', 'FORWARD', chains.forward, 'kubernetes forwarding rules'),
    jump('filter', 'INPUT', chains.proxyFirewall, firewall, true),
    jump('filter', 'OUTPUT', chains.proxyFirewall, firewall, true),
    jump('filter', 'FORWARD', chains.proxyFirewall, firewall, true),
    jump('nat', 'OUTPUT', chains.services, portals),
    jump('nat', 'PREROUTING', chains.services, portals),
    jump('nat', 'POSTROUTING', chains.postrouting, 'kubernetes postrouting rules'),
    ...family === 4 && localhostNodePorts ? ['INPUT', 'OUTPUT'].map(from => jump('filter', from, chains.kubeletFirewall, '')) : [],
  ]
}
