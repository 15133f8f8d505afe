// The DaemonSet controller: one pod on each node that it fits. This file watches, queues and
// performs; plan.ts, revisions.ts and status.ts decide.
import type { ControllerRevision, DaemonSet, DaemonSetStatus } from '#api/apps/v1.ts'
import type { Node, Pod } from '#api/core/v1.ts'
import { controllerOf, keyOf, matchesSelector } from '#api/object.ts'
import { resources } from '#api/resources.ts'
import type { Client } from '#client/client.ts'
import type { EventRecorder } from '#client/events.ts'
import type { Informer } from '#client/informer.ts'
import type { WorkQueue } from '#client/workqueue.ts'
import { equal } from '#lib/equal.ts'
import { isConflict, isNotFound } from '#lib/errors.ts'
import { slowStart, type Context } from '../apply.ts'
import { record, removeRevisions } from '../history/apply.ts'
import { addOwnerIndexes, claimOf, createPod, deletePod, isNamespaceTerminating } from '../pods/apply.ts'
import { FailureBackoff } from '../pods/backoff.ts'
import { Expectations } from '../pods/expectations.ts'
import { untilAvailable } from '../pods/state.ts'
import { daemonPod, fit, hashLabel } from './nodes.ts'
import { plan, type Plan, type PlanInput } from './plan.ts'
import { hashOf, history } from './revisions.ts'
import { sameStatus, status } from './status.ts'

export function startDaemonSetController(context: Context): void { new DaemonSetController(context).watch() }

class DaemonSetController {
  readonly #context: Context
  readonly #client: Client
  readonly #sets: Informer<DaemonSet>
  readonly #pods: Informer<Pod>
  readonly #nodes: Informer<Node>
  readonly #revisions: Informer<ControllerRevision>
  readonly #recorder: EventRecorder
  readonly #expectations = new Expectations()
  /** By set and node. */
  readonly #failures = new FailureBackoff()
  readonly #queue: WorkQueue

  constructor(context: Context) {
    this.#context = context
    this.#client = context.client
    this.#sets = context.informer<DaemonSet>(resources.daemonsets)
    this.#pods = context.informer<Pod>(resources.pods)
    this.#nodes = context.informer<Node>(resources.nodes)
    this.#revisions = context.informer<ControllerRevision>(resources.controllerrevisions)
    this.#recorder = context.recorder('daemonset-controller')
    addOwnerIndexes(this.#pods)
    addOwnerIndexes(this.#revisions)
    this.#sets.addIndex('namespace', set => [set.metadata.namespace!])
    this.#queue = context.run({ name: 'daemonset', informers: [this.#sets, this.#pods, this.#nodes, this.#revisions], workers: 2, sync: key => this.#sync(key) })
  }

  watch(): void {
    this.#sets.onChange(({ old, now }) => {
      if (!now) { this.#expectations.forget(old!.metadata.uid!); this.#failures.forget(old!.metadata.uid!) }
      this.#queue.add(keyOf((now ?? old)!))
    })
    this.#pods.onChange(({ old, now }) => this.#podChanged(old, now))
    this.#revisions.onChange(({ old, now }) => { if (!now && controllerOf(old!)?.kind === 'DaemonSet') this.#queue.add(`${old!.metadata.namespace}/${controllerOf(old!)!.name}`) })
    this.#nodes.onChange(({ old, now }) => {
      for (const set of this.#sets.list()) if (!old || !now || !equal(fit(set, old), fit(set, now))) this.#queue.add(keyOf(set))
    })
  }

  #podChanged(old: Pod | undefined, now: Pod | undefined): void {
    const pod = (now ?? old)!, owner = controllerOf(pod), { namespace } = pod.metadata
    if (owner?.kind === 'DaemonSet') {
      this.#expectations.observe(owner.uid, { old, now })
      this.#queue.add(`${namespace}/${owner.name}`)
    } else if (!owner && now) for (const set of this.#sets.byIndex('namespace', namespace!)) if (matchesSelector(set.spec.selector, pod.metadata.labels)) this.#queue.add(keyOf(set))
  }

