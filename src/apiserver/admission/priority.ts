// Upstream's Priority admission: a pod's number comes from the class that it names. PriorityClasses
// are not stored here: the two that every cluster has are known, and any other name is refused.
import type { Pod } from '#api/core/v1.ts'
import { resources } from '#api/resources.ts'
import { forbidden } from '../rest/errors.ts'

/** SystemPriorityClasses of k8s.io/kubernetes/pkg/apis/scheduling. */
const systemClasses: Readonly<Record<string, number>> = { 'system-cluster-critical': 2_000_000_000, 'system-node-critical': 2_000_001_000 }

const preemptionPolicy = 'PreemptLowerPriority'
const because = 'must not be provided in pod spec; priority admission controller computed'

/** Sets spec.priority and spec.preemptionPolicy; throws when the pod names an unknown class or brings other values. */
export function resolvePriority({ spec, metadata }: Pod): void {
  if (!spec) return
  const refuse = (why: string): never => { throw forbidden(resources.pods, metadata.name || metadata.generateName || '', why) }
  const name = spec.priorityClassName
  const priority = !name ? 0 : Object.hasOwn(systemClasses, name) ? systemClasses[name]! : refuse(`no PriorityClass with name ${name} was found`)
  if (spec.priority !== undefined && spec.priority !== priority) refuse(`the integer value of priority (${spec.priority}) ${because} ${priority} from the given PriorityClass name`)
  if (spec.preemptionPolicy !== undefined && spec.preemptionPolicy !== preemptionPolicy) {
    refuse(`the string value of PreemptionPolicy (${spec.preemptionPolicy}) ${because} ${preemptionPolicy} from the given PriorityClass name`)
  }
  spec.priority = priority
  spec.preemptionPolicy = preemptionPolicy
}

/** An update from a manifest without them keeps what the create resolved. */
export function keepPriority({ spec }: Pod, old: Pod): void {
  if (!spec || !old.spec) return
  if (spec.priority === undefined && old.spec.priority !== undefined) spec.priority = old.spec.priority
  if (spec.preemptionPolicy === undefined && old.spec.preemptionPolicy !== undefined) spec.preemptionPolicy = old.spec.preemptionPolicy
}
