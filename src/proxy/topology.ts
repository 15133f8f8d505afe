// Which endpoints a packet may reach from this node: CategorizeEndpoints of upstream's
// pkg/proxy/topology.go, rule for rule, and before it topologyKeys as Kubernetes 1.20 had them.
import type { Endpoint } from './endpoints.ts'
import { usesClusterEndpoints, usesLocalEndpoints, type ServicePort } from './services.ts'

export interface NodeTopology {
  readonly nodeName: string
  readonly labels: Readonly<Record<string, string>>
  /** The labels of any node by its name: topologyKeys compares them. */
  readonly labelsOf: (nodeName: string) => Readonly<Record<string, string>> | undefined
}

export interface ChosenEndpoints {
  /** For traffic policy Cluster. */
  readonly cluster: readonly Endpoint[]
  /** For traffic policy Local. */
  readonly local: readonly Endpoint[]
  /** The union of both. */
  readonly reachable: readonly Endpoint[]
  /** Whether there is a usable endpoint anywhere, reachable from here or not. */
  readonly hasEndpoints: boolean
}

const none: ChosenEndpoints = { cluster: [], local: [], reachable: [], hasEndpoints: false }
const labelZone = 'topology.kubernetes.io/zone'

const isDraining = (endpoint: Endpoint) => endpoint.serving && endpoint.terminating

/** Ready endpoints; where there are none, those that still serve while they terminate (KEP-1669). */
const usable = (endpoints: readonly Endpoint[]) => {
  const ready = endpoints.filter(endpoint => endpoint.ready)
  return ready.length > 0 ? ready : endpoints.filter(isDraining)
}

export function chooseEndpoints(all: readonly Endpoint[], port: ServicePort, node: NodeTopology): ChosenEndpoints {
  const endpoints = matchTopologyKeys(all, port.topologyKeys, node)
  if (endpoints.length === 0) return none
  const cluster = usesClusterEndpoints(port) ? clusterEndpoints(endpoints, node) : []
  if (!usesLocalEndpoints(port)) return { cluster, local: [], reachable: cluster, hasEndpoints: cluster.length > 0 }
  // Local and Cluster fall back to terminating endpoints independently of each other.
  const local = usable(endpoints.filter(endpoint => endpoint.isLocal))
  const hasEndpoints = endpoints.some(endpoint => endpoint.ready || isDraining(endpoint))
  return { cluster, local, reachable: union(cluster, local), hasEndpoints }
}

/** Ready endpoints that the hints allow; hints count only where every ready endpoint has one and one is for us. */
function clusterEndpoints(endpoints: readonly Endpoint[], node: NodeTopology): readonly Endpoint[] {
  const ready = endpoints.filter(endpoint => endpoint.ready)
  if (ready.length === 0) return endpoints.filter(isDraining)
  const hinted = (hints: 'nodeHints' | 'zoneHints', value: string | undefined) =>
    value && ready.every(endpoint => endpoint[hints].length > 0) ? ready.filter(endpoint => endpoint[hints].includes(value)) : []
  const sameNode = hinted('nodeHints', node.nodeName) // PreferSameNode, KEP-3015
  if (sameNode.length > 0) return sameNode
  const sameZone = hinted('zoneHints', node.labels[labelZone]) // PreferSameZone, KEP-2433
  return sameZone.length > 0 ? sameZone : ready
}

const union = (a: readonly Endpoint[], b: readonly Endpoint[]): readonly Endpoint[] => {
  const extra = b.filter(endpoint => !a.some(other => other.address === endpoint.address))
  if (extra.length === 0) return a
  return [...a, ...extra].sort((x, y) => x.address < y.address ? -1 : 1)
}

/**
 * FilterTopologyEndpoint of Kubernetes 1.20: the first key under which an endpoint's node has this
 * node's value decides; "*" takes any; with no match there are no endpoints.
 */
function matchTopologyKeys(all: readonly Endpoint[], keys: readonly string[], node: NodeTopology): readonly Endpoint[] {
  if (keys.length === 0) return all
  const candidates = usable(all)
  for (const key of keys) {
    if (key === '*') return candidates
    const value = node.labels[key]
    if (value === undefined) continue
    const matching = candidates.filter(endpoint => node.labelsOf(endpoint.nodeName)?.[key] === value)
    if (matching.length > 0) return matching
  }
  return []
}
