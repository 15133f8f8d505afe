// Who a StatefulSet's pod is: its ordinal, its name, hostname and labels (upstream's
// stateful_set_utils.go). A pod keeps them when it is made anew.
import type { StatefulSet } from '#api/apps/v1.ts'
import type { Pod, PodTemplateSpec } from '#api/core/v1.ts'
import { podFromTemplate, type PodDraft } from '../pods/template.ts'

export const revisionLabel = 'controller-revision-hash'
const nameLabel = 'statefulset.kubernetes.io/pod-name', indexLabel = 'apps.kubernetes.io/pod-index'

/** A template under the name of its ControllerRevision, which is what pods carry as their label. */
export interface Revision { readonly name: string; readonly template: PodTemplateSpec }

export const revisionOf = (pod: Pod): string => pod.metadata.labels?.[revisionLabel] ?? ''
export const firstOrdinal = (set: StatefulSet): number => set.spec.ordinals?.start ?? 0

/** Undefined for a pod whose name is not of this set: it is left alone even when its labels match. */
export function ordinalOf(set: StatefulSet, pod: Pod): number | undefined {
  const prefix = `${set.metadata.name}-`
  const digits = pod.metadata.name.startsWith(prefix) ? pod.metadata.name.slice(prefix.length) : ''
  return /^(0|[1-9]\d{0,9})$/.test(digits) ? Number(digits) : undefined
}

const identity = (name: string, ordinal: number) => ({ [nameLabel]: name, [indexLabel]: String(ordinal) })

/** newStatefulSetPod. */
export function statefulPod(set: StatefulSet, ordinal: number, revision: Revision): PodDraft {
  const pod = podFromTemplate(set, revision.template), name = `${set.metadata.name}-${ordinal}`
  const { generateName: _, ...metadata } = pod.metadata
  pod.metadata = { ...metadata, name, labels: { ...metadata.labels, ...identity(name, ordinal), [revisionLabel]: revision.name } }
  pod.spec.hostname = name
  if (set.spec.serviceName) pod.spec.subdomain = set.spec.serviceName
  return pod
}

/** The labels that somebody has taken from the pod, to be put back; undefined when it has them. */
export function missingLabels(set: StatefulSet, pod: Pod): Record<string, string> | undefined {
  const wanted = identity(pod.metadata.name, ordinalOf(set, pod)!)
  return Object.entries(wanted).every(([key, value]) => pod.metadata.labels?.[key] === value) ? undefined : wanted
}
