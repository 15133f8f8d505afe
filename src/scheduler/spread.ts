// topologySpreadConstraints: how evenly a pod's fellows must, or should, lie over zones or nodes
// (upstream's podtopologyspread plugin).
import type { Pod, TopologySpreadConstraint } from '#api/core/v1.ts'
import { matchesNodeAffinity, untolerated } from '#api/placement.ts'
import { matchesSelector } from '#api/object.ts'
import { withLabelKeys } from './affinity.ts'
import type { Cluster, NodeInfo } from './cluster.ts'

const constraints = (pod: Pod, when: string) => (pod.spec.topologySpreadConstraints ?? []).filter(c => c.whenUnsatisfiable === when)

/** Matching pods by the topology's value, over the nodes that the pod could use at all. */
function domains(pod: Pod, constraint: TopologySpreadConstraint, { cluster, keys }: { cluster: Cluster; keys: readonly string[] }): Map<string, number> {
  const counts = new Map<string, number>()
  const selector = withLabelKeys(constraint.labelSelector, pod, constraint)
  for (const info of cluster.nodes()) {
    const value = info.labels[constraint.topologyKey]
    if (value === undefined || !keys.every(key => info.labels[key] !== undefined) || !usable(pod, constraint, info)) continue
    const fellows = [...info.pods.values()].filter(({ pod: other }) => other.metadata.namespace === pod.metadata.namespace &&
      !other.metadata.deletionTimestamp && matchesSelector(selector, other.metadata.labels)).length
    counts.set(value, (counts.get(value) ?? 0) + fellows)
  }
  return counts
}

/** nodeAffinityPolicy is Honor and nodeTaintsPolicy Ignore unless said. */
const usable = (pod: Pod, constraint: TopologySpreadConstraint, info: NodeInfo): boolean =>
  (constraint.nodeAffinityPolicy === 'Ignore' || matchesNodeAffinity(pod.spec, info.node)) &&
  (constraint.nodeTaintsPolicy !== 'Honor' || !untolerated(info.node.spec.taints, pod.spec.tolerations, ['NoSchedule', 'NoExecute']))

/** The reason why the pod may not be on a node, or undefined. */
export function spreadFilter(pod: Pod, cluster: Cluster): (info: NodeInfo) => string | undefined {
  const hard = constraints(pod, 'DoNotSchedule'), keys = hard.map(c => c.topologyKey)
  const prepared = hard.map(constraint => {
    const counts = domains(pod, constraint, { cluster, keys })
    const min = counts.size < (constraint.minDomains ?? 1) ? 0 : Math.min(...counts.values())
    const self = matchesSelector(withLabelKeys(constraint.labelSelector, pod, constraint), pod.metadata.labels) ? 1 : 0
    return { constraint, counts, min, self }
  })
  return info => {
    for (const { constraint, counts, min, self } of prepared) {
      const value = info.labels[constraint.topologyKey]
      if (value === undefined) return "node(s) didn't match pod topology spread constraints (missing required label)"
      if ((counts.get(value) ?? 0) + self - min > constraint.maxSkew) return "node(s) didn't match pod topology spread constraints"
    }
    return undefined
  }
}

/** How many fellows are near a node, over all ScheduleAnyway constraints: less is better. Undefined when there are none. */
export function spreadScore(pod: Pod, cluster: Cluster): ((info: NodeInfo) => number) | undefined {
  const soft = constraints(pod, 'ScheduleAnyway')
  if (soft.length === 0) return undefined
  const prepared = soft.map(constraint => ({ key: constraint.topologyKey, counts: domains(pod, constraint, { cluster, keys: [] }) }))
  // A topology with many values matters more to each pod: TopologyNormalizingWeight. A node outside the topology comes last.
  return info => prepared.reduce((sum, { key, counts }) => {
    const value = info.labels[key]
    return sum + (value === undefined ? 1e6 : (counts.get(value) ?? 0) * Math.log(counts.size + 2))
  }, 0)
}
