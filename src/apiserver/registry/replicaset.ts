// ReplicaSets.
import type { ReplicaSet } from '#api/apps/v1.ts'
import { resources } from '#api/resources.ts'
import { define } from './define.ts'
import { invalid, nonNegative } from './fields.ts'
import { formatSelector } from './labels.ts'
import { dns1123Subdomain } from './names.ts'
import { defaultPodTemplate } from './pod/template.ts'
import type { FieldError } from './strategy.ts'
import { validateSelectorAndTemplate, validateSelectorUpdate, wideColumns, workloadWarnings } from './workload.ts'

const counts = ['replicas', 'fullyLabeledReplicas', 'readyReplicas', 'availableReplicas'] as const

function validateStatusUpdate({ status }: ReplicaSet): FieldError[] {
  if (!status) return []
  return [
    ...counts.flatMap(key => nonNegative(`status.${key}`, status[key])),
    ...counts.slice(1).flatMap(key => (status[key] ?? 0) > status.replicas
      ? [invalid(`status.${key}`, status[key], 'cannot be greater than status.replicas')] : []),
    ...((status.availableReplicas ?? 0) > (status.readyReplicas ?? 0)
      ? [invalid('status.availableReplicas', status.availableReplicas, 'cannot be greater than readyReplicas')] : []),
  ]
}

export const replicasets = define<ReplicaSet>({
  resource: resources.replicasets,
  name: dns1123Subdomain,
  defaults(draft) {
    draft.spec.replicas ??= 1
    defaultPodTemplate(draft.spec.template)
  },
  prepareForCreate(draft) { draft.status = { replicas: 0 } },
  validate: ({ spec }) => [
    ...nonNegative('spec.replicas', spec.replicas),
    ...nonNegative('spec.minReadySeconds', spec.minReadySeconds),
    ...validateSelectorAndTemplate(spec, 'replicaset'),
  ],
  validateUpdate: (set, old) => validateSelectorUpdate(set.spec, old.spec),
  validateStatusUpdate,
  selectableFields: set => ({ 'status.replicas': String(set.status?.replicas ?? 0) }),
  warnings: (object, old) => workloadWarnings(object, old, true),
  columns: [
    { name: 'Desired', type: 'integer', description: 'Pods wanted.', value: ({ spec }) => spec.replicas ?? 0 },
    { name: 'Current', type: 'integer', description: 'Pods there are.', value: ({ status }) => status?.replicas ?? 0 },
    { name: 'Ready', type: 'integer', description: 'Pods that are ready.', value: ({ status }) => status?.readyReplicas ?? 0 },
    ...wideColumns as [],
  ],
  scale: {
    get: ({ spec, status }) => ({ replicas: spec.replicas ?? 0, statusReplicas: status?.replicas ?? 0, selector: formatSelector(spec.selector) }),
    set(draft, replicas) { draft.spec.replicas = replicas },
  },
})
