// What iptables rules depend on besides the state: NodeOptions in iptables's own words.
import type { LocalTraffic, NodeOptions } from '../dataplane.ts'

export interface RuleOptions extends Omit<NodeOptions, 'localTraffic'> {
  /** Whether MASQUERADE knows --random-fully. */
  readonly randomFully: boolean
  /** How traffic from this node's own pods is told: iptables arguments for it and for its opposite; undefined when unknown. */
  readonly localTraffic?: { readonly ifLocal: string; readonly ifNotLocal: string }
}

export function iptablesOptions({ localTraffic, ...options }: NodeOptions, randomFully: boolean): RuleOptions {
  const test = localTraffic && match(localTraffic)
  return { ...options, randomFully, ...test && { localTraffic: { ifLocal: test, ifNotLocal: `! ${test}` } } }
}

function match(local: LocalTraffic): string {
  switch (local.by) {
    case 'source': return `-s ${local.cidr}`
    case 'interface': return `-i ${local.name}`
    case 'interfacePrefix': return `-i ${local.prefix}+`
  }
}
