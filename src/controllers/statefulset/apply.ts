// The StatefulSet controller: pods with names of their own, made, replaced and given up in order. This
// file watches, queues and performs; rules.ts, identity.ts and status.ts decide.
import type { ControllerRevision, StatefulSet, StatefulSetStatus } from '#api/apps/v1.ts'
import type { Pod } from '#api/core/v1.ts'
import { controllerOf, keyOf, matchesSelector } from '#api/object.ts'
import { resources } from '#api/resources.ts'
import type { Client } from '#client/client.ts'
import type { EventRecorder } from '#client/events.ts'
import type { Informer } from '#client/informer.ts'
import type { WorkQueue } from '#client/workqueue.ts'
import { isAlreadyExists, isConflict, isNotFound } from '#lib/errors.ts'
import { slowStart, type Context } from '../apply.ts'
import { record, removeRevisions } from '../history/apply.ts'
import { history, templateOf } from '../history/revisions.ts'
import { addOwnerIndexes, claimOf, isNamespaceTerminating } from '../pods/apply.ts'
import { FailureBackoff } from '../pods/backoff.ts'
import { Expectations } from '../pods/expectations.ts'
import { untilAvailable } from '../pods/state.ts'
import type { PodDraft } from '../pods/template.ts'
import { ordinalOf, type Revision } from './identity.ts'
import { plan, type Plan, type PlanInput } from './rules.ts'
import { sameStatus, status, unneeded } from './status.ts'

const revisionHash = 'controller.kubernetes.io/hash'

export function startStatefulSetController(context: Context): void { new StatefulSetController(context).watch() }

class StatefulSetController {
  readonly #context: Context
  readonly #client: Client
  readonly #sets: Informer<StatefulSet>
  readonly #pods: Informer<Pod>
  readonly #revisions: Informer<ControllerRevision>
  readonly #recorder: EventRecorder
  readonly #expectations = new Expectations()
  /** By set and pod name. */
  readonly #failures = new FailureBackoff()
  readonly #queue: WorkQueue

