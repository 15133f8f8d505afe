// The scheduler at work: watches pods and nodes, places waiting pods one after another in memory,
// and binds them all at once. A pod that is being bound counts as placed from that moment on, so the
// next one is placed beside it without waiting for the API.
import type { Binding, Namespace, Node, Pod } from '#api/core/v1.ts'
import { keyOf } from '#api/object.ts'
import { resources } from '#api/resources.ts'
import type { Client } from '#client/client.ts'
import { eventRecorder } from '#client/events.ts'
import { startInformer } from '#client/informer.ts'
import { systemClock, time, type Clock } from '#lib/clock.ts'
import { equal } from '#lib/equal.ts'
import { isConflict, isNotFound } from '#lib/errors.ts'
import type { Log } from '#lib/log.ts'
import { Cluster } from './cluster.ts'
import { message } from './message.ts'
import { SchedulingQueue } from './queue.ts'
import { schedule } from './schedule.ts'

export interface SchedulerOptions {
  readonly log: Log
  readonly signal: AbortSignal
  readonly clock?: Clock
  /** Pods of this spec.schedulerName are ours. */
  readonly name?: string
}

export interface Scheduler {
  /** Once pods and nodes are known and the first pods are placed. */
  readonly ready: Promise<void>
  /** Resolves when bindings on their way are answered; the signal must have aborted. */
  stop(): Promise<void>
}

export function startScheduler(client: Client, options: SchedulerOptions): Scheduler {
  return new Scheduling(client, options)
}

const finished = (pod: Pod) => pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed'

class Scheduling implements Scheduler {
  readonly ready: Promise<void>
  readonly #client: Client
  readonly #options: SchedulerOptions
  readonly #clock: Clock
  readonly #name: string
  readonly #cluster = new Cluster()
  readonly #queue = new SchedulingQueue()
  readonly #recorder
  readonly #requests = new Set<Promise<void>>()
  #synced = false
  #draining = false
  #timer: AbortController | undefined

