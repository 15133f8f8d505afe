// Which nodes a pod's own words allow: node selectors, required node affinity, taints and
// tolerations. Asked by the scheduler, the DaemonSet controller and kubelets alike (upstream's
// component-helpers/scheduling/corev1).
import type { Node, NodeSelector, NodeSelectorRequirement, NodeSelectorTerm, PodSpec, Taint, Toleration } from '#api/core/v1.ts'

/** `Exists` without a key tolerates everything; an empty effect stands for all effects. */
export const tolerates = (toleration: Toleration, taint: Taint): boolean =>
  (!toleration.effect || toleration.effect === taint.effect) &&
  (!toleration.key || toleration.key === taint.key) &&
  (toleration.operator === 'Exists' || (toleration.key !== undefined && toleration.key !== '' && (!toleration.operator || toleration.operator === 'Equal') && (toleration.value ?? '') === (taint.value ?? '')))

/** The first taint of one of the effects that nothing tolerates. */
export const untolerated = (taints: readonly Taint[] | undefined, tolerations: readonly Toleration[] | undefined, effects: readonly string[]): Taint | undefined =>
  taints?.find(taint => effects.includes(taint.effect) && !tolerations?.some(toleration => tolerates(toleration, taint)))

/** spec.nodeSelector and required node affinity together. */
export function matchesNodeAffinity(spec: Pick<PodSpec, 'nodeSelector' | 'affinity'>, node: Node): boolean {
  const labels = node.metadata.labels ?? {}
  if (!Object.entries(spec.nodeSelector ?? {}).every(([key, value]) => labels[key] === value)) return false
  const required = spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution
  return !required || matchesNodeSelector(required, node)
}

/** Any one of the terms; none of them matches nothing. */
export const matchesNodeSelector = (selector: NodeSelector, node: Node): boolean =>
  selector.nodeSelectorTerms.some(term => matchesNodeSelectorTerm(term, node))

/** All requirements of a term; an empty term matches nothing. */
export function matchesNodeSelectorTerm(term: NodeSelectorTerm, node: Node): boolean {
  const { matchExpressions = [], matchFields = [] } = term
  if (matchExpressions.length === 0 && matchFields.length === 0) return false
  return matchExpressions.every(requirement => matchesRequirement(requirement, node.metadata.labels ?? {})) &&
    matchFields.every(requirement => matchesRequirement(requirement, { 'metadata.name': node.metadata.name }))
}

function matchesRequirement({ key, operator, values = [] }: NodeSelectorRequirement, labels: Record<string, string>): boolean {
  const value = Object.hasOwn(labels, key) ? labels[key] : undefined
  switch (operator) {
    case 'In': return value !== undefined && values.includes(value)
    case 'NotIn': return value === undefined || !values.includes(value)
    case 'Exists': return value !== undefined
    case 'DoesNotExist': return value === undefined
    case 'Gt': case 'Lt': {
      if (value === undefined || !/^[+-]?\d+$/.test(value) || !/^[+-]?\d+$/.test(values[0] ?? '')) return false
      return operator === 'Gt' ? BigInt(value) > BigInt(values[0]!) : BigInt(value) < BigInt(values[0]!)
    }
    default: return false
  }
}
