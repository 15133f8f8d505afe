// Whether what a pod asks of nodes is valid: node selector, affinity, tolerations, topology spread.
import type { NodeSelectorTerm, PodAffinityTerm, PodSpec, Toleration, TopologySpreadConstraint } from '#api/core/v1.ts'
import { at, duplicates, each, forbidden, invalid, invalids, notSupported, oneOf, required } from '../fields.ts'
import { validateLabels, validateLabelSelector } from '../labels.ts'
import { labelValue, qualifiedNameErrors } from '../names.ts'
import type { FieldError } from '../strategy.ts'

export function validateScheduling(spec: PodSpec, path: string): FieldError[] {
  const { nodeAffinity, podAffinity, podAntiAffinity } = spec.affinity ?? {}
  return [
    ...validateLabels(spec.nodeSelector, `${path}.nodeSelector`),
    ...(nodeAffinity ? validateNodeAffinity(nodeAffinity, `${path}.affinity.nodeAffinity`) : []),
    ...(podAffinity ? validatePodAffinity(podAffinity, `${path}.affinity.podAffinity`) : []),
    ...(podAntiAffinity ? validatePodAffinity(podAntiAffinity, `${path}.affinity.podAntiAffinity`) : []),
    ...each(`${path}.tolerations`, spec.tolerations, validateToleration),
    ...each(`${path}.topologySpreadConstraints`, spec.topologySpreadConstraints, validateSpread),
    ...duplicates(`${path}.topologySpreadConstraints`, spec.topologySpreadConstraints,
      constraint => `{${constraint.topologyKey}, ${constraint.whenUnsatisfiable}}`, '.{topologyKey, whenUnsatisfiable}'),
  ]
}

function validateNodeAffinity(affinity: NonNullable<NonNullable<PodSpec['affinity']>['nodeAffinity']>, path: string): FieldError[] {
  const wanted = affinity.requiredDuringSchedulingIgnoredDuringExecution
  const wantedPath = `${path}.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms`
  return [
    ...(wanted && !wanted.nodeSelectorTerms?.length ? [required(wantedPath, 'must have at least one node selector term')] : []),
    ...each(wantedPath, wanted?.nodeSelectorTerms, validateTerm),
    ...each(`${path}.preferredDuringSchedulingIgnoredDuringExecution`, affinity.preferredDuringSchedulingIgnoredDuringExecution, (term, termPath) => [
      ...validateWeight(term.weight, `${termPath}.weight`), ...validateTerm(term.preference ?? {}, `${termPath}.preference`)]),
  ]
}

const validateWeight = (weight: number, path: string): FieldError[] =>
  weight >= 1 && weight <= 100 ? [] : [invalid(path, weight, 'must be in the range 1-100')]

function validateTerm(term: NodeSelectorTerm, path: string): FieldError[] {
  return [
    ...each(`${path}.matchExpressions`, term.matchExpressions, (requirement, itemPath) => [
      ...validateOperator(requirement, itemPath),
      ...invalids(`${itemPath}.key`, requirement.key, qualifiedNameErrors(requirement.key)),
    ]),
    ...each(`${path}.matchFields`, term.matchFields, ({ key, operator, values }, itemPath) => [
      ...(operator === 'In' || operator === 'NotIn' ? [] : [invalid(`${itemPath}.operator`, operator, 'not a valid selector operator')]),
      ...(values?.length === 1 ? [] : [required(`${itemPath}.values`, "must be only one value when `operator` is 'In' or 'NotIn' for node field selector")]),
      ...(key === 'metadata.name' ? [] : [invalid(`${itemPath}.key`, key, 'not a valid field selector key')]),
    ]),
  ]
}