  constructor(client: Client, options: SchedulerOptions) {
    this.#client = client
    this.#options = options
    this.#clock = options.clock ?? systemClock
    this.#name = options.name ?? 'default-scheduler'
    this.#recorder = eventRecorder(client, { component: this.#name, log: options.log, clock: this.#clock })
    const pods = startInformer<Pod>(client, resources.pods, options), nodes = startInformer<Node>(client, resources.nodes, options)
    const namespaces = startInformer<Namespace>(client, resources.namespaces, options)
    pods.onChange(({ old, now }) => this.#podChanged(old, now))
    nodes.onChange(({ old, now }) => this.#nodeChanged(old, now))
    namespaces.onChange(({ old, now }) => {
      if (now) this.#cluster.namespaces.set(now.metadata.name, now.metadata.labels ?? {})
      else this.#cluster.namespaces.delete(old!.metadata.name)
    })
    this.ready = Promise.all([pods.synced, nodes.synced, namespaces.synced]).then(() => { this.#synced = true; this.#drain() })
    this.ready.catch(() => {}) // the signal came first
  }

  async stop(): Promise<void> {
    this.#timer?.abort()
    await Promise.all(this.#requests)
    await this.#recorder.flush()
  }

  #podChanged(old: Pod | undefined, now: Pod | undefined): void {
    const pod = (now ?? old)!
    if (!now || finished(now)) {
      this.#queue.delete(pod)
      const held = this.#cluster.nodeOf(pod) !== undefined
      this.#cluster.deletePod(pod)
      if (held) this.#wake()
    } else if (now.spec.nodeName) {
      this.#queue.delete(now)
      const known = this.#cluster.nodeOf(now) === now.spec.nodeName
      this.#cluster.setPod(now)
      if (!known || !equal(old?.metadata.labels, now.metadata.labels)) this.#wake() // others may want to be near it
    } else if ((now.spec.schedulerName ?? 'default-scheduler') === this.#name && !now.metadata.deletionTimestamp && !now.spec.schedulingGates?.length) {
      if (this.#cluster.nodeOf(now)) return // being bound
      this.#queue.set(now)
      this.#scheduleDrain()
    } else this.#queue.delete(now)
  }

  #nodeChanged(old: Node | undefined, now: Node | undefined): void {
    if (!now) return this.#cluster.deleteNode(old!.metadata.name)
    if (old && equal(placementOf(old), placementOf(now))) return // a heartbeat
    this.#cluster.setNode(now)
    this.#wake()
  }

  /** Pods that found no node get another chance. */
  #wake(): void {
    if (this.#queue.parked === 0) return
    const wait = this.#queue.wake(this.#clock.now())
    if (wait !== undefined && !this.#timer) {
      this.#timer = new AbortController()
      this.#clock.sleep(wait, AbortSignal.any([this.#timer.signal, this.#options.signal])).then(() => { this.#timer = undefined; this.#wake() }, () => {})
    }
    this.#scheduleDrain()
  }

  /** Changes that arrive together are seen together: the most important pod first. */
  #scheduleDrain(): void {
    if (this.#draining || !this.#synced) return
    this.#draining = true
    queueMicrotask(() => { this.#draining = false; this.#drain() })
  }
  #drain(): void {
    for (let pod = this.#queue.take(); pod && !this.#options.signal.aborted; pod = this.#queue.take()) this.#place(pod)
  }

  #place(pod: Pod): void {
    const result = schedule(pod, this.#cluster)
    if ('node' in result) {
      this.#cluster.setPod({ ...pod, spec: { ...pod.spec, nodeName: result.node } }) // assumed
      return this.#track(this.#bind(pod, result.node))
    }
    this.#queue.park(pod, this.#clock.now())
    const text = message(result.refusals)
    this.#recorder.event(pod, 'Warning', 'FailedScheduling', text)
    this.#track(this.#showUnschedulable(pod, text))
  }

  async #bind(pod: Pod, node: string): Promise<void> {
    const { namespace, name, uid } = pod.metadata
    const binding: Binding = { apiVersion: 'v1', kind: 'Binding', metadata: { name, namespace, uid }, target: { apiVersion: 'v1', kind: 'Node', name: node } }
    try {
      await this.#client.create(resources.pods, namespace, binding, { name, subresource: 'binding' })
      this.#recorder.event(pod, 'Normal', 'Scheduled', `Successfully assigned ${keyOf(pod)} to ${node}`)
    } catch (error) {
      this.#cluster.deletePod(pod)
      if (isNotFound(error)) return this.#queue.delete(pod)
      // A conflict means that the pod has a node already: the informer brings it.
      if (!isConflict(error)) this.#options.log.warn('binding failed, will retry', { pod: keyOf(pod), node, err: (error as Error).message })
      this.#queue.park(pod, this.#clock.now())
      this.#wake()
    }
  }

  async #showUnschedulable(pod: Pod, text: string): Promise<void> {
    const known = pod.status?.conditions?.find(condition => condition.type === 'PodScheduled')
    if (known?.status === 'False' && known.reason === 'Unschedulable' && known.message === text) return
    const condition = { type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message: text,
      lastTransitionTime: known?.status === 'False' ? known.lastTransitionTime : time(this.#clock.now()) }
    try {
      await this.#client.patch(resources.pods, pod.metadata.namespace, pod.metadata.name, { status: { conditions: [condition] } }, { type: 'strategic', subresource: 'status' })
    } catch (error) {
      if (!isNotFound(error)) this.#options.log.warn('condition not written', { pod: keyOf(pod), err: (error as Error).message })
    }
  }

  #track(request: Promise<void>): void {
    this.#requests.add(request)
    void request.finally(() => this.#requests.delete(request))
  }
}

const placementOf = ({ metadata, spec, status }: Node) => ({ labels: metadata.labels, taints: spec.taints, unschedulable: spec.unschedulable, allocatable: status?.allocatable })
