// What a StatefulSet needs done now: pods to make, to delete, to label (upstream's updateStatefulSet).
// In order each step waits until all pods before it are available; Parallel takes all steps at once.
import type { StatefulSet } from '#api/apps/v1.ts'
import type { Pod } from '#api/core/v1.ts'
import { scaled } from '../deployment/replicasets.ts'
import { isAvailable, isTerminal } from '../pods/state.ts'
import type { PodDraft } from '../pods/template.ts'
import { firstOrdinal, missingLabels, ordinalOf, revisionOf, statefulPod, type Revision } from './identity.ts'

export interface PlanInput {
  /** All that the set owns. */
  readonly pods: readonly Pod[]
  /** What pods had before the rollout, and what they shall have; the same when there is none. */
  readonly current: Revision
  readonly update: Revision
  readonly now: number
}

export interface Plan {
  readonly create: readonly PodDraft[]
  readonly remove: readonly Pod[]
  /** Of `remove`, those that ended by themselves: they are replaced, ever later if they fail again. */
  readonly failed: readonly Pod[]
  readonly relabel: readonly { readonly pod: Pod; readonly labels: Record<string, string> }[]
}

export function plan(set: StatefulSet, input: PlanInput): Plan {
  const steps = new Steps(set, input)
  // Scaling comes before updating, and making before deleting.
  if (!set.metadata.deletionTimestamp && steps.fill() && steps.shrink()) steps.replace()
  return { create: steps.create, remove: [...steps.remove], failed: steps.failed, relabel: steps.relabel }
}

/** Each step says whether the next may be taken. */
class Steps {
  readonly create: PodDraft[] = []
  readonly remove = new Set<Pod>()
  readonly failed: Pod[] = []
  readonly relabel: { pod: Pod; labels: Record<string, string> }[] = []
  readonly #set: StatefulSet
  readonly #input: PlanInput
  readonly #ordered: boolean
  /** By ordinal from the first; undefined where a pod is missing. */
  readonly #replicas: (Pod | undefined)[]
  /** Beyond the range, highest ordinal first. */
  readonly #condemned: Pod[]

  constructor(set: StatefulSet, input: PlanInput) {
    this.#set = set
    this.#input = input
    this.#ordered = set.spec.podManagementPolicy !== 'Parallel'
    const first = firstOrdinal(set), count = set.spec.replicas ?? 1, byOrdinal = new Map(input.pods.map(pod => [ordinalOf(set, pod), pod]))
    this.#replicas = Array.from({ length: count }, (_, i) => byOrdinal.get(first + i))
    this.#condemned = [...byOrdinal].filter(([ordinal]) => ordinal !== undefined && (ordinal < first || ordinal >= first + count))
      .sort(([a], [b]) => b! - a!).map(([, pod]) => pod)
  }

  /** Makes what is missing and clears what has ended (processReplica). */
  fill(): boolean {
    for (const [i, pod] of this.#replicas.entries()) {
      if (!pod) this.create.push(this.#draft(i))
      else if (isTerminal(pod)) { if (!pod.metadata.deletionTimestamp) { this.remove.add(pod); this.failed.push(pod) } }
      else if (!this.#ordered || this.#isHealthy(pod)) { this.#restoreLabels(pod); continue }
      if (this.#ordered) return false
    }
    return true
  }

  /** Takes from the highest ordinal down (processCondemned). */
  shrink(): boolean {
    if (!this.#ordered) {
      for (const pod of this.#condemned) if (!pod.metadata.deletionTimestamp) this.remove.add(pod)
      return true
    }
    const highest = this.#condemned[0]
    if (!highest) return true
    // One that is not available is waited for, unless it is the one that holds up all others.
    const lowestUnhealthy = this.#condemned.findLast(pod => !this.#isHealthy(pod))
    if (!highest.metadata.deletionTimestamp && (this.#isHealthy(highest) || highest === lowestUnhealthy)) this.remove.add(highest)
    return false
  }

  /** Rolls out from the highest ordinal down to the partition. */
  replace(): void {
    const { updateStrategy, replicas = 1 } = this.#set.spec
    if (updateStrategy?.type === 'OnDelete') return
    const outdated = this.#replicas.slice(updateStrategy?.rollingUpdate?.partition ?? 0).reverse()
      .filter(pod => pod !== undefined && revisionOf(pod) !== this.#input.update.name && !pod.metadata.deletionTimestamp) as Pod[]
    // Parallel only: an old pod that is broken costs nothing to replace, and may never recover (kubernetes#137666).
    for (const pod of outdated) if (!this.#isHealthy(pod)) this.remove.add(pod)
    const unavailable = this.#replicas.filter(pod => !pod || !this.#isHealthy(pod)).length
    const allowed = Math.max(1, scaled(updateStrategy?.rollingUpdate?.maxUnavailable ?? 1, replicas, Math.floor))
    for (const pod of outdated.filter(pod => this.#isHealthy(pod)).slice(0, Math.max(0, allowed - unavailable))) this.remove.add(pod)
  }

  #isHealthy(pod: Pod): boolean {
    return pod.status?.phase === 'Running' && !pod.metadata.deletionTimestamp && isAvailable(pod, this.#set.spec.minReadySeconds ?? 0, this.#input.now)
  }

  #restoreLabels(pod: Pod): void {
    const labels = pod.metadata.deletionTimestamp ? undefined : missingLabels(this.#set, pod)
    if (labels) this.relabel.push({ pod, labels })
  }

  /** A pod below the partition, or one that the rollout has not reached, comes back as it was (newVersionedStatefulSetPod). */
  #draft(i: number): PodDraft {
    const { updateStrategy } = this.#set.spec, { pods, current, update } = this.#input
    const waiting = pods.filter(pod => !pod.metadata.deletionTimestamp && revisionOf(pod) === current.name).length
    const isOld = updateStrategy?.type !== 'OnDelete' && i < (updateStrategy?.rollingUpdate ? updateStrategy.rollingUpdate.partition ?? 0 : waiting)
    return statefulPod(this.#set, firstOrdinal(this.#set) + i, isOld ? current : update)
  }
}
