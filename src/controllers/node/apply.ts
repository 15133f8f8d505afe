// The node controllers: pod ranges, signs of life, taints, and the pods of a node that is lost.
// health.ts, taints.ts and cidrs.ts decide. A change that a node reports itself acts at once; only
// silence is found by looking now and then.
import type { Lease } from '#api/coordination/v1.ts'
import type { Node, Pod } from '#api/core/v1.ts'
import { keyOf } from '#api/object.ts'
import { resources } from '#api/resources.ts'
import type { Client } from '#client/client.ts'
import type { EventRecorder } from '#client/events.ts'
import type { Informer } from '#client/informer.ts'
import type { WorkQueue } from '#client/workqueue.ts'
import { time, type Clock } from '#lib/clock.ts'
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

export function startNodeController(context: Context, options: NodeOptions): void { new NodeController(context, options).watch() }

class NodeController {
  readonly #options: NodeOptions
  readonly #client: Client
  readonly #clock: Clock
  readonly #nodes: Informer<Node>
  readonly #pods: Informer<Pod>
  readonly #leases: Informer<Lease>
  readonly #recorder: EventRecorder
  readonly #taintRecorder: EventRecorder
  readonly #seen = new Map<string, { sign: string; at: number }>()
  /** Ranges that the informer does not show yet. */
  readonly #given = new Map<string, string>()
  readonly #queue: WorkQueue
  readonly #evictions: WorkQueue

  constructor(context: Context, options: NodeOptions) {
    this.#options = options
    this.#client = context.client
    this.#clock = context.clock
    this.#nodes = context.informer<Node>(resources.nodes)
    this.#pods = context.informer<Pod>(resources.pods)
    this.#leases = context.informer<Lease>(resources.leases)
    this.#recorder = context.recorder('node-controller')
    this.#taintRecorder = context.recorder('taint-eviction-controller')
    this.#pods.addIndex('node', pod => pod.spec.nodeName ? [pod.spec.nodeName] : [])
    this.#queue = context.run({ name: 'node', informers: [this.#nodes, this.#pods, this.#leases], workers: 1, sync: key => this.#sync(key) })
    this.#evictions = context.run({ name: 'taint-eviction', informers: [this.#nodes, this.#pods], sync: key => this.#evict(key) })
  }

  watch(): void {
    this.#nodes.onChange(({ old, now }) => {
      const { name } = (now ?? old)!.metadata
      if (!now) { this.#seen.delete(name); this.#given.delete(name); return }
      this.#queue.add(name)
      if (!equal(old?.spec.taints, now.spec.taints)) for (const pod of this.#pods.byIndex('node', name)) this.#evictions.add(keyOf(pod))
    })
    this.#pods.onChange(({ old, now }) => { if (now?.spec.nodeName && (!old?.spec.nodeName || !equal(old.spec.tolerations, now.spec.tolerations))) this.#evictions.add(keyOf(now)) })
  }

  async #sync(name: string): Promise<void> {
    const node = this.#nodes.get(name)
    if (!node) return
    const lease = this.#leases.get(`kube-node-lease/${name}`), sign = signOfLife(node, lease?.spec.renewTime), now = this.#clock.now()
    if (this.#seen.get(name)?.sign !== sign) this.#seen.set(name, { sign, at: now })
    this.#queue.addAfter(name, monitorMs)
    await this.#allocate(node)
    const lost = lostConditions(node, { lastSeen: this.#seen.get(name)!.at, now })
    if (lost) await this.#client.patch(resources.nodes, undefined, name, { metadata: { resourceVersion: node.metadata.resourceVersion }, status: { conditions: lost } }, { subresource: 'status' })
    const current = lost ? { ...node, status: { ...node.status, conditions: lost } } : node
    if (readyOf(current) && readyOf(current)!.status !== 'True') await this.#markPodsNotReady(current)
    await this.#writeTaints(current, now)
  }

  async #allocate(node: Node): Promise<void> {
    const { name } = node.metadata
    if (node.spec.podCIDR) { this.#given.delete(name); return }
    const others = this.#nodes.list().map(other => this.#given.has(other.metadata.name) ? { ...other, spec: { ...other.spec, podCIDRs: [this.#given.get(other.metadata.name)!] } } : other)
    const cidr = this.#given.get(name) ?? freeCidr(others, { clusterCidr: this.#options.clusterCidr, maskSize: this.#options.nodeCidrMaskSize })
    if (cidr === undefined) return this.#recorder.event(node, 'Normal', 'CIDRNotAvailable', `Node ${name} status is now: CIDRNotAvailable`)
    this.#given.set(name, cidr)
    await this.#client.patch(resources.nodes, undefined, name, { spec: { podCIDR: cidr, podCIDRs: [cidr] } })
  }

  async #writeTaints(node: Node, now: number): Promise<void> {
    const next = taints(node, now)
    if (equal(next, node.spec.taints ?? [])) return
    // From the server's own copy: the conditions may just have been written.
    const fresh = await this.#client.get<Node>(resources.nodes, undefined, node.metadata.name)
    const wanted = taints(fresh, now)
    if (!equal(wanted, fresh.spec.taints ?? [])) await this.#client.patch(resources.nodes, undefined, node.metadata.name, { metadata: { resourceVersion: fresh.metadata.resourceVersion }, spec: { taints: wanted } })
  }

  /** Traffic must leave a node that is lost before its pods do (MarkPodsNotReady). */
  async #markPodsNotReady(node: Node): Promise<void> {
    const affected = this.#pods.byIndex('node', node.metadata.name).filter(pod => !pod.metadata.deletionTimestamp && pod.status?.conditions?.some(c => c.type === 'Ready' && c.status === 'True'))
    if (affected.length === 0) return
    this.#recorder.event(node, 'Normal', 'NodeNotReady', `Node ${node.metadata.name} status is now: NodeNotReady`)
    await Promise.all(affected.map(async pod => {
      this.#recorder.event(pod, 'Warning', 'NodeNotReady', 'Node is not ready')
      await this.#patchCondition(pod, { type: 'Ready', status: 'False' })
    }))
  }

  async #evict(key: string): Promise<void> {
    const pod = this.#pods.get(key), node = pod && this.#nodes.get(pod.spec.nodeName ?? '')
    if (!node || pod.metadata.deletionTimestamp || isTerminal(pod)) return
    const wait = untilEviction(pod, node.spec.taints, this.#clock.now())
    if (wait === undefined) return
    if (wait > 0) return this.#evictions.addAfter(key, wait)
    this.#taintRecorder.event(pod, 'Normal', 'TaintManagerEviction', `Marking for deletion Pod ${key}`)
    await this.#patchCondition(pod, { type: 'DisruptionTarget', status: 'True', reason: 'DeletionByTaintManager', message: 'Taint manager: deleting due to NoExecute taint' })
    await this.#client.delete(resources.pods, pod.metadata.namespace, pod.metadata.name, { preconditions: { uid: pod.metadata.uid } }).catch(ignoreGone)
  }

  async #patchCondition(pod: Pod, condition: { type: string; status: string; reason?: string; message?: string }): Promise<void> {
    await this.#client.patch(resources.pods, pod.metadata.namespace, pod.metadata.name, { metadata: { uid: pod.metadata.uid },
      status: { conditions: [{ ...condition, lastTransitionTime: time(this.#clock.now()) }] } }, { type: 'strategic', subresource: 'status' }).catch(ignoreGone)
  }
}

/** The pod went, or a namesake took its place: either way it is not this one's any more. */
const ignoreGone = (error: unknown): void => { if (!isNotFound(error) && !isConflict(error)) throw error }
