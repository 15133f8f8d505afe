// The Deployment controller: watches, queues and performs the plan (plan.ts decides).
import type { Deployment, DeploymentStatus, ReplicaSet } from '#api/apps/v1.ts'
import type { Pod } from '#api/core/v1.ts'
import { controllerOf, keyOf, matchesSelector } from '#api/object.ts'
import { resources } from '#api/resources.ts'
import { equal } from '#lib/equal.ts'
import { isAlreadyExists, isNotFound } from '#lib/errors.ts'
import type { Context } from '../apply.ts'
import { addOwnerIndexes, claimOf, isNamespaceTerminating } from '../pods/apply.ts'
import { creationFailed, plan, type Change, type Plan } from './plan.ts'
import { isRolling, sameTemplate, sets as setsOf, wanted } from './replicasets.ts'
import { revisionAnnotation } from './revision.ts'
import { untilDeadline } from './status.ts'

export function startDeploymentController(context: Context): void {
  const { client, clock } = context
  const deployments = context.informer<Deployment>(resources.deployments)
  const sets = context.informer<ReplicaSet>(resources.replicasets), pods = context.informer<Pod>(resources.pods)
  const recorder = context.recorder('deployment-controller')
  addOwnerIndexes(sets)
  addOwnerIndexes(pods)
  deployments.addIndex('namespace', deployment => [deployment.metadata.namespace!])

  const queue = context.run({ name: 'deployment', informers: [deployments, sets, pods], sync })

  deployments.onChange(({ old, now }) => queue.add(keyOf((now ?? old)!)))
  sets.onChange(({ old, now }) => {
    for (const owner of new Set([old, now].map(set => set && controllerOf(set)))) if (owner?.kind === 'Deployment') queue.add(`${(now ?? old)!.metadata.namespace}/${owner.name}`)
    if (now && !controllerOf(now)) for (const deployment of deployments.byIndex('namespace', now.metadata.namespace!)) if (matchesSelector(deployment.spec.selector, now.metadata.labels)) queue.add(keyOf(deployment))
  })
  // Recreate waits for the end of old pods; nothing else here looks at pods.
  pods.onChange(({ old, now }) => {
    if (now && now.status?.phase === old?.status?.phase) return
    const owner = controllerOf((now ?? old)!), set = owner?.kind === 'ReplicaSet' ? sets.get(`${(now ?? old)!.metadata.namespace}/${owner.name}`) : undefined
    const deployment = set && controllerOf(set) && deployments.get(`${set.metadata.namespace}/${controllerOf(set)!.name}`)
    if (deployment && !isRolling(deployment)) queue.add(keyOf(deployment))
  })

  async function sync(key: string): Promise<void> {
    const given = deployments.get(key)
    if (!given) return
    if (isEmpty(given.spec.selector)) return recorder.event(given, 'Warning', 'SelectingAll', 'This deployment is selecting all pods. A non-empty selector is required.')
    const now = clock.now()
    const owned = await claimOf<ReplicaSet>(context, resources.replicasets, { owner: { resource: resources.deployments, object: given }, selector: given.spec.selector })
    const ownedPods = owned.flatMap(set => pods.byIndex('controller', set.metadata.uid!))
    let step = plan(given, { sets: owned, pods: ownedPods, now })
    if (step.create) {
      const created = await create(given, owned, step)
      if (!created) return
      step = plan({ ...given, status: step.status }, { sets: [...owned, created], pods: ownedPods, now })
    }
    await Promise.all([...step.change.map(change => changeSet(given, change)), ...step.remove.map(remove)])
    const current = step.revision === undefined ? given
      : await client.patch<Deployment>(resources.deployments, given.metadata.namespace, given.metadata.name, { metadata: { annotations: { [revisionAnnotation]: step.revision } } })
    await writeStatus({ ...current, status: given.status }, step.status)
    const wait = untilDeadline(given, step.status, now)
    if (wait !== undefined) queue.addAfter(key, wait)
  }

  /** The new set; undefined when the server will not have it now, which is shown in the status. */
  async function create(deployment: Deployment, owned: readonly ReplicaSet[], { create: set }: Plan): Promise<ReplicaSet | undefined> {
    const { namespace, name } = set!.metadata
    try {
      const created = await client.create<ReplicaSet>(resources.replicasets, namespace, set!)
      if (wanted(created) > 0) recorder.event(deployment, 'Normal', 'ScalingReplicaSet', `Scaled up replica set ${name} from 0 to ${wanted(created)}`)
      return created
    } catch (error) {
      if (isNamespaceTerminating(error)) return undefined
      if (isAlreadyExists(error)) return existing(deployment, name)
      const { message } = error as Error
      recorder.event(deployment, 'Warning', 'ReplicaSetCreateError', `Failed to create new replica set "${name}": ${message}`)
      await writeStatus(deployment, creationFailed(deployment, setsOf(deployment, owned), { name, message, now: clock.now() }))
      throw error
    }
  }

  /** Ours, only not shown by the informer yet; else another template has the same hash, and the next try gets another one. */
  async function existing(deployment: Deployment, name: string): Promise<ReplicaSet | undefined> {
    const { namespace, uid } = deployment.metadata
    const set = await client.get<ReplicaSet>(resources.replicasets, namespace, name)
    if (controllerOf(set)?.uid === uid && sameTemplate(set.spec.template, deployment.spec.template)) return set
    await writeStatus(deployment, { ...deployment.status, collisionCount: (deployment.status?.collisionCount ?? 0) + 1 })
    return undefined
  }

  async function changeSet(deployment: Deployment, { set, from }: Change): Promise<void> {
    await client.update<ReplicaSet>(resources.replicasets, set)
    const to = wanted(set)
    if (to !== from) recorder.event(deployment, 'Normal', 'ScalingReplicaSet', `Scaled ${to > from ? 'up' : 'down'} replica set ${set.metadata.name} from ${from} to ${to}`)
  }

  async function remove(set: ReplicaSet): Promise<void> {
    await client.delete(resources.replicasets, set.metadata.namespace, set.metadata.name, { preconditions: { uid: set.metadata.uid } })
      .catch((error: unknown) => { if (!isNotFound(error)) throw error })
  }

  async function writeStatus(deployment: Deployment, status: DeploymentStatus): Promise<void> {
    if (equal(significant(deployment.status), significant(status))) return
    await client.update<Deployment>(resources.deployments, { ...deployment, status }, 'status')
      .catch((error: unknown) => { if (!isNotFound(error)) throw error })
  }
}

/** Zero and absent are the same on the server. */
const significant = (status: DeploymentStatus | undefined) =>
  Object.fromEntries(Object.entries(status ?? {}).filter(([, value]) => value !== 0 && !(Array.isArray(value) && value.length === 0)))

const isEmpty = (selector: Deployment['spec']['selector']) =>
  Object.keys(selector?.matchLabels ?? {}).length === 0 && (selector?.matchExpressions ?? []).length === 0
