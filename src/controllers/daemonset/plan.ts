// What a DaemonSet needs done: pods to create, by node, and pods to delete (upstream's
// podsShouldBeOnNode and rollingUpdate). Pods are judged by their revision hash.
import type { DaemonSet } from '#api/apps/v1.ts'
import type { Node, Pod } from '#api/core/v1.ts'
import { scaled } from '../deployment/replicasets.ts'
import { isAvailable, isTerminal } from '../pods/state.ts'
import { fit, hashLabel, targetNode } from './nodes.ts'

export interface Plan {
  /** Names of nodes. */
  readonly create: readonly string[]
  readonly remove: readonly Pod[]
  /** Of `remove`, those that failed: they are replaced, ever later if they fail again. */
  readonly failed: readonly Pod[]
}

export interface PlanInput {
  readonly nodes: readonly Node[]
  readonly pods: readonly Pod[]
  /** The current revision's. */
  readonly hash: string
  readonly now: number
}

/** No more than this in one go (BurstReplicas). */
const burst = 250

export const podsByNode = (pods: readonly Pod[]): Map<string, Pod[]> => {
  const byNode = new Map<string, Pod[]>()
  for (const pod of pods) {
    const node = targetNode(pod)
    if (node !== undefined) byNode.set(node, [...byNode.get(node) ?? [], pod])
  }
  return byNode
}

export function plan(set: DaemonSet, input: PlanInput): Plan {
  const byNode = podsByNode(input.pods)
  const create: string[] = [], remove: Pod[] = [], failed: Pod[] = []
  for (const node of input.nodes) {
    const pods = byNode.get(node.metadata.name) ?? []
    const { shouldRun, shouldContinue } = fit(set, node)
    if (shouldRun && pods.length === 0) create.push(node.metadata.name)
    else if (shouldContinue) {
      const ended = pods.filter(pod => isTerminal(pod) && !pod.metadata.deletionTimestamp)
      failed.push(...ended.filter(pod => pod.status?.phase === 'Failed'))
      remove.push(...ended, ...surplus(set, pods.filter(pod => !isTerminal(pod)), input))
    } else remove.push(...pods)
  }
  // Pods of nodes that are gone and were never started there (getUnscheduledPodsWithoutNode).
  const known = new Set(input.nodes.map(node => node.metadata.name))
  remove.push(...input.pods.filter(pod => !pod.spec.nodeName && !known.has(targetNode(pod) ?? '')))
  const update = set.spec.updateStrategy?.type === 'OnDelete' ? { create: [], remove: [] } : rollingUpdate(set, byNode, input)
  const unique = [...new Set([...remove, ...update.remove])].filter(pod => !pod.metadata.deletionTimestamp)
  return { create: [...new Set([...create, ...update.create])].slice(0, burst), remove: unique.slice(0, burst), failed }
}

const isNew = (pod: Pod, hash: string) => pod.metadata.labels?.[hashLabel] === hash
const isOut = (pod: Pod) => pod.metadata.deletionTimestamp !== undefined

/** maxSurge rounds up, maxUnavailable up as well (UnavailableCount, SurgeCount), of the nodes that should run it. */
function limits(set: DaemonSet, desired: number): { maxUnavailable: number; maxSurge: number } {
  const given = set.spec.updateStrategy?.rollingUpdate
  const maxSurge = scaled(given?.maxSurge ?? 0, desired, Math.ceil)
  const maxUnavailable = scaled(given?.maxUnavailable ?? 1, desired, Math.ceil)
  // Both zero would never move.
  return { maxSurge, maxUnavailable: maxSurge === 0 && maxUnavailable === 0 && desired > 0 ? 1 : maxUnavailable }
}

/** All but the oldest of several pods on a node; where surge is allowed, an old one beside a new one that is not available yet. */
function surplus(set: DaemonSet, pods: readonly Pod[], { hash, now, nodes }: PlanInput): Pod[] {
  const running = pods.filter(pod => !isOut(pod)).sort(byAge)
  if (limits(set, nodes.length).maxSurge === 0) return running.slice(1)
  const oldest = [running.find(pod => !isNew(pod, hash)), running.find(pod => isNew(pod, hash))]
  const rest = running.filter(pod => !oldest.includes(pod))
  const [old, current] = oldest
  if (old && current && isAvailable(current, set.spec.minReadySeconds ?? 0, now)) rest.push(old)
  return rest
}
const byAge = (a: Pod, b: Pod) => (a.metadata.creationTimestamp ?? '') < (b.metadata.creationTimestamp ?? '') ? -1 : (a.metadata.creationTimestamp ?? '') > (b.metadata.creationTimestamp ?? '') ? 1 : a.metadata.name < b.metadata.name ? -1 : 1

function rollingUpdate(set: DaemonSet, byNode: Map<string, Pod[]>, input: PlanInput): Pick<Plan, 'create' | 'remove'> {
  const desired = input.nodes.filter(node => fit(set, node).shouldRun)
  const { maxSurge, maxUnavailable } = limits(set, desired.length)
  const states = desired.map(node => stateOf(set, { name: node.metadata.name, pods: byNode.get(node.metadata.name) ?? [], input }))
  return maxSurge > 0 ? surge(states, { maxSurge }) : replace(states, { maxUnavailable })
}

interface NodeState { readonly name: string; readonly old: Pod | undefined; readonly current: Pod | undefined; readonly oldAvailable: boolean; readonly newAvailable: boolean; readonly available: boolean }
function stateOf(set: DaemonSet, { name, pods, input }: { name: string; pods: readonly Pod[]; input: PlanInput }): NodeState {
  const running = pods.filter(pod => !isOut(pod) && !isTerminal(pod))
  const old = running.find(pod => !isNew(pod, input.hash)), current = running.find(pod => isNew(pod, input.hash))
  const available = (pod: Pod | undefined) => pod !== undefined && isAvailable(pod, set.spec.minReadySeconds ?? 0, input.now)
  return { name, old, current, oldAvailable: available(old), newAvailable: available(current), available: available(old) || available(current) }
}

/** Old pods that are not available go at once; available ones as far as maxUnavailable allows. */
function replace(states: readonly NodeState[], { maxUnavailable }: { maxUnavailable: number }): Pick<Plan, 'create' | 'remove'> {
  const unavailable = states.filter(state => !state.available).length
  const candidates = states.filter(state => state.old && !state.current)
  const free = candidates.filter(state => !state.oldAvailable)
  const spare = candidates.filter(state => state.oldAvailable).slice(0, Math.max(0, maxUnavailable - unavailable))
  return { create: [], remove: [...free, ...spare].map(state => state.old!) }
}

/** A new pod beside the old one; the old one goes when the new one is available. */
function surge(states: readonly NodeState[], { maxSurge }: { maxSurge: number }): Pick<Plan, 'create' | 'remove'> {
  const surging = states.filter(state => state.old && state.current && !state.newAvailable).length
  const waiting = states.filter(state => state.old && !state.current)
  const now = waiting.filter(state => !state.oldAvailable)
  const spare = waiting.filter(state => state.oldAvailable).slice(0, Math.max(0, maxSurge - surging))
  return { create: [...now, ...spare].map(state => state.name), remove: [] }
}
