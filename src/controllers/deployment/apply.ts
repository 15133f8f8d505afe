// The Deployment controller: watches, queues and performs the plan (plan.ts decides).
import type { Deployment, DeploymentStatus, ReplicaSet } from '#api/apps/v1.ts'
import type { Pod } from '#api/core/v1.ts'
import { controllerOf, keyOf, matchesSelector } from '#api/object.ts'
import { resources } from '#api/resources.ts'
import type { Client } from '#client/client.ts'
import type { EventRecorder } from '#client/events.ts'
import type { Informer } from '#client/informer.ts'
import type { WorkQueue } from '#client/workqueue.ts'
import { equal } from '#lib/equal.ts'
import { isAlreadyExists, isNotFound } from '#lib/errors.ts'
import type { Context } from '../apply.ts'
import { addOwnerIndexes, claimOf, isNamespaceTerminating } from '../pods/apply.ts'
import { creationFailed, plan, type Change, type Plan } from './plan.ts'
import { isRolling, sameTemplate, sets as setsOf, wanted } from './replicasets.ts'
import { revisionAnnotation } from './revision.ts'
import { untilDeadline } from './status.ts'

export function startDeploymentController(context: Context): void { new DeploymentController(context).watch() }

class DeploymentController {
  readonly #context: Context
  readonly #client: Client
  readonly #deployments: Informer<Deployment>
  readonly #sets: Informer<ReplicaSet>
  readonly #pods: Informer<Pod>
  readonly #recorder: EventRecorder
  readonly #queue: WorkQueue

