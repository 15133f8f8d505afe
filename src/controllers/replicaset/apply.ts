// The ReplicaSet controller: keeps as many pods as spec.replicas says. This file watches, queues and
// performs; what to do is decided in replicas.ts and status.ts.
import type { ReplicaSet } from '#api/apps/v1.ts'
import type { Pod } from '#api/core/v1.ts'
import { controllerOf, keyOf, matchesSelector } from '#api/object.ts'
import { resources } from '#api/resources.ts'
import { isConflict, isNotFound } from '#lib/errors.ts'
import { slowStart, type Context } from '../apply.ts'
import { addOwnerIndexes, claimOf, createPod, deletePod, isNamespaceTerminating } from '../pods/apply.ts'
import { Expectations } from '../pods/expectations.ts'
import { isActive, isTerminating, untilAvailable } from '../pods/state.ts'
import { podFromTemplate } from '../pods/template.ts'
import { replicas } from './replicas.ts'
import { sameStatus, status, type StatusInput } from './status.ts'

export function startReplicaSetController(context: Context): void {
  const sets = context.informer<ReplicaSet>(resources.replicasets), pods = context.informer<Pod>(resources.pods)
  const recorder = context.recorder('replicaset-controller')
  const expectations = new Expectations()
  addOwnerIndexes(pods)
  addOwnerIndexes(sets)
  sets.addIndex('namespace', set => [set.metadata.namespace!])

  const queue = context.run({ name: 'replicaset', informers: [sets, pods], sync })

  sets.onChange(({ old, now }) => {
    if (!now) expectations.forget(old!.metadata.uid!)
    queue.add(keyOf((now ?? old)!))
  })
  pods.onChange(({ old, now }) => {
    const pod = (now ?? old)!, owner = controllerOf(pod)
    if (owner?.kind === 'ReplicaSet') {
      if (!old) expectations.creationObserved(owner.uid)
      if (!now || (now.metadata.deletionTimestamp && !old?.metadata.deletionTimestamp)) expectations.deletionObserved(owner.uid, pod.metadata.uid!)
      queue.add(`${pod.metadata.namespace}/${owner.name}`)
    }
    const former = old && controllerOf(old)
    if (former?.kind === 'ReplicaSet' && former.uid !== owner?.uid) queue.add(`${pod.metadata.namespace}/${former.name}`)
    if (!owner && now) for (const set of sets.byIndex('namespace', pod.metadata.namespace!)) if (matchesSelector(set.spec.selector, pod.metadata.labels)) queue.add(keyOf(set))
  })

  async function sync(key: string): Promise<void> {
    const set = sets.get(key)
    if (!set) return
    const now = context.clock.now()
    const mayManage = expectations.satisfied(set.metadata.uid!, now)
    const all = pods.byIndex('controller', set.metadata.uid!)
    const active = await claimOf<Pod>(context, resources.pods, { owner: { resource: resources.replicasets, object: set }, selector: set.spec.selector, consider: isActive })
    const failure = mayManage && !set.metadata.deletionTimestamp ? await manage(set, active, now) : undefined
    await writeStatus(set, { active, terminating: all.filter(isTerminating), failure: failure?.condition, now })
    if (failure && !isNamespaceTerminating(failure.error)) throw failure.error
    const wait = untilAvailable(active, set.spec.minReadySeconds ?? 0, now)
    if (wait !== undefined) queue.addAfter(key, wait)
  }

  interface Failure { readonly condition: NonNullable<StatusInput['failure']>; readonly error: unknown }

  async function manage(set: ReplicaSet, active: readonly Pod[], now: number): Promise<Failure | undefined> {
    const todo = replicas(set, active, { related: relatedPods(set), now })
    if (todo.create > 0) return create(set, todo.create, now)
    return todo.delete.length > 0 ? remove(set, todo.delete, now) : undefined
  }

  async function create(set: ReplicaSet, count: number, now: number): Promise<Failure | undefined> {
    const uid = set.metadata.uid!
    expectations.expect(uid, { creations: count, now })
    const { done, error } = await slowStart(count, async () => { await createPod(context, recorder, { owner: set, pod: podFromTemplate(set, set.spec.template!) }) })
    for (let missing = done; missing < count; missing++) expectations.creationObserved(uid)
    return error === undefined ? undefined : { condition: { reason: 'FailedCreate', message: (error as Error).message }, error }
  }

  async function remove(set: ReplicaSet, chosen: readonly Pod[], now: number): Promise<Failure | undefined> {
    const uid = set.metadata.uid!
    expectations.expect(uid, { deletions: chosen.map(pod => pod.metadata.uid!), now })
    const errors = await Promise.all(chosen.map(pod => deletePod(context, recorder, { owner: set, pod }).catch((error: unknown) => {
      expectations.deletionObserved(uid, pod.metadata.uid!)
      return isNotFound(error) || isConflict(error) ? undefined : error
    })))
    const error = errors.find(failed => failed !== undefined)
    return error === undefined ? undefined : { condition: { reason: 'FailedDelete', message: (error as Error).message }, error }
  }

  /** Active pods of all sets with the same owner, this one's included (upstream's getIndirectlyRelatedPods). */
  function relatedPods(set: ReplicaSet): Pod[] {
    const owner = controllerOf(set)
    const siblings = owner ? sets.byIndex('controller', owner.uid) : [set]
    return siblings.flatMap(sibling => pods.byIndex('controller', sibling.metadata.uid!)).filter(isActive)
  }

  async function writeStatus(set: ReplicaSet, input: StatusInput): Promise<void> {
    const next = status(set, input)
    if (sameStatus(set.status, next)) return
    try {
      await context.client.update<ReplicaSet>(resources.replicasets, { ...set, status: next }, 'status')
    } catch (error) {
      // A newer version of the set is on its way to the informer and will be synced in its turn.
      if (isNotFound(error)) return
      throw error
    }
  }
}
