// Labels, annotations and label selectors: what may be in them (ValidateLabels, ValidateAnnotations,
// ValidateLabelSelector). Matching objects against selectors is api/object.ts's.
import type { LabelSelector, LabelSelectorRequirement } from '#api/meta/v1.ts'
import { each, forbidden, invalid, invalids, required, tooLong } from './fields.ts'
import { labelValue, qualifiedNameErrors } from './names.ts'
import type { FieldError } from './strategy.ts'

export const validateLabels = (labels: Record<string, string> | undefined, path: string): FieldError[] =>
  Object.entries(labels ?? {}).flatMap(([key, value]) =>
    [...invalids(path, key, qualifiedNameErrors(key)), ...invalids(path, value, labelValue(String(value)))])

const annotationBytes = 256 * 1024

export function validateAnnotations(annotations: Record<string, string> | undefined, path: string): FieldError[] {
  const entries = Object.entries(annotations ?? {})
  const bytes = entries.reduce((sum, [key, value]) => sum + Buffer.byteLength(key) + Buffer.byteLength(String(value)), 0)
  return [
    ...entries.flatMap(([key]) => invalids(path, key, qualifiedNameErrors(key.toLowerCase()))),
    ...(bytes > annotationBytes ? [tooLong(path, annotationBytes)] : []),
  ]
}

export const validateLabelSelector = (selector: LabelSelector | undefined, path: string): FieldError[] => [
  ...validateLabels(selector?.matchLabels, `${path}.matchLabels`),
  ...each(`${path}.matchExpressions`, selector?.matchExpressions, validateRequirement),
]

function validateRequirement(requirement: LabelSelectorRequirement, path: string): FieldError[] {
  const errors = invalids(`${path}.key`, requirement.key, qualifiedNameErrors(requirement.key))
  const values = requirement.values ?? []
  if (['In', 'NotIn'].includes(requirement.operator)) {
    if (values.length === 0) errors.push(required(`${path}.values`, "must be specified when `operator` is 'In' or 'NotIn'"))
  } else if (['Exists', 'DoesNotExist'].includes(requirement.operator)) {
    if (values.length > 0) errors.push(forbidden(`${path}.values`, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"))
  } else errors.push(invalid(`${path}.operator`, requirement.operator ?? '', 'not a valid selector operator'))
  return [...errors, ...each(`${path}.values`, values, (value, valuePath) => invalids(valuePath, value, labelValue(value)))]
}

/** An empty selector selects everything, which no workload may. */
export const isEmptySelector = (selector: LabelSelector | undefined): boolean =>
  Object.keys(selector?.matchLabels ?? {}).length + (selector?.matchExpressions?.length ?? 0) === 0

/** As columns print it: `app=web,tier in (a,b)`, `<none>` when empty (metav1.FormatLabelSelector). */
export function formatSelector(selector: LabelSelector | undefined): string {
  const expression = ({ key, operator, values = [] }: LabelSelectorRequirement) => {
    const list = `(${values.toSorted().join(',')})`
    return operator === 'In' ? `${key} in ${list}` : operator === 'NotIn' ? `${key} notin ${list}`
      : operator === 'Exists' ? key : `!${key}`
  }
  const terms = [
    ...Object.entries(selector?.matchLabels ?? {}).map(([key, value]) => ({ key, text: `${key}=${value}` })),
    ...(selector?.matchExpressions ?? []).map(requirement => ({ key: requirement.key, text: expression(requirement) })),
  ].sort((a, b) => a.key < b.key ? -1 : a.key > b.key ? 1 : 0)
  return terms.length === 0 ? '<none>' : terms.map(term => term.text).join(',')
}

/** A plain map as columns print it (labels.FormatLabels). */
export const formatLabels = (labels: Record<string, string> | undefined): string => formatSelector({ matchLabels: labels ?? {} })
