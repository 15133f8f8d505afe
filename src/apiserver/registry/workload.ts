// What Deployments, ReplicaSets, StatefulSets and DaemonSets share: a selector that must fit the template's labels,
// percentages, and the wide columns.
import type { LabelSelector } from '#api/meta/v1.ts'
import { matchesSelector } from '#api/object.ts'
import type { PodTemplateSpec } from '#api/core/v1.ts'
import { equal } from '#lib/equal.ts'
import { forbidden, immutable, invalid, invalids, notSupported, required } from './fields.ts'
import { formatSelector, isEmptySelector, validateLabelSelector } from './labels.ts'
import { validatePodTemplate } from './pod/template.ts'
import { nameWarnings, specWarnings } from './pod/warnings.ts'
import type { Column, FieldError } from './strategy.ts'

interface Spec { selector?: LabelSelector; template?: PodTemplateSpec }

/** Selector and template of a workload whose pods always restart. */
export function validateSelectorAndTemplate(spec: Spec, kind: 'deployment' | 'replicaset' | 'statefulset' | 'daemonset'): FieldError[] {
  const { selector, template } = spec
  const errors = selector ? validateLabelSelector(selector, 'spec.selector') : [required('spec.selector')]
  if (selector && isEmptySelector(selector)) errors.push(invalid('spec.selector', selector, `empty selector is invalid for ${kind}`))
  if (!template) return [...errors, required('spec.template')]
  if (selector && !isEmptySelector(selector) && !matchesSelector(selector, template.metadata?.labels))
    errors.push(invalid('spec.template.metadata.labels', template.metadata?.labels ?? null, '`selector` does not match template `labels`'))
  errors.push(...validatePodTemplate(template, 'spec.template'))
  if (template.spec?.restartPolicy !== 'Always') errors.push(notSupported('spec.template.spec.restartPolicy', template.spec?.restartPolicy, ['Always']))
  if (template.spec?.activeDeadlineSeconds !== undefined) errors.push(forbidden('spec.template.spec.activeDeadlineSeconds',
    `activeDeadlineSeconds in ${kind === 'daemonset' ? 'DaemonSet' : kind === 'statefulset' ? 'StatefulSet' : 'ReplicaSet'} is not Supported`))
  return errors
}

export const validateSelectorUpdate = (spec: Spec, old: Spec): FieldError[] =>
  equal(spec.selector, old.selector) ? [] : [invalid('spec.selector', spec.selector, immutable)]

/** On create, and when the template has changed. `namesPods`: the pods' names begin with the workload's. */
export function workloadWarnings(object: { metadata: { name: string }; spec: Spec }, old: { spec: Spec } | undefined, namesPods: boolean): string[] {
  const { metadata, spec: { template } } = object
  return [
    ...(namesPods && !old ? nameWarnings(metadata.name, 'Pod names and hostnames') : []),
    ...(template && !equal(template, old?.spec.template) ? specWarnings(template.spec, 'spec.template.spec') : []),
  ]
}

/** A number of pods or a percentage of them. */
export function validateIntOrPercent(path: string, value: number | string | undefined): FieldError[] {
  if (typeof value === 'string') return /^\d+%$/.test(value) ? [] : invalids(path, value,
    ["a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')"])
  return value !== undefined && value < 0 ? [invalid(path, value, 'must be greater than or equal to 0')] : []
}

export const atMost100Percent = (path: string, value: number | string | undefined): FieldError[] =>
  typeof value === 'string' && Number.parseInt(value) > 100 ? [invalid(path, value, 'must not be greater than 100%')] : []

export const isZero = (value: number | string | undefined): boolean => value === undefined || Number.parseInt(String(value)) === 0

/** Containers*, Images*, Selector*. */
export const wideColumns: readonly Column<{ metadata: never; spec: Spec }>[] = [
  { name: 'Containers', wide: true, description: 'Names of the containers of a pod.',
    value: ({ spec }) => (spec.template?.spec.containers ?? []).map(container => container.name).join(',') },
  { name: 'Images', wide: true, description: 'Images of the containers of a pod.',
    value: ({ spec }) => (spec.template?.spec.containers ?? []).map(container => container.image ?? '').join(',') },
  { name: 'Selector', wide: true, description: 'Which pods it owns.', value: ({ spec }) => formatSelector(spec.selector) },
]
