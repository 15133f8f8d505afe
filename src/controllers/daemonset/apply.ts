// The DaemonSet controller: one pod on each node that it fits. This file watches, queues and
// performs; plan.ts, revisions.ts and status.ts decide.
import type { ControllerRevision, DaemonSet, DaemonSetStatus } from '#api/apps/v1.ts'
import type { Node, Pod } from '#api/core/v1.ts'
import { controllerOf, keyOf, matchesSelector } from '#api/object.ts'
import { resources } from '#api/resources.ts'
import { WorkQueue } from '#client/workqueue.ts'
import { equal } from '#lib/equal.ts'
import { isAlreadyExists, isConflict, isNotFound } from '#lib/errors.ts'
import { slowStart, type Context } from '../apply.ts'
import { canonical } from '../deployment/hash.ts'
import { addOwnerIndexes, claimOf, createPod, deletePod, isNamespaceTerminating } from '../pods/apply.ts'
import { Expectations } from '../pods/expectations.ts'
import { untilAvailable } from '../pods/state.ts'
import { daemonPod, fit, hashLabel } from './nodes.ts'
import { plan, type Plan, type PlanInput } from './plan.ts'
import { hashOf, history } from './revisions.ts'
import { sameStatus, status } from './status.ts'

export function startDaemonSetController(context: Context): void {
  const { client, clock } = context
  const sets = context.informer<DaemonSet>(resources.daemonsets), pods = context.informer<Pod>(resources.pods)
  const nodes = context.informer<Node>(resources.nodes), revisions = context.informer<ControllerRevision>(resources.controllerrevisions)
  const recorder = context.recorder('daemonset-controller')
  const expectations = new Expectations()
  // Only its back-off is used: a pod that fails at once, again and again, must not be replaced in a loop.
  const failures = new Map<string, { count: number; until: number }>()
  addOwnerIndexes(pods)
  addOwnerIndexes(revisions)
  sets.addIndex('namespace', set => [set.metadata.namespace!])

  const queue: WorkQueue = context.run({ name: 'daemonset', informers: [sets, pods, nodes, revisions], workers: 2, sync })

  sets.onChange(({ old, now }) => {
    if (!now) expectations.forget(old!.metadata.uid!)
    queue.add(keyOf((now ?? old)!))
  })
  pods.onChange(({ old, now }) => {
    const pod = (now ?? old)!, owner = controllerOf(pod)
    if (owner?.kind === 'DaemonSet') {
      if (!old) expectations.creationObserved(owner.uid)
      if (!now || (now.metadata.deletionTimestamp && !old?.metadata.deletionTimestamp)) expectations.deletionObserved(owner.uid, pod.metadata.uid!)
      queue.add(`${pod.metadata.namespace}/${owner.name}`)
    } else if (!owner && now) for (const set of sets.byIndex('namespace', pod.metadata.namespace!)) if (matchesSelector(set.spec.selector, pod.metadata.labels)) queue.add(keyOf(set))
  })
  revisions.onChange(({ old, now }) => { const owner = controllerOf((now ?? old)!); if (owner?.kind === 'DaemonSet' && !now) queue.add(`${old!.metadata.namespace}/${owner.name}`) })
  nodes.onChange(({ old, now }) => {
    for (const set of sets.list()) if (!old || !now || !equal(fit(set, old), fit(set, now))) queue.add(keyOf(set))
  })

  async function sync(key: string): Promise<void> {
    const set = sets.get(key)
    if (!set) return
    if (Object.keys(set.spec.selector?.matchLabels ?? {}).length === 0 && !set.spec.selector?.matchExpressions?.length) {
      return recorder.event(set, 'Warning', 'SelectingAll', 'This daemon set is selecting all pods. A non-empty selector is required.')
    }
    const owner = { resource: resources.daemonsets, object: set }, { selector } = set.spec, uid = set.metadata.uid!
    const mayManage = expectations.satisfied(uid, clock.now()) && !set.metadata.deletionTimestamp
    const owned = await claimOf<Pod>(context, resources.pods, { owner, selector })
    const hash = await currentHash(set, owned)
    if (hash === undefined) return
    const input: PlanInput = { nodes: nodes.list(), pods: owned, hash, now: clock.now() }
    const error = mayManage ? await manage(set, plan(set, input), input) : undefined
    await writeStatus(set, status(set, input))
    if (error !== undefined && !isNamespaceTerminating(error)) throw error
    const wait = untilAvailable(owned, set.spec.minReadySeconds ?? 0, input.now)
    if (wait !== undefined) queue.addAfter(key, wait)
  }

  /** The hash of the current template's revision, which is recorded first; undefined when the next sync must see to it. */
  async function currentHash(set: DaemonSet, owned: readonly Pod[]): Promise<string | undefined> {
    const known = await claimOf<ControllerRevision>(context, resources.controllerrevisions, { owner: { resource: resources.daemonsets, object: set }, selector: set.spec.selector })
    const { current, act, remove } = history(set, known, new Set(owned.map(pod => pod.metadata.labels?.[hashLabel] ?? '')))
    if (set.metadata.deletionTimestamp) return hashOf(current)
    await Promise.all(remove.map(revision => client.delete(resources.controllerrevisions, revision.metadata.namespace, revision.metadata.name).catch(ignoreNotFound)))
    if (act === 'update') await client.update<ControllerRevision>(resources.controllerrevisions, current)
    if (act !== 'create') return hashOf(current)
    try {
      return hashOf(await client.create<ControllerRevision>(resources.controllerrevisions, set.metadata.namespace, current))
    } catch (error) {
      if (isNamespaceTerminating(error)) return undefined
      if (!isAlreadyExists(error)) throw error
      const existing = await client.get<ControllerRevision>(resources.controllerrevisions, set.metadata.namespace, current.metadata.name)
      if (controllerOf(existing)?.uid === set.metadata.uid && canonical(existing.data) === canonical(current.data)) return hashOf(existing)
      await writeStatus(set, { ...status(set, { nodes: [], pods: [], hash: '', now: 0 }), ...set.status, collisionCount: (set.status?.collisionCount ?? 0) + 1 })
      return undefined
    }
  }

  async function manage(set: DaemonSet, todo: Plan, { hash, now }: PlanInput): Promise<unknown> {
    const uid = set.metadata.uid!, remove = withoutBackoff(set, todo, now)
    if (todo.create.length === 0 && remove.length === 0) return undefined
    expectations.expect(uid, { creations: todo.create.length, deletions: remove.map(pod => pod.metadata.uid!), now })
    const { done, error } = await slowStart(todo.create.length, async i => { await createPod(context, recorder, { owner: set, pod: daemonPod(set, todo.create[i]!, hash) }) })
    for (let missing = done; missing < todo.create.length; missing++) expectations.creationObserved(uid)
    const errors = await Promise.all(remove.map(pod => deletePod(context, recorder, { owner: set, pod }).catch((failure: unknown) => {
      expectations.deletionObserved(uid, pod.metadata.uid!)
      return isNotFound(failure) || isConflict(failure) ? undefined : failure
    })))
    return error ?? errors.find(failed => failed !== undefined)
  }

  /** A failed pod is deleted, and so replaced, after 1 s, 2 s, ... 15 min (upstream's failedPodsBackoff). */
  function withoutBackoff(set: DaemonSet, todo: Plan, now: number): Pod[] {
    return todo.remove.filter(pod => {
      if (!todo.failed.includes(pod)) return true
      const id = `${set.metadata.uid}/${pod.spec.nodeName}`, known = failures.get(id)
      if (known && known.until > now) { queue.addAfter(keyOf(set), known.until - now); return false }
      const count = known && now - known.until < 1_800_000 ? known.count + 1 : 0
      failures.set(id, { count, until: now + Math.min(1000 * 2 ** count, 900_000) })
      recorder.event(set, 'Warning', 'FailedDaemonPod', `Found failed daemon pod ${keyOf(pod)} on node ${pod.spec.nodeName}, will try to kill it`)
      return true
    })
  }

  async function writeStatus(set: DaemonSet, next: DaemonSetStatus): Promise<void> {
    if (!sameStatus(set.status, next)) await client.update<DaemonSet>(resources.daemonsets, { ...set, status: next }, 'status').catch(ignoreNotFound)
  }
}

const ignoreNotFound = (error: unknown): void => { if (!isNotFound(error)) throw error }