  constructor(context: Context) {
    this.#context = context
    this.#client = context.client
    this.#deployments = context.informer<Deployment>(resources.deployments)
    this.#sets = context.informer<ReplicaSet>(resources.replicasets)
    this.#pods = context.informer<Pod>(resources.pods)
    this.#recorder = context.recorder('deployment-controller')
    addOwnerIndexes(this.#sets)
    addOwnerIndexes(this.#pods)
    this.#deployments.addIndex('namespace', deployment => [deployment.metadata.namespace!])
    this.#queue = context.run({ name: 'deployment', informers: [this.#deployments, this.#sets, this.#pods], sync: key => this.#sync(key) })
  }

  watch(): void {
    this.#deployments.onChange(({ old, now }) => this.#queue.add(keyOf((now ?? old)!)))
    this.#sets.onChange(({ old, now }) => this.#setChanged(old, now))
    this.#pods.onChange(({ old, now }) => this.#podChanged(old, now))
  }

  #setChanged(old: ReplicaSet | undefined, now: ReplicaSet | undefined): void {
    const { namespace, labels } = (now ?? old)!.metadata
    for (const set of [old, now]) {
      const owner = set && controllerOf(set)
      if (owner?.kind === 'Deployment') this.#queue.add(`${namespace}/${owner.name}`)
    }
    if (!now || controllerOf(now)) return
    for (const deployment of this.#deployments.byIndex('namespace', namespace!)) if (matchesSelector(deployment.spec.selector, labels)) this.#queue.add(keyOf(deployment))
  }

  /** Recreate waits for the end of old pods; nothing else here looks at pods. */
  #podChanged(old: Pod | undefined, now: Pod | undefined): void {
    if (now && now.status?.phase === old?.status?.phase) return
    const pod = (now ?? old)!, owner = controllerOf(pod)
    const set = owner?.kind === 'ReplicaSet' ? this.#sets.get(`${pod.metadata.namespace}/${owner.name}`) : undefined
    const deployment = set && controllerOf(set) && this.#deployments.get(`${set.metadata.namespace}/${controllerOf(set)!.name}`)
    if (deployment && !isRolling(deployment)) this.#queue.add(keyOf(deployment))
  }

  async #sync(key: string): Promise<void> {
    const given = this.#deployments.get(key)
    if (!given) return
    if (isEmpty(given.spec.selector)) return this.#recorder.event(given, 'Warning', 'SelectingAll', 'This deployment is selecting all pods. A non-empty selector is required.')
    const now = this.#context.clock.now()
    const owned = await claimOf<ReplicaSet>(this.#context, resources.replicasets, { owner: { resource: resources.deployments, object: given }, selector: given.spec.selector })
    const ownedPods = owned.flatMap(set => this.#pods.byIndex('controller', set.metadata.uid!))
    let step = plan(given, { sets: owned, pods: ownedPods, now })
    if (step.create) {
      const created = await this.#create(given, owned, step)
      if (!created) return
      step = plan({ ...given, status: step.status }, { sets: [...owned, created], pods: ownedPods, now })
    }
    await Promise.all([...step.change.map(change => this.#changeSet(given, change)), ...step.remove.map(each => this.#remove(each))])
    const current = step.revision === undefined ? given
      : await this.#client.patch<Deployment>(resources.deployments, given.metadata.namespace, given.metadata.name, { metadata: { annotations: { [revisionAnnotation]: step.revision } } })
    await this.#writeStatus({ ...current, status: given.status }, step.status)
    const wait = untilDeadline(given, step.status, now)
    if (wait !== undefined) this.#queue.addAfter(key, wait)
  }

  /** The new set; undefined when the server will not have it now, which is shown in the status. */
  async #create(deployment: Deployment, owned: readonly ReplicaSet[], { create: set }: Plan): Promise<ReplicaSet | undefined> {
    const { namespace, name } = set!.metadata
    try {
      const created = await this.#client.create<ReplicaSet>(resources.replicasets, namespace, set!)
      if (wanted(created) > 0) this.#recorder.event(deployment, 'Normal', 'ScalingReplicaSet', `Scaled up replica set ${name} from 0 to ${wanted(created)}`)
      return created
    } catch (error) {
      if (isNamespaceTerminating(error)) return undefined
      if (isAlreadyExists(error)) return this.#existing(deployment, name)
      const { message } = error as Error
      this.#recorder.event(deployment, 'Warning', 'ReplicaSetCreateError', `Failed to create new replica set "${name}": ${message}`)
      await this.#writeStatus(deployment, creationFailed(deployment, setsOf(deployment, owned), { name, message, now: this.#context.clock.now() }))
      throw error
    }
  }

  /** Ours, only not shown by the informer yet; else another template has the same hash, and the next try gets another one. */
  async #existing(deployment: Deployment, name: string): Promise<ReplicaSet | undefined> {
    const { namespace, uid } = deployment.metadata
    const set = await this.#client.get<ReplicaSet>(resources.replicasets, namespace, name)
    if (controllerOf(set)?.uid === uid && sameTemplate(set.spec.template, deployment.spec.template)) return set
    await this.#writeStatus(deployment, { ...deployment.status, collisionCount: (deployment.status?.collisionCount ?? 0) + 1 })
    return undefined
  }

  async #changeSet(deployment: Deployment, { set, from }: Change): Promise<void> {
    await this.#client.update<ReplicaSet>(resources.replicasets, set)
    const to = wanted(set)
    if (to !== from) this.#recorder.event(deployment, 'Normal', 'ScalingReplicaSet', `Scaled ${to > from ? 'up' : 'down'} replica set ${set.metadata.name} from ${from} to ${to}`)
  }

  async #remove(set: ReplicaSet): Promise<void> {
    await this.#client.delete(resources.replicasets, set.metadata.namespace, set.metadata.name, { preconditions: { uid: set.metadata.uid } })
      .catch((error: unknown) => { if (!isNotFound(error)) throw error })
  }

  async #writeStatus(deployment: Deployment, status: DeploymentStatus): Promise<void> {
    if (equal(significant(deployment.status), significant(status))) return
    await this.#client.update<Deployment>(resources.deployments, { ...deployment, status }, 'status')
      .catch((error: unknown) => { if (!isNotFound(error)) throw error })
  }
}

/** Zero and absent are the same on the server. */
const significant = (status: DeploymentStatus | undefined) =>
  Object.fromEntries(Object.entries(status ?? {}).filter(([, value]) => value !== 0 && !(Array.isArray(value) && value.length === 0)))

const isEmpty = (selector: Deployment['spec']['selector']) =>
  Object.keys(selector?.matchLabels ?? {}).length === 0 && (selector?.matchExpressions ?? []).length === 0
