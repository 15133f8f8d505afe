// The node controllers: pod ranges, signs of life, taints, and the pods of a node that is lost.
// health.ts, taints.ts and cidrs.ts decide. A change that a node reports itself acts at once; only
// silence is found by looking now and then.
import type { Lease } from '#api/coordination/v1.ts'
import type { Node, Pod } from '#api/core/v1.ts'
import { keyOf } from '#api/object.ts'
import { resources } from '#api/resources.ts'
import { time } from '#lib/clock.ts'
import { equal } from '#lib/equal.ts'
import { isConflict, isNotFound } from '#lib/errors.ts'
import type { Cidr } from '#net/ip.ts'
import type { Context } from '../apply.ts'
import { isTerminal } from '../pods/state.ts'
import { freeCidr } from './cidrs.ts'
import { lostConditions, readyOf, signOfLife } from './health.ts'
import { taints, untilEviction } from './taints.ts'

export interface NodeOptions { readonly clusterCidr: Cidr; readonly nodeCidrMaskSize: number }

const monitorMs = 5_000

export function startNodeController(context: Context, options: NodeOptions): void {
  const { client, clock } = context
  const nodes = context.informer<Node>(resources.nodes), pods = context.informer<Pod>(resources.pods), leases = context.informer<Lease>(resources.leases)
  const recorder = context.recorder('node-controller'), taintRecorder = context.recorder('taint-eviction-controller')
  const seen = new Map<string, { sign: string; at: number }>()
  const given = new Map<string, string>() // ranges that the informer does not show yet
  pods.addIndex('node', pod => pod.spec.nodeName ? [pod.spec.nodeName] : [])

  const queue = context.run({ name: 'node', informers: [nodes, pods, leases], workers: 1, sync })
  const evictions = context.run({ name: 'taint-eviction', informers: [nodes, pods], sync: evict })

  nodes.onChange(({ old, now }) => {
    if (!now) { seen.delete(old!.metadata.name); given.delete(old!.metadata.name); return }
    queue.add(now.metadata.name)
    if (!equal(old?.spec.taints, now.spec.taints)) for (const pod of pods.byIndex('node', now.metadata.name)) evictions.add(keyOf(pod))
  })
  pods.onChange(({ old, now }) => { if (now?.spec.nodeName && (!old?.spec.nodeName || !equal(old.spec.tolerations, now.spec.tolerations))) evictions.add(keyOf(now)) })

  async function sync(name: string): Promise<void> {
    const node = nodes.get(name)
    if (!node) return
    const lease = leases.get(`kube-node-lease/${name}`), sign = signOfLife(node, lease?.spec.renewTime), now = clock.now()
    if (seen.get(name)?.sign !== sign) seen.set(name, { sign, at: now })
    queue.addAfter(name, monitorMs)
    await allocate(node)
    const lost = lostConditions(node, { lastSeen: seen.get(name)!.at, now })
    if (lost) await client.patch(resources.nodes, undefined, name, { metadata: { resourceVersion: node.metadata.resourceVersion }, status: { conditions: lost } }, { subresource: 'status' })
    const current = lost ? { ...node, status: { ...node.status, conditions: lost } } : node
    if (readyOf(current) && readyOf(current)!.status !== 'True') await markPodsNotReady(current)
    await writeTaints(current, now)
  }

  async function allocate(node: Node): Promise<void> {
    const { name } = node.metadata
    if (node.spec.podCIDR) { given.delete(name); return }
    const others = nodes.list().map(other => given.has(other.metadata.name) ? { ...other, spec: { ...other.spec, podCIDRs: [given.get(other.metadata.name)!] } } : other)
    const cidr = given.get(name) ?? freeCidr(others, { clusterCidr: options.clusterCidr, maskSize: options.nodeCidrMaskSize })
    if (cidr === undefined) return recorder.event(node, 'Normal', 'CIDRNotAvailable', `Node ${name} status is now: CIDRNotAvailable`)
    given.set(name, cidr)
    await client.patch(resources.nodes, undefined, name, { spec: { podCIDR: cidr, podCIDRs: [cidr] } })
  }

  async function writeTaints(node: Node, now: number): Promise<void> {
    const next = taints(node, now)
    if (equal(next, node.spec.taints ?? [])) return
    // From the server's own copy: the conditions may just have been written.
    const fresh = await client.get<Node>(resources.nodes, undefined, node.metadata.name)
    const wanted = taints(fresh, now)
    if (!equal(wanted, fresh.spec.taints ?? [])) await client.patch(resources.nodes, undefined, node.metadata.name, { metadata: { resourceVersion: fresh.metadata.resourceVersion }, spec: { taints: wanted } })
  }

  /** Traffic must leave a node that is lost before its pods do (MarkPodsNotReady). */
  async function markPodsNotReady(node: Node): Promise<void> {
    const affected = pods.byIndex('node', node.metadata.name).filter(pod => !pod.metadata.deletionTimestamp && pod.status?.conditions?.some(c => c.type === 'Ready' && c.status === 'True'))
    if (affected.length === 0) return
    recorder.event(node, 'Normal', 'NodeNotReady', `Node ${node.metadata.name} status is now: NodeNotReady`)
    await Promise.all(affected.map(async pod => {
      recorder.event(pod, 'Warning', 'NodeNotReady', 'Node is not ready')
      await patchCondition(pod, { type: 'Ready', status: 'False' })
    }))
  }

  async function evict(key: string): Promise<void> {
    const pod = pods.get(key), node = pod && nodes.get(pod.spec.nodeName ?? '')
    if (!node || pod.metadata.deletionTimestamp || isTerminal(pod)) return
    const wait = untilEviction(pod, node.spec.taints, clock.now())
    if (wait === undefined) return
    if (wait > 0) return evictions.addAfter(key, wait)
    taintRecorder.event(pod, 'Normal', 'TaintManagerEviction', `Marking for deletion Pod ${key}`)
    await patchCondition(pod, { type: 'DisruptionTarget', status: 'True', reason: 'DeletionByTaintManager', message: 'Taint manager: deleting due to NoExecute taint' })
    await client.delete(resources.pods, pod.metadata.namespace, pod.metadata.name, { preconditions: { uid: pod.metadata.uid } }).catch(ignoreGone)
  }

  async function patchCondition(pod: Pod, condition: { type: string; status: string; reason?: string; message?: string }): Promise<void> {
    await client.patch(resources.pods, pod.metadata.namespace, pod.metadata.name, { metadata: { uid: pod.metadata.uid },
      status: { conditions: [{ ...condition, lastTransitionTime: time(clock.now()) }] } }, { type: 'strategic', subresource: 'status' }).catch(ignoreGone)
  }
}

/** The pod went, or a namesake took its place: either way it is not this one's any more. */
const ignoreGone = (error: unknown): void => { if (!isNotFound(error) && !isConflict(error)) throw error }