function validateOperator({ operator, values = [] }: NonNullable<NodeSelectorTerm['matchExpressions']>[number], path: string): FieldError[] {
  switch (operator) {
    case 'In': case 'NotIn':
      return values.length > 0 ? [] : [required(`${path}.values`, "must be specified when `operator` is 'In' or 'NotIn'")]
    case 'Exists': case 'DoesNotExist':
      return values.length === 0 ? [] : [forbidden(`${path}.values`, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'")]
    case 'Gt': case 'Lt':
      return values.length === 1 ? [] : [required(`${path}.values`, "must be specified single value when `operator` is 'Lt' or 'Gt'")]
    default: return [invalid(`${path}.operator`, operator ?? '', 'not a valid selector operator')]
  }
}

type PodAffinities = NonNullable<NonNullable<PodSpec['affinity']>['podAffinity']>

const validatePodAffinity = (affinity: PodAffinities, path: string): FieldError[] => [
  ...each(`${path}.requiredDuringSchedulingIgnoredDuringExecution`, affinity.requiredDuringSchedulingIgnoredDuringExecution, validatePodTerm),
  ...each(`${path}.preferredDuringSchedulingIgnoredDuringExecution`, affinity.preferredDuringSchedulingIgnoredDuringExecution, (term, termPath) => [
    ...validateWeight(term.weight, `${termPath}.weight`), ...validatePodTerm(term.podAffinityTerm ?? {}, `${termPath}.podAffinityTerm`)]),
]

const validatePodTerm = (term: PodAffinityTerm, path: string): FieldError[] => [
  ...validateLabelSelector(term.labelSelector, `${path}.labelSelector`),
  ...validateLabelSelector(term.namespaceSelector, `${path}.namespaceSelector`),
  ...(term.topologyKey ? invalids(`${path}.topologyKey`, term.topologyKey, qualifiedNameErrors(term.topologyKey)) : [required(`${path}.topologyKey`, 'can not be empty')]),
]

const effects = ['NoSchedule', 'PreferNoSchedule', 'NoExecute']

function validateToleration(toleration: Toleration, path: string): FieldError[] {
  const { key, operator = 'Equal', value = '', effect } = toleration
  const errors = key ? invalids(`${path}.key`, key, qualifiedNameErrors(key)) : []
  if (!key && operator !== 'Exists') errors.push(invalid(`${path}.operator`, toleration.operator ?? '', "operator must be Exists when `key` is empty, which means \"match all values and all keys\""))
  if (toleration.tolerationSeconds !== undefined && effect !== 'NoExecute') errors.push(invalid(`${path}.effect`, effect ?? '', "effect must be 'NoExecute' when `tolerationSeconds` is set"))
  if (operator === 'Equal' || operator === '') errors.push(...labelValue(value).map(message => invalid(`${path}.operator`, value, message)))
  else if (operator === 'Exists') { if (value) errors.push(invalid(`${path}.operator`, toleration, 'value must be empty when `operator` is \'Exists\'')) }
  else errors.push(notSupported(`${path}.operator`, operator, ['Equal', 'Exists']))
  if (effect) errors.push(...oneOf(`${path}.effect`, effect, effects))
  return errors
}

function validateSpread(constraint: TopologySpreadConstraint, path: string): FieldError[] {
  return [
    ...(constraint.maxSkew > 0 ? [] : [invalid(`${path}.maxSkew`, constraint.maxSkew ?? 0, 'must be greater than zero')]),
    ...(constraint.topologyKey ? [] : [required(`${path}.topologyKey`, 'can not be empty')]),
    ...oneOf(`${path}.whenUnsatisfiable`, constraint.whenUnsatisfiable, ['DoNotSchedule', 'ScheduleAnyway']),
    ...(constraint.minDomains !== undefined && constraint.minDomains <= 0 ? [invalid(`${path}.minDomains`, constraint.minDomains, 'must be greater than zero')] : []),
    ...(['nodeAffinityPolicy', 'nodeTaintsPolicy'] as const).flatMap(key => constraint[key] ? oneOf(`${path}.${key}`, constraint[key], ['Honor', 'Ignore']) : []),
    ...validateLabelSelector(constraint.labelSelector, `${path}.labelSelector`),
    ...(constraint.matchLabelKeys ?? []).flatMap((key, index) => invalids(at(`${path}.matchLabelKeys`, index), key, qualifiedNameErrors(key))),
  ]
}