  constructor(context: Context) {
    this.#context = context
    this.#client = context.client
    this.#sets = context.informer<StatefulSet>(resources.statefulsets)
    this.#pods = context.informer<Pod>(resources.pods)
    this.#revisions = context.informer<ControllerRevision>(resources.controllerrevisions)
    this.#recorder = context.recorder('statefulset-controller')
    addOwnerIndexes(this.#pods)
    addOwnerIndexes(this.#revisions)
    this.#sets.addIndex('namespace', set => [set.metadata.namespace!])
    this.#queue = context.run({ name: 'statefulset', informers: [this.#sets, this.#pods, this.#revisions], sync: key => this.#sync(key) })
  }

  watch(): void {
    this.#sets.onChange(({ old, now }) => {
      if (!now) { this.#expectations.forget(old!.metadata.uid!); this.#failures.forget(old!.metadata.uid!) }
      this.#queue.add(keyOf((now ?? old)!))
    })
    this.#pods.onChange(({ old, now }) => this.#podChanged(old, now))
    this.#revisions.onChange(({ old, now }) => { if (!now && controllerOf(old!)?.kind === 'StatefulSet') this.#queue.add(`${old!.metadata.namespace}/${controllerOf(old!)!.name}`) })
  }

  #podChanged(old: Pod | undefined, now: Pod | undefined): void {
    const pod = (now ?? old)!, owner = controllerOf(pod), { namespace } = pod.metadata
    if (owner?.kind === 'StatefulSet') {
      this.#expectations.observe(owner.uid, { old, now })
      this.#queue.add(`${namespace}/${owner.name}`)
    } else if (!owner && now) for (const set of this.#sets.byIndex('namespace', namespace!)) if (matchesSelector(set.spec.selector, pod.metadata.labels)) this.#queue.add(keyOf(set))
  }

  async #sync(key: string): Promise<void> {
    const set = this.#sets.get(key)
    if (!set) return
    const owner = { resource: resources.statefulsets, object: set }, { selector } = set.spec, now = this.#context.clock.now()
    // Asked before the pods are read: what is seen meanwhile then only makes the copy newer than the answer.
    const mayManage = this.#expectations.satisfied(set.metadata.uid!, now)
    const pods = await claimOf<Pod>(this.#context, resources.pods, { owner, selector, consider: pod => ordinalOf(set, pod) !== undefined })
    const known = await claimOf<ControllerRevision>(this.#context, resources.controllerrevisions, { owner, selector })
    const revisions = await this.#revisionsOf(set, known)
    if (!revisions) return
    const input: PlanInput = { pods, ...revisions, now }
    const error = mayManage ? await this.#manage(set, plan(set, input), now) : undefined
    await this.#writeStatus(set, status(set, input))
    if (!set.metadata.deletionTimestamp) await removeRevisions(this.#client, unneeded(set, known, input))
    if (error !== undefined && !isNamespaceTerminating(error)) throw error
    const wait = untilAvailable(pods, set.spec.minReadySeconds ?? 0, now)
    if (wait !== undefined) this.#queue.addAfter(key, wait)
  }

  /** The revision that pods had before and the one of the template, which is recorded first; undefined when the next sync must see to it. */
  async #revisionsOf(set: StatefulSet, known: readonly ControllerRevision[]): Promise<{ current: Revision; update: Revision } | undefined> {
    const past = history(set, known, revisionHash)
    const recorded = set.metadata.deletionTimestamp ? past.current : await record(this.#client, set, past)
    if (recorded === undefined) return undefined
    if (recorded === 'collision') {
      await this.#writeStatus(set, { replicas: 0, ...set.status, collisionCount: (set.status?.collisionCount ?? 0) + 1 })
      return undefined
    }
    const update = { name: recorded.metadata.name, template: set.spec.template }
    const before = known.find(revision => revision.metadata.name === set.status?.currentRevision), template = before && templateOf(before)
    return { update, current: template ? { name: before.metadata.name, template } : update }
  }

  async #manage(set: StatefulSet, todo: Plan, now: number): Promise<unknown> {
    const uid = set.metadata.uid!, remove = todo.remove.filter(pod => !todo.failed.includes(pod) || this.#mayReplace(set, pod, now))
    for (const { pod, labels } of todo.relabel) {
      await this.#client.patch(resources.pods, pod.metadata.namespace, pod.metadata.name, { metadata: { uid: pod.metadata.uid, labels } }, { type: 'strategic' }).catch(ignoreGone)
    }
    if (todo.create.length === 0 && remove.length === 0) return undefined
    this.#expectations.expect(uid, { creations: todo.create.length, deletions: remove.map(pod => pod.metadata.uid!), now })
    const { done, error } = await slowStart(todo.create.length, i => this.#create(set, todo.create[i]!))
    for (let missing = done; missing < todo.create.length; missing++) this.#expectations.creationObserved(uid)
    const errors = await Promise.all(remove.map(pod => this.#remove(set, pod).catch((failure: unknown) => {
      this.#expectations.deletionObserved(uid, pod.metadata.uid!)
      return isNotFound(failure) || isConflict(failure) ? undefined : failure
    })))
    return error ?? errors.find(failed => failed !== undefined)
  }

  /** A pod that has ended is deleted, and so replaced, ever later. */
  #mayReplace(set: StatefulSet, pod: Pod, now: number): boolean {
    const wait = this.#failures.wait(`${set.metadata.uid}/${pod.metadata.name}`, now)
    if (wait > 0) this.#queue.addAfter(keyOf(set), wait)
    else this.#recorder.event(set, 'Warning', 'RecreatingTerminatedPod', `StatefulSet ${keyOf(set)} is recreating terminated Pod ${pod.metadata.name}`)
    return wait === 0
  }

  async #create(set: StatefulSet, pod: PodDraft): Promise<void> {
    try {
      await this.#client.create<Pod>(resources.pods, set.metadata.namespace, pod)
      this.#event(set, 'Create', pod.metadata.name!)
    } catch (error) {
      // The name is still taken: by a pod that is not ours, or that our copy does not show yet.
      if (!isAlreadyExists(error) && !isNamespaceTerminating(error)) this.#event(set, 'Create', pod.metadata.name!, error)
      throw error
    }
  }

  async #remove(set: StatefulSet, pod: Pod): Promise<void> {
    try {
      await this.#client.delete(resources.pods, pod.metadata.namespace, pod.metadata.name, { preconditions: { uid: pod.metadata.uid } })
      this.#event(set, 'Delete', pod.metadata.name)
    } catch (error) {
      if (!isNotFound(error) && !isConflict(error)) this.#event(set, 'Delete', pod.metadata.name, error)
      throw error
    }
  }

  /** recordPodEvent. */
  #event(set: StatefulSet, verb: 'Create' | 'Delete', pod: string, error?: unknown): void {
    const what = `${verb.toLowerCase()} Pod ${pod} in StatefulSet ${set.metadata.name}`
    if (error === undefined) this.#recorder.event(set, 'Normal', `Successful${verb}`, `${what} successful`)
    else this.#recorder.event(set, 'Warning', `Failed${verb}`, `${what} failed error: ${(error as Error).message}`)
  }

  async #writeStatus(set: StatefulSet, next: StatefulSetStatus): Promise<void> {
    if (!sameStatus(set.status, next)) await this.#client.update<StatefulSet>(resources.statefulsets, { ...set, status: next }, 'status').catch((error: unknown) => { if (!isNotFound(error)) throw error })
  }
}

const ignoreGone = (error: unknown): void => { if (!isNotFound(error) && !isConflict(error)) throw error }
