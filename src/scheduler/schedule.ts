// Which node a pod goes to: every node passes the filters or gives its reason; the best score of
// those that pass wins. Pure: the same pod and cluster give the same answer.
import type { Pod } from '#api/core/v1.ts'
import { controllerOf } from '#api/object.ts'
import { matchesNodeAffinity, matchesNodeSelectorTerm, tolerates, untolerated } from '#api/placement.ts'
import { affinityFilter, affinityScore } from './affinity.ts'
import type { Cluster, NodeInfo } from './cluster.ts'
import { conflict, hostPorts, requests, scoredRequests } from './requests.ts'
import { spreadFilter, spreadScore } from './spread.ts'

/** Why one node will not do. `final`: not even removing other pods would help. */
export interface Refusal { readonly reasons: readonly string[]; readonly final: boolean }

export type Scheduled = { readonly node: string } | { readonly refusals: readonly Refusal[] }

type Filter = (info: NodeInfo) => Refusal | undefined

export function schedule(pod: Pod, cluster: Cluster): Scheduled {
  const filters = filtersFor(pod, cluster)
  const feasible: NodeInfo[] = [], refusals: Refusal[] = []
  for (const info of cluster.nodes()) {
    const refusal = firstRefusal(filters, info)
    if (refusal) refusals.push(refusal)
    else feasible.push(info)
  }
  return feasible.length === 0 ? { refusals } : { node: best(pod, feasible, cluster).name }
}

function firstRefusal(filters: readonly Filter[], info: NodeInfo): Refusal | undefined {
  for (const filter of filters) {
    const refusal = filter(info)
    if (refusal) return refusal
  }
  return undefined
}

const final = (reason: string): Refusal => ({ reasons: [reason], final: true })
const unschedulable = { key: 'node.kubernetes.io/unschedulable', effect: 'NoSchedule' }
/** Reasons of the pod filters that no removal of pods could change. */
const finalReasons = new Set(["node(s) didn't match pod affinity rules", "node(s) didn't match pod topology spread constraints (missing required label)"])

/** In upstream's order: a node gives the reason of the first that refuses it. */
function filtersFor(pod: Pod, cluster: Cluster): Filter[] {
  const { spec } = pod, ports = hostPorts(pod)
  const spread = spreadFilter(pod, cluster), affinity = affinityFilter(pod, cluster)
  const named = (reason: string | undefined): Refusal | undefined => reason === undefined ? undefined : { reasons: [reason], final: finalReasons.has(reason) }
  return [
    info => info.node.spec.unschedulable && !spec.tolerations?.some(toleration => tolerates(toleration, unschedulable)) ? final('node(s) were unschedulable') : undefined,
    info => spec.nodeName && spec.nodeName !== info.name ? final("node(s) didn't match the requested node name") : undefined,
    info => untolerated(info.node.spec.taints, spec.tolerations, ['NoSchedule', 'NoExecute']) ? final('node(s) had untolerated taint(s)') : undefined,
    info => matchesNodeAffinity(spec, info.node) ? undefined : final("node(s) didn't match Pod's node affinity/selector"),
    info => ports.some(port => [...info.pods.values()].some(other => other.ports.some(taken => conflict(port, taken))))
      ? { reasons: ["node(s) didn't have free ports for the requested pod ports"], final: false } : undefined,
    fitFilter(pod),
    info => named(spread(info)),
    info => named(affinity(info)),
  ]
}

/** NodeResourcesFit: all that is lacking, not only the first. */
function fitFilter(pod: Pod): Filter {
  const wanted = Object.entries(requests(pod)).filter(([, amount]) => amount > 0)
  return info => {
    const reasons: string[] = [], full = info.pods.size + 1 > (info.allocatable.pods ?? 0)
    if (full) reasons.push('Too many pods')
    const lacking = wanted.filter(([name, amount]) => amount > (info.allocatable[name] ?? 0) - (info.requested[name] ?? 0))
    reasons.push(...lacking.map(([name]) => `Insufficient ${name}`))
    return reasons.length === 0 ? undefined : { reasons, final: lacking.some(([name, amount]) => amount > (info.allocatable[name] ?? 0)) }
  }
}

interface Score { readonly weight: number; readonly of: (info: NodeInfo) => number; /** Lower is better. */ readonly reverse?: boolean; readonly normal?: boolean }

/** Upstream's weights; scores that are no percentages are stretched to 0..100 over the feasible nodes. */
function scoresFor(pod: Pod, cluster: Cluster): Score[] {
  const { spec } = pod, owner = controllerOf(pod)?.uid
  const preferred = spec.affinity?.nodeAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? []
  const spread = spreadScore(pod, cluster), affinity = affinityScore(pod, cluster)
  return [
    { weight: 3, reverse: true, of: info => (info.node.spec.taints ?? []).filter(taint => taint.effect === 'PreferNoSchedule' && !spec.tolerations?.some(t => tolerates(t, taint))).length },
    { weight: 2, of: info => preferred.reduce((sum, { weight, preference }) => sum + (matchesNodeSelectorTerm(preference, info.node) ? weight : 0), 0) },
    { weight: 1, normal: true, of: info => leastAllocated(pod, info) },
    { weight: 1, normal: true, of: info => balanced(pod, info) },
    ...(spread ? [{ weight: 2, reverse: true, of: spread }]
      // Fellows of the same owner spread over nodes, as upstream's default constraints make them.
      : owner ? [{ weight: 2, reverse: true, of: (info: NodeInfo) => [...info.pods.values()].filter(other => controllerOf(other.pod)?.uid === owner).length }] : []),
    ...(affinity ? [{ weight: 2, of: affinity }] : []),
  ]
}

function best(pod: Pod, feasible: readonly NodeInfo[], cluster: Cluster): NodeInfo {
  if (feasible.length === 1) return feasible[0]!
  const totals = feasible.map(() => 0)
  for (const score of scoresFor(pod, cluster)) {
    const raw = feasible.map(score.of)
    const low = Math.min(...raw), high = Math.max(...raw)
    raw.forEach((value, i) => {
      const percent = score.normal ? value : high === low ? 100 : 100 * (value - low) / (high - low)
      totals[i]! += score.weight * (score.reverse && high !== low ? 100 - percent : percent)
    })
  }
  const highest = Math.max(...totals)
  // Where all else is equal the emptier node, then the first by name.
  return feasible.filter((_, i) => totals[i]! >= highest - 1e-9).reduce((a, b) => b.pods.size < a.pods.size ? b : a)
}

function fractions(pod: Pod, info: NodeInfo): number[] {
  const own = scoredRequests(pod)
  return (['cpu', 'memory'] as const).map(name => Math.min(1, (info.scored[name] + own[name]) / (info.allocatable[name] || 1)))
}
const leastAllocated = (pod: Pod, info: NodeInfo): number => { const [cpu, memory] = fractions(pod, info); return 100 * (1 - (cpu! + memory!) / 2) }
const balanced = (pod: Pod, info: NodeInfo): number => { const [cpu, memory] = fractions(pod, info); return 100 * (1 - Math.abs(cpu! - memory!) / 2) }
