// The ReplicaSet controller: keeps as many pods as spec.replicas says. This file watches, queues and
// performs; what to do is decided in replicas.ts and status.ts.
import type { ReplicaSet } from '#api/apps/v1.ts'
import type { Pod } from '#api/core/v1.ts'
import { controllerOf, keyOf, matchesSelector } from '#api/object.ts'
import { resources } from '#api/resources.ts'
import type { EventRecorder } from '#client/events.ts'
import type { Informer } from '#client/informer.ts'
import type { WorkQueue } from '#client/workqueue.ts'
import { isConflict, isNotFound } from '#lib/errors.ts'
import { slowStart, type Context } from '../apply.ts'
import { addOwnerIndexes, claimOf, createPod, deletePod, isNamespaceTerminating } from '../pods/apply.ts'
import { Expectations } from '../pods/expectations.ts'
import { isActive, isTerminating, untilAvailable } from '../pods/state.ts'
import { podFromTemplate } from '../pods/template.ts'
import { replicas } from './replicas.ts'
import { sameStatus, status, type StatusInput } from './status.ts'

export function startReplicaSetController(context: Context): void { new ReplicaSetController(context).watch() }

interface Failure { readonly condition: NonNullable<StatusInput['failure']>; readonly error: unknown }

class ReplicaSetController {
  readonly #context: Context
  readonly #sets: Informer<ReplicaSet>
  readonly #pods: Informer<Pod>
  readonly #recorder: EventRecorder
  readonly #expectations = new Expectations()
  readonly #queue: WorkQueue

  constructor(context: Context) {
    this.#context = context
    this.#sets = context.informer<ReplicaSet>(resources.replicasets)
    this.#pods = context.informer<Pod>(resources.pods)
    this.#recorder = context.recorder('replicaset-controller')
    addOwnerIndexes(this.#pods)
    addOwnerIndexes(this.#sets)
    this.#sets.addIndex('namespace', set => [set.metadata.namespace!])
    this.#queue = context.run({ name: 'replicaset', informers: [this.#sets, this.#pods], sync: key => this.#sync(key) })
  }

  watch(): void {
    this.#sets.onChange(({ old, now }) => {
      if (!now) this.#expectations.forget(old!.metadata.uid!)
      this.#queue.add(keyOf((now ?? old)!))
    })
    this.#pods.onChange(({ old, now }) => this.#podChanged(old, now))
  }

  #podChanged(old: Pod | undefined, now: Pod | undefined): void {
    const pod = (now ?? old)!, owner = controllerOf(pod), { namespace } = pod.metadata
    if (owner?.kind === 'ReplicaSet') {
      this.#expectations.observe(owner.uid, { old, now })
      this.#queue.add(`${namespace}/${owner.name}`)
    }
    const former = old && controllerOf(old)
    if (former?.kind === 'ReplicaSet' && former.uid !== owner?.uid) this.#queue.add(`${namespace}/${former.name}`)
    if (!owner && now) for (const set of this.#sets.byIndex('namespace', namespace!)) if (matchesSelector(set.spec.selector, pod.metadata.labels)) this.#queue.add(keyOf(set))
  }

  async #sync(key: string): Promise<void> {
    const set = this.#sets.get(key)
    if (!set) return
    const now = this.#context.clock.now()
    const mayManage = this.#expectations.satisfied(set.metadata.uid!, now)
    const all = this.#pods.byIndex('controller', set.metadata.uid!)
    const active = await claimOf<Pod>(this.#context, resources.pods, { owner: { resource: resources.replicasets, object: set }, selector: set.spec.selector, consider: isActive })
    const failure = mayManage && !set.metadata.deletionTimestamp ? await this.#manage(set, active, now) : undefined
    await this.#writeStatus(set, { active, terminating: all.filter(isTerminating), failure: failure?.condition, now })
    if (failure && !isNamespaceTerminating(failure.error)) throw failure.error
    const wait = untilAvailable(active, set.spec.minReadySeconds ?? 0, now)
    if (wait !== undefined) this.#queue.addAfter(key, wait)
  }

  async #manage(set: ReplicaSet, active: readonly Pod[], now: number): Promise<Failure | undefined> {
    const todo = replicas(set, active, { related: this.#relatedPods(set), now })
    if (todo.create > 0) return this.#create(set, todo.create, now)
    return todo.delete.length > 0 ? this.#remove(set, todo.delete, now) : undefined
  }

  async #create(set: ReplicaSet, count: number, now: number): Promise<Failure | undefined> {
    const uid = set.metadata.uid!
    this.#expectations.expect(uid, { creations: count, now })
    const { done, error } = await slowStart(count, async () => { await createPod(this.#context, this.#recorder, { owner: set, pod: podFromTemplate(set, set.spec.template!) }) })
    for (let missing = done; missing < count; missing++) this.#expectations.creationObserved(uid)
    return error === undefined ? undefined : { condition: { reason: 'FailedCreate', message: (error as Error).message }, error }
  }

  async #remove(set: ReplicaSet, chosen: readonly Pod[], now: number): Promise<Failure | undefined> {
    const uid = set.metadata.uid!
    this.#expectations.expect(uid, { deletions: chosen.map(pod => pod.metadata.uid!), now })
    const errors = await Promise.all(chosen.map(pod => deletePod(this.#context, this.#recorder, { owner: set, pod }).catch((error: unknown) => {
      this.#expectations.deletionObserved(uid, pod.metadata.uid!)
      return isNotFound(error) || isConflict(error) ? undefined : error
    })))
    const error = errors.find(failed => failed !== undefined)
    return error === undefined ? undefined : { condition: { reason: 'FailedDelete', message: (error as Error).message }, error }
  }

  /** Active pods of all sets with the same owner, this one's included (upstream's getIndirectlyRelatedPods). */
  #relatedPods(set: ReplicaSet): Pod[] {
    const owner = controllerOf(set)
    const siblings = owner ? this.#sets.byIndex('controller', owner.uid) : [set]
    return siblings.flatMap(sibling => this.#pods.byIndex('controller', sibling.metadata.uid!)).filter(isActive)
  }

  async #writeStatus(set: ReplicaSet, input: StatusInput): Promise<void> {
    const next = status(set, input)
    if (sameStatus(set.status, next)) return
    try {
      await this.#context.client.update<ReplicaSet>(resources.replicasets, { ...set, status: next }, 'status')
    } catch (error) {
      // A newer version of the set is on its way to the informer and will be synced in its turn.
      if (isNotFound(error)) return
      throw error
    }
  }
}
