// Bringing a fresh cluster to Ready: its add-ons are created once (what a person changed later stays
// changed), and readiness is watched, not polled.
import type { DaemonSet, Deployment } from '#api/apps/v1.ts'
import type { Node, Pod } from '#api/core/v1.ts'
import type { KubeObject } from '#api/object.ts'
import { resourceOfKind, resources } from '#api/resources.ts'
import type { Client } from '#client/client.ts'
import { startInformer } from '#client/informer.ts'
import { isAlreadyExists } from '#lib/errors.ts'
import { silent } from '#lib/log.ts'

export async function applyAddons(client: Client, objects: readonly KubeObject[]): Promise<void> {
  await Promise.all(objects.map(async object => {
    const resource = resourceOfKind(object.apiVersion!, object.kind!)!
    try { await client.create(resource, object.metadata.namespace, object) } catch (error) { if (!isAlreadyExists(error)) throw error }
  }))
}

/** A cluster that starts again with fewer nodes has no use for the others: their pods go elsewhere. */
export async function removeOtherNodes(client: Client, names: readonly string[]): Promise<void> {
  const { items } = await client.list<Node>(resources.nodes)
  await Promise.all(items.map(node => node.metadata.name).filter(name => !names.includes(name)).map(name => client.delete(resources.nodes, undefined, name)))
}

export interface ReadyOptions {
  /** How many nodes there should be. */
  readonly nodes: number
  /** The storage's revision when the server started: what is older is news of an earlier run. */
  readonly since: number
  readonly signal: AbortSignal
  progress(text: string): void
}

/** Resolves once that many nodes are Ready and so is every pod that kube-system wants. */
export async function whenReady(client: Client, { nodes, since, signal, progress }: ReadyOptions): Promise<void> {
  const ended = new AbortController()
  const options = { log: silent, signal: AbortSignal.any([signal, ended.signal]) }
  const allNodes = startInformer<Node>(client, resources.nodes, options)
  const systemPods = startInformer<Pod>(client, resources.pods, { ...options, namespace: 'kube-system' })
  const daemonSets = startInformer<DaemonSet>(client, resources.daemonsets, { ...options, namespace: 'kube-system' })
  const deployments = startInformer<Deployment>(client, resources.deployments, { ...options, namespace: 'kube-system' })
  try {
    await Promise.all([allNodes.synced, systemPods.synced, daemonSets.synced, deployments.synced])
    await new Promise<void>((resolve, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason), { once: true })
      const look = () => {
        const missing = missingFrom({ nodes: allNodes.list(), pods: systemPods.list(), daemonSets: daemonSets.list(), deployments: deployments.list() }, { nodes, since })
        if (missing) progress(missing)
        else resolve()
      }
      for (const informer of [allNodes, systemPods, daemonSets, deployments]) informer.onChange(look)
      look()
    })
  } finally { ended.abort() }
}

interface Seen {
  readonly nodes: readonly Node[]
  readonly pods: readonly Pod[]
  readonly daemonSets: readonly DaemonSet[]
  readonly deployments: readonly Deployment[]
}

/** What is still waited for, in words; undefined when nothing is. Pure. */
export function missingFrom(seen: Seen, { nodes, since }: { nodes: number; since: number }): string | undefined {
  const isReady = (object: Node | Pod) => Number(object.metadata.resourceVersion) > since && saysReady(object)
  const ready = seen.nodes.filter(isReady).length
  if (ready < nodes) return `waiting for nodes: ${ready} of ${nodes} ready`
  const behind = seen.daemonSets.find(set => set.status?.observedGeneration !== set.metadata.generation || (set.status?.desiredNumberScheduled ?? 0) < nodes)
  if (nodes > 0 && behind) return `waiting for the pods of ${behind.metadata.name}`
  const wanted = seen.daemonSets.reduce((sum, set) => sum + (set.status?.desiredNumberScheduled ?? 0), 0) +
    seen.deployments.reduce((sum, deployment) => sum + (deployment.spec.replicas ?? 1), 0)
  const podsReady = seen.pods.filter(isReady).length
  const waiting = seen.pods.find(pod => !isReady(pod))
  return podsReady < wanted || waiting ? `waiting for system pods: ${podsReady} of ${Math.max(wanted, seen.pods.length)} ready${waiting ? ` (${reasonOf(waiting)})` : ''}` : undefined
}

const saysReady = (object: Node | Pod): boolean =>
  !object.metadata.deletionTimestamp && (object.status?.conditions ?? []).some(condition => condition.type === 'Ready' && condition.status === 'True')

const reasonOf = (pod: Pod): string => {
  const state = pod.status?.containerStatuses?.[0]?.state
  return `${pod.metadata.name}: ${state?.waiting?.reason ?? state?.terminated?.reason ?? pod.status?.phase ?? 'Pending'}`
}
