// Pod affinity and anti-affinity: where a pod must be, or must not be, because of other pods
// (upstream's interpodaffinity plugin).
import type { Pod, PodAffinityTerm } from '#api/core/v1.ts'
import type { LabelSelector } from '#api/meta/v1.ts'
import { matchesSelector } from '#api/object.ts'
import type { Cluster, NodeInfo } from './cluster.ts'

type Terms = readonly PodAffinityTerm[]

/** `key=value` of a topology, with how many pods of a term are there. */
class Topologies {
  readonly #counts = new Map<string, number>()
  add(key: string, info: NodeInfo, by = 1): void {
    const value = info.labels[key]
    if (value !== undefined) this.#counts.set(`${key}=${value}`, this.count(key, info) + by)
  }
  count(key: string, info: NodeInfo): number { return this.#counts.get(`${key}=${info.labels[key]}`) ?? 0 }
  get empty(): boolean { return this.#counts.size === 0 }
}

/** Whether `pod` is one that the term of `owner` speaks of. */
export function termMatches(term: PodAffinityTerm, { owner, pod, cluster }: { owner: Pod; pod: Pod; cluster: Cluster }): boolean {
  const namespace = pod.metadata.namespace!
  const named = term.namespaces?.length || term.namespaceSelector ? term.namespaces?.includes(namespace) ?? false : namespace === owner.metadata.namespace
  if (!named && !(term.namespaceSelector && matchesSelector(term.namespaceSelector, cluster.namespaces.get(namespace)))) return false
  return matchesSelector(withLabelKeys(term.labelSelector, owner, term), pod.metadata.labels)
}

/** matchLabelKeys: the pod's own values of these labels join the selector (a newer API server has done so already). */
export function withLabelKeys(selector: LabelSelector | undefined, owner: Pod, { matchLabelKeys = [], mismatchLabelKeys = [] }: { matchLabelKeys?: string[]; mismatchLabelKeys?: string[] }): LabelSelector | undefined {
  if (!selector || (matchLabelKeys.length === 0 && mismatchLabelKeys.length === 0)) return selector
  const labels = owner.metadata.labels ?? {}
  const requirement = (operator: string) => (key: string) => ({ key, operator, values: [labels[key]!] })
  const known = (key: string) => labels[key] !== undefined
  return { ...selector, matchExpressions: [...selector.matchExpressions ?? [],
    ...matchLabelKeys.filter(known).map(requirement('In')), ...mismatchLabelKeys.filter(known).map(requirement('NotIn'))] }
}

/** A filter for one pod: the reason why it may not be on a node, or undefined. */
export function affinityFilter(pod: Pod, cluster: Cluster): (info: NodeInfo) => string | undefined {
  const affinity: Terms = pod.spec.affinity?.podAffinity?.requiredDuringSchedulingIgnoredDuringExecution ?? []
  const anti: Terms = pod.spec.affinity?.podAntiAffinity?.requiredDuringSchedulingIgnoredDuringExecution ?? []
  const keptAway = keptAwayBy(pod, cluster)
  const near = new Topologies(), far = new Topologies()
  if (affinity.length > 0 || anti.length > 0) for (const info of cluster.nodes()) for (const { pod: other } of info.pods.values()) {
    // A pod attracts only when it satisfies all terms together.
    if (affinity.length > 0 && affinity.every(term => termMatches(term, { owner: pod, pod: other, cluster }))) for (const term of affinity) near.add(term.topologyKey, info)
    for (const term of anti) if (termMatches(term, { owner: pod, pod: other, cluster })) far.add(term.topologyKey, info)
  }
  // The first of a group that wants to be together has nobody to join.
  const first = near.empty && affinity.every(term => termMatches(term, { owner: pod, pod, cluster }))
  return info => {
    if (!affinity.every(term => info.labels[term.topologyKey] !== undefined && (first || near.count(term.topologyKey, info) > 0))) return "node(s) didn't match pod affinity rules"
    if (anti.some(term => far.count(term.topologyKey, info) > 0)) return "node(s) didn't match pod anti-affinity rules"
    return keptAway(info) ? "node(s) didn't satisfy existing pods anti-affinity rules" : undefined
  }
}

function keptAwayBy(pod: Pod, cluster: Cluster): (info: NodeInfo) => boolean {
  const keys = new Set<string>(), topologies = new Topologies()
  for (const other of cluster.antiAffine()) {
    const info = cluster.node(cluster.nodeOf(other) ?? '')
    for (const term of other.spec.affinity!.podAntiAffinity!.requiredDuringSchedulingIgnoredDuringExecution!) {
      if (!info || !termMatches(term, { owner: other, pod, cluster })) continue
      keys.add(term.topologyKey)
      topologies.add(term.topologyKey, info)
    }
  }
  return info => [...keys].some(key => topologies.count(key, info) > 0)
}

/** Preferred terms, the pod's own and those of pods already there: points for or against a node; undefined when there are none. */
export function affinityScore(pod: Pod, cluster: Cluster): ((info: NodeInfo) => number) | undefined {
  const topologies = new Topologies(), keys = new Set<string>()
  const weigh = (owner: Pod, subject: Pod, info: NodeInfo) => {
    const { podAffinity, podAntiAffinity } = owner.spec.affinity ?? {}
    for (const [terms, sign] of [[podAffinity, 1], [podAntiAffinity, -1]] as const) {
      for (const { weight, podAffinityTerm: term } of terms?.preferredDuringSchedulingIgnoredDuringExecution ?? []) {
        if (!termMatches(term, { owner, pod: subject, cluster })) continue
        topologies.add(term.topologyKey, info, sign * weight)
        keys.add(term.topologyKey)
      }
    }
  }
  for (const info of cluster.nodes()) for (const { pod: other } of info.pods.values()) {
    if (pod.spec.affinity) weigh(pod, other, info)
    if (other.spec.affinity) weigh(other, pod, info)
  }
  return keys.size === 0 ? undefined : info => [...keys].reduce((sum, key) => sum + topologies.count(key, info), 0)
}
