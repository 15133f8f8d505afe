// Which endpoints a packet on one node may be sent to, and why not to the others: CategorizeEndpoints
// of upstream's pkg/proxy/topology.go and the topologyKeys of 1.20, as the proxy has them, but with
// the reason kept. test/proxy/explain.test.ts holds this against the proxy's own choice.
import type { Endpoint } from './facts.ts'

export interface ChoiceNode { readonly name: string; readonly labels: Readonly<Record<string, string>> }

export interface Rules {
  /** The traffic policy of the way that the packet takes. */
  readonly policyLocal: boolean
  /** internalTrafficPolicy or externalTrafficPolicy. */
  readonly policy: string
  readonly topologyKeys: readonly string[]
  readonly labelsOf: (node: string) => Readonly<Record<string, string>> | undefined
}

/** Whether every node comes to the same choice. */
export const isSameEverywhere = (endpoints: readonly Endpoint[], rules: Rules): boolean =>
  !rules.policyLocal && rules.topologyKeys.length === 0 && endpoints.every(({ nodeHints, zoneHints }) => nodeHints.length + zoneHints.length === 0)

/** undefined: used. */
export type WhyNot = string | undefined

const zoneLabel = 'topology.kubernetes.io/zone'
const isDraining = (endpoint: Endpoint) => endpoint.serving && endpoint.terminating

export function choose(endpoints: readonly Endpoint[], node: ChoiceNode, rules: Rules): Map<Endpoint, WhyNot> {
  const verdicts = new Map<Endpoint, WhyNot>()
  const keep = (candidates: readonly Endpoint[], chosen: readonly Endpoint[], why: (endpoint: Endpoint) => string) => {
    const kept = new Set(chosen)
    for (const endpoint of candidates) if (!kept.has(endpoint)) verdicts.set(endpoint, why(endpoint))
    return chosen
  }
  const unready = (endpoint: Endpoint) => endpoint.terminating ? 'terminating' : 'not ready'
  let left = endpoints
  if (rules.topologyKeys.length > 0) {
    const candidates = new Set(usable(endpoints))
    left = keep(endpoints, byTopologyKeys([...candidates], node, rules), endpoint => candidates.has(endpoint) ? `topologyKeys ${rules.topologyKeys.join(', ')}` : unready(endpoint))
  }
  if (rules.policyLocal) left = keep(left, left.filter(endpoint => endpoint.node === node.name), () => `${rules.policy}: Local`)
  left = keep(left, usable(left), unready)
  // Hints count only under policy Cluster, and only those of ready endpoints.
  const hinted = rules.policyLocal || !left.some(endpoint => endpoint.ready) ? left : byHints(left, node)
  for (const endpoint of keep(left, hinted, hintText)) verdicts.set(endpoint, undefined)
  return verdicts
}

/** Ready endpoints; where there are none, those that still serve while they terminate (KEP-1669). */
function usable(endpoints: readonly Endpoint[]): readonly Endpoint[] {
  const ready = endpoints.filter(endpoint => endpoint.ready)
  return ready.length > 0 ? ready : endpoints.filter(isDraining)
}

/** Hints hold only where every ready endpoint has one and one of them is for us (KEP-2433, KEP-3015). */
function byHints(ready: readonly Endpoint[], node: ChoiceNode): readonly Endpoint[] {
  const hinted = (kind: 'nodeHints' | 'zoneHints', value: string | undefined) =>
    value && ready.every(endpoint => endpoint[kind].length > 0) ? ready.filter(endpoint => endpoint[kind].includes(value)) : []
  const sameNode = hinted('nodeHints', node.name)
  if (sameNode.length > 0) return sameNode
  const sameZone = hinted('zoneHints', node.labels[zoneLabel])
  return sameZone.length > 0 ? sameZone : ready
}
const hintText = (endpoint: Endpoint): string =>
  endpoint.nodeHints.length > 0 ? `hinted to node ${endpoint.nodeHints.join(', ')}` : `hinted to zone ${endpoint.zoneHints.join(', ')}`

/** FilterTopologyEndpoint of Kubernetes 1.20. */
function byTopologyKeys(candidates: readonly Endpoint[], node: ChoiceNode, { topologyKeys, labelsOf }: Rules): readonly Endpoint[] {
  for (const key of topologyKeys) {
    if (key === '*') return candidates
    const value = node.labels[key]
    if (value === undefined) continue
    const matching = candidates.filter(endpoint => labelsOf(endpoint.node)?.[key] === value)
    if (matching.length > 0) return matching
  }
  return []
}
