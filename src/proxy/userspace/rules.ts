// The iptables rules that lead Services to the proxy's sockets: kube-proxy 1.20's chains, comments and
// targets (iptablesInit and openPortal of pkg/proxy/userspace/proxier.go), as a value. What one port
// adds to them is port-rules.ts, writing them is apply.ts.
import { equal } from '#lib/equal.ts'
import type { NodeOptions } from '../dataplane.ts'
import { iptablesOptions } from '../iptables/options.ts'
import type { Jump, Ruleset } from '../iptables/ruleset.ts'
import type { ProxiedPort } from '../state.ts'
import { chains, portRules, type PortalOptions, type PortRules, type SharedChain } from './port-rules.ts'
import { isProxiable, portalKey } from './portals.ts'

/** A portal's key to the number of the TCP or UDP port on which its socket listens; undefined when it has none. */
export type PortNumbers = (portalKey: string) => number | undefined

/**
 * A function to rules that remembers what it made of each port, and so is as good as the numbers that it was given: a
 * portal's number must not change while its port is the same object. Most changes are of endpoints, which are not in the
 * rules: then it returns the same ruleset as before.
 */
export function ruleGenerator(options: PortalOptions): (ports: readonly ProxiedPort[], numbers: PortNumbers) => Ruleset {
  const made = new WeakMap<ProxiedPort, PortRules>()
  const ifLocal = iptablesOptions(options, false).localTraffic?.ifLocal
  let before: readonly PortRules[] = [], last = ruleset([], options)
  return (ports, numbers) => {
    let byKey: Map<string, PortRules> | undefined
    const makeRules = (port: ProxiedPort): PortRules => {
      const rules = portRules(port, { options, ifLocal, sockets: { cluster: numbers(portalKey(port, false)), local: numbers(portalKey(port, true)) } })
      const old = (byKey ??= new Map(before.map(each => [each.key, each]))).get(rules.key)
      return old && sameRules(old, rules) ? old : rules
    }
    const now = ports.filter(isProxiable).map(port => {
      let rules = made.get(port)
      if (!rules) made.set(port, rules = makeRules(port))
      return rules
    })
    if (now.length !== before.length || now.some((rules, i) => rules !== before[i])) last = ruleset(now, options)
    before = now
    return last
  }
}

const sameRules = (a: PortRules, b: PortRules): boolean => equal(a.shared, b.shared) && equal([...a.owned], [...b.owned])

export const rules = (ports: readonly ProxiedPort[], numbers: PortNumbers, options: PortalOptions): Ruleset => ruleGenerator(options)(ports, numbers)

function ruleset(ports: readonly PortRules[], options: PortalOptions): Ruleset {
  const gather = (chain: SharedChain, first: readonly string[] = []): [string, string[]] => {
    const gathered = [...first] // a plain loop: with 10,000 Services this is most of what a change costs here
    for (const { shared } of ports) for (const rule of shared[chain]) gathered.push(rule)
    return [chains[chain], gathered]
  }
  const canary: [string, string[]] = [chains.canary, []]
  return {
    shared: {
      filter: new Map([gather('firewall', firewallStart(options)), gather('nodePortNonLocal'), canary]),
      nat: new Map([gather('portalsContainer'), gather('portalsHost'), gather('nodePortContainer'), gather('nodePortHost', notOnLocalhost(options)), canary]),
      mangle: new Map([canary]),
    },
    owned: new Map(ports.map(({ key, owned }) => [key, owned])),
  }
}

const firewallStart = ({ family, localhostNodePorts }: NodeOptions): string[] => [
  '-m comment --comment "came through a portal" -m conntrack --ctstate DNAT -j RETURN',
  // CVE-2020-8558: where route_localnet is set, 127.0.0.0/8 of the node can be reached from its links.
  ...family === 4 && localhostNodePorts ? ['-m comment --comment "block incoming localnet connections" -d 127.0.0.0/8 ! -s 127.0.0.0/8 -j DROP'] : [],
]

// IPv6 does not route ::1 to another address, not even to one of its own.
const notOnLocalhost = ({ family, localhostNodePorts }: NodeOptions): string[] =>
  family === 6 ? ['-d ::1/128 -j RETURN'] : localhostNodePorts ? [] : ['-d 127.0.0.0/8 -j RETURN']

const portals = '-m comment --comment "handle ClusterIPs; NOTE: this must be before the NodePort rules"'
const nodePorts = '-m addrtype --dst-type LOCAL -m comment --comment "handle service NodePorts; NOTE: this must be the last rule in the chain"'

/** iptablesInit; each is put first in its chain, so the last ends on top. */
export const jumps: readonly Jump[] = [
  { table: 'nat', from: 'PREROUTING', rule: `${nodePorts} -j ${chains.nodePortContainer}` },
  { table: 'nat', from: 'OUTPUT', rule: `${nodePorts} -j ${chains.nodePortHost}` },
  { table: 'nat', from: 'PREROUTING', rule: `${portals} -j ${chains.portalsContainer}` },
  { table: 'nat', from: 'OUTPUT', rule: `${portals} -j ${chains.portalsHost}` },
  { table: 'filter', from: 'INPUT', rule: `-m comment --comment "Ensure that non-local NodePort traffic can flow" -j ${chains.nodePortNonLocal}` },
  ...['INPUT', 'FORWARD', 'OUTPUT'].map((from): Jump => ({ table: 'filter', from, rule: `-m conntrack --ctstate NEW -m comment --comment "kubernetes service portals" -j ${chains.firewall}` })),
]