  async #sync(key: string): Promise<void> {
    const set = this.#sets.get(key)
    if (!set) return
    if (Object.keys(set.spec.selector?.matchLabels ?? {}).length === 0 && !set.spec.selector?.matchExpressions?.length) {
      return this.#recorder.event(set, 'Warning', 'SelectingAll', 'This daemon set is selecting all pods. A non-empty selector is required.')
    }
    const owner = { resource: resources.daemonsets, object: set }, { selector } = set.spec, uid = set.metadata.uid!
    const mayManage = this.#expectations.satisfied(uid, this.#context.clock.now()) && !set.metadata.deletionTimestamp
    const owned = await claimOf<Pod>(this.#context, resources.pods, { owner, selector })
    const hash = await this.#currentHash(set, owned)
    if (hash === undefined) return
    const input: PlanInput = { nodes: this.#nodes.list(), pods: owned, hash, now: this.#context.clock.now() }
    const error = mayManage ? await this.#manage(set, plan(set, input), input) : undefined
    await this.#writeStatus(set, status(set, input))
    if (error !== undefined && !isNamespaceTerminating(error)) throw error
    const wait = untilAvailable(owned, set.spec.minReadySeconds ?? 0, input.now)
    if (wait !== undefined) this.#queue.addAfter(key, wait)
  }

  /** The hash of the current template's revision, which is recorded first; undefined when the next sync must see to it. */
  async #currentHash(set: DaemonSet, owned: readonly Pod[]): Promise<string | undefined> {
    const known = await claimOf<ControllerRevision>(this.#context, resources.controllerrevisions, { owner: { resource: resources.daemonsets, object: set }, selector: set.spec.selector })
    const past = history(set, known, new Set(owned.map(pod => pod.metadata.labels?.[hashLabel] ?? '')))
    if (set.metadata.deletionTimestamp) return hashOf(past.current)
    await removeRevisions(this.#client, past.remove)
    const recorded = await record(this.#client, set, past)
    if (recorded === 'collision') await this.#writeStatus(set, { ...status(set, { nodes: [], pods: [], hash: '', now: 0 }), ...set.status, collisionCount: (set.status?.collisionCount ?? 0) + 1 })
    return recorded === 'collision' || recorded === undefined ? undefined : hashOf(recorded)
  }

  async #manage(set: DaemonSet, todo: Plan, { hash, now }: PlanInput): Promise<unknown> {
    const uid = set.metadata.uid!, remove = this.#withoutBackoff(set, todo, now)
    if (todo.create.length === 0 && remove.length === 0) return undefined
    this.#expectations.expect(uid, { creations: todo.create.length, deletions: remove.map(pod => pod.metadata.uid!), now })
    const { done, error } = await slowStart(todo.create.length, async i => { await createPod(this.#context, this.#recorder, { owner: set, pod: daemonPod(set, todo.create[i]!, hash) }) })
    for (let missing = done; missing < todo.create.length; missing++) this.#expectations.creationObserved(uid)
    const errors = await Promise.all(remove.map(pod => deletePod(this.#context, this.#recorder, { owner: set, pod }).catch((failure: unknown) => {
      this.#expectations.deletionObserved(uid, pod.metadata.uid!)
      return isNotFound(failure) || isConflict(failure) ? undefined : failure
    })))
    return error ?? errors.find(failed => failed !== undefined)
  }

  /** A failed pod is deleted, and so replaced, ever later. */
  #withoutBackoff(set: DaemonSet, todo: Plan, now: number): Pod[] {
    return todo.remove.filter(pod => {
      if (!todo.failed.includes(pod)) return true
      const wait = this.#failures.wait(`${set.metadata.uid}/${pod.spec.nodeName}`, now)
      if (wait > 0) { this.#queue.addAfter(keyOf(set), wait); return false }
      this.#recorder.event(set, 'Warning', 'FailedDaemonPod', `Found failed daemon pod ${keyOf(pod)} on node ${pod.spec.nodeName}, will try to kill it`)
      return true
    })
  }

  async #writeStatus(set: DaemonSet, next: DaemonSetStatus): Promise<void> {
    if (!sameStatus(set.status, next)) await this.#client.update<DaemonSet>(resources.daemonsets, { ...set, status: next }, 'status').catch(ignoreNotFound)
  }
}

const ignoreNotFound = (error: unknown): void => { if (!isNotFound(error)) throw error }
