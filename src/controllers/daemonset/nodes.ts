// On which nodes a DaemonSet's pod belongs (upstream's NodeShouldRunDaemonPod), and the pod that is
// pinned to a node.
import type { DaemonSet } from '#api/apps/v1.ts'
import type { Node, Pod, PodTemplateSpec, Toleration } from '#api/core/v1.ts'
import { matchesNodeAffinity, untolerated } from '#api/placement.ts'
import { podFromTemplate, type PodDraft } from '../pods/template.ts'

export const hashLabel = 'controller-revision-hash'
const generationLabel = 'pod-template-generation'

export interface Fit { readonly shouldRun: boolean; /** A pod that is there may stay. */ readonly shouldContinue: boolean }

export function fit(set: DaemonSet, node: Node): Fit {
  const { spec } = set.spec.template, { taints } = node.spec, tolerations = withDefaultTolerations(spec)
  if ((spec.nodeName && spec.nodeName !== node.metadata.name) || !matchesNodeAffinity(spec, node)) return { shouldRun: false, shouldContinue: false }
  if (!untolerated(taints, tolerations, ['NoSchedule', 'NoExecute'])) return { shouldRun: true, shouldContinue: true }
  return { shouldRun: false, shouldContinue: !untolerated(taints, tolerations, ['NoExecute']) }
}

/** A daemon's pod stays on a node in trouble (AddOrUpdateDaemonPodTolerations). */
function withDefaultTolerations(spec: PodTemplateSpec['spec']): Toleration[] {
  const taints: [key: string, effect: string][] = [
    ['not-ready', 'NoExecute'], ['unreachable', 'NoExecute'], ['disk-pressure', 'NoSchedule'], ['memory-pressure', 'NoSchedule'],
    ['pid-pressure', 'NoSchedule'], ['unschedulable', 'NoSchedule'], ...(spec.hostNetwork ? [['network-unavailable', 'NoSchedule'] as [string, string]] : []),
  ]
  const added = taints.map(([key, effect]): Toleration => ({ key: `node.kubernetes.io/${key}`, operator: 'Exists', effect }))
  const replaced = (toleration: Toleration) => added.some(other => other.key === toleration.key && other.effect === toleration.effect && toleration.operator === 'Exists')
  return [...(spec.tolerations ?? []).filter(toleration => !replaced(toleration)), ...added]
}

/** The set's pod for one node: the scheduler puts it there because its node affinity allows no other. */
export function daemonPod(set: DaemonSet, node: string, hash: string): PodDraft {
  const pod = podFromTemplate(set, set.spec.template)
  const generation = set.metadata.annotations?.['deprecated.daemonset.template.generation']
  pod.metadata.labels = { ...pod.metadata.labels, [hashLabel]: hash, ...(generation !== undefined && { [generationLabel]: generation }) }
  const { affinity } = pod.spec
  pod.spec.affinity = { ...affinity, nodeAffinity: { ...affinity?.nodeAffinity, requiredDuringSchedulingIgnoredDuringExecution: {
    nodeSelectorTerms: [{ matchFields: [{ key: 'metadata.name', operator: 'In', values: [node] }] }] } } }
  pod.spec.tolerations = withDefaultTolerations(set.spec.template.spec)
  return pod
}

/** The node that a daemon pod is on or pinned to (GetTargetNodeName). */
export function targetNode(pod: Pod): string | undefined {
  if (pod.spec.nodeName) return pod.spec.nodeName
  const terms = pod.spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms ?? []
  return terms.flatMap(term => term.matchFields ?? []).find(field => field.key === 'metadata.name' && field.operator === 'In' && field.values?.length === 1)?.values![0]
}
