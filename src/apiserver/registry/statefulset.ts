// StatefulSets. Their claims for volumes are refused by name: this server keeps no PersistentVolumeClaims.
import type { StatefulSet, StatefulSetSpec, StatefulSetUpdateStrategy } from '#api/apps/v1.ts'
import { resources } from '#api/resources.ts'
import { equal } from '#lib/equal.ts'
import { define } from './define.ts'
import { forbidden, invalid, invalids, nonNegative, oneOf, required } from './fields.ts'
import { formatSelector } from './labels.ts'
import { dns1123Label } from './names.ts'
import { defaultPodTemplate } from './pod/template.ts'
import type { FieldError } from './strategy.ts'
import { atMost100Percent, isZero, validateIntOrPercent, validateSelectorAndTemplate, wideColumns, workloadWarnings } from './workload.ts'

function defaults({ spec }: StatefulSet): void {
  spec.podManagementPolicy ||= 'OrderedReady'
  spec.updateStrategy ??= {}
  if (!spec.updateStrategy.type) {
    spec.updateStrategy.type = 'RollingUpdate'
    spec.updateStrategy.rollingUpdate ??= {}
  }
  // A strategy that names its type and nothing else stays without parameters, as upstream leaves it. An absent
  // maxUnavailable means 1 and is not filled in: 1.36 has its feature gate off (kubernetes#137904).
  if (spec.updateStrategy.type === 'RollingUpdate' && spec.updateStrategy.rollingUpdate) spec.updateStrategy.rollingUpdate.partition ??= 0
  spec.persistentVolumeClaimRetentionPolicy ??= {}
  spec.persistentVolumeClaimRetentionPolicy.whenDeleted ||= 'Retain'
  spec.persistentVolumeClaimRetentionPolicy.whenScaled ||= 'Retain'
  spec.replicas ??= 1
  spec.revisionHistoryLimit ??= 10
  // Empty and absent are the same in Go's struct, and must be so when an update is compared.
  if (spec.volumeClaimTemplates?.length === 0) delete spec.volumeClaimTemplates
  if (spec.serviceName === '') delete spec.serviceName
  defaultPodTemplate(spec.template)
}

function validateStrategy(strategy: StatefulSetUpdateStrategy | undefined): FieldError[] {
  const path = 'spec.updateStrategy', rolling = strategy?.rollingUpdate
  if (strategy?.type === 'OnDelete') return rolling ? [invalid(`${path}.rollingUpdate`, rolling, "only allowed for updateStrategy 'RollingUpdate'")] : []
  if (strategy?.type !== 'RollingUpdate') return [invalid(path, strategy, "must be 'RollingUpdate' or 'OnDelete'")]
  if (!rolling) return []
  const unavailable = `${path}.rollingUpdate.maxUnavailable`
  return [
    ...nonNegative(`${path}.rollingUpdate.partition`, rolling.partition),
    ...validateIntOrPercent(unavailable, rolling.maxUnavailable),
    ...(rolling.maxUnavailable !== undefined && isZero(rolling.maxUnavailable) ? [invalid(unavailable, rolling.maxUnavailable, 'cannot be 0')] : []),
    ...atMost100Percent(unavailable, rolling.maxUnavailable),
  ]
}

function validate({ spec }: StatefulSet): FieldError[] {
  const policy = 'spec.podManagementPolicy', retention = spec.persistentVolumeClaimRetentionPolicy
  const keep = (key: 'whenDeleted' | 'whenScaled') => oneOf(`spec.persistentVolumeClaimRetentionPolicy.${key}`, retention?.[key], ['Retain', 'Delete'])
  return [
    ...(spec.podManagementPolicy ? [] : [required(policy)]),
    ...(!spec.podManagementPolicy || ['OrderedReady', 'Parallel'].includes(spec.podManagementPolicy) ? [] : [invalid(policy, spec.podManagementPolicy, "must be 'OrderedReady' or 'Parallel'")]),
    ...validateStrategy(spec.updateStrategy),
    ...(retention ? [...keep('whenDeleted'), ...keep('whenScaled')] : []),
    ...(spec.volumeClaimTemplates ? [forbidden('spec.volumeClaimTemplates',
      'PersistentVolumeClaims are not served by this cluster; give the pods their volumes in spec.template.spec.volumes, such as an emptyDir')] : []),
    ...(spec.serviceName ? invalids('spec.serviceName', spec.serviceName, dns1123Label(spec.serviceName)) : []),
    ...nonNegative('spec.replicas', spec.replicas),
    ...nonNegative('spec.minReadySeconds', spec.minReadySeconds),
    ...nonNegative('spec.ordinals.start', spec.ordinals?.start),
    ...validateSelectorAndTemplate(spec, 'statefulset'),
  ]
}

const mutable = ['replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy', 'minReadySeconds'] as const

function fixed(spec: StatefulSetSpec): Partial<StatefulSetSpec> {
  const rest: Partial<StatefulSetSpec> = { ...spec }
  for (const field of mutable) delete rest[field]
  return rest
}

/** ValidateStatefulSetUpdate. */
const validateUpdate = (set: StatefulSet, old: StatefulSet): FieldError[] => equal(fixed(set.spec), fixed(old.spec)) ? []
  : [forbidden('spec', `updates to statefulset spec for fields other than ${mutable.slice(0, -1).map(field => `'${field}'`).join(', ')} and 'minReadySeconds' are forbidden`)]

const counts = ['replicas', 'readyReplicas', 'currentReplicas', 'updatedReplicas', 'availableReplicas', 'observedGeneration', 'collisionCount'] as const

/** ValidateStatefulSetStatusUpdate. */
function validateStatusUpdate({ status }: StatefulSet, { status: old }: StatefulSet): FieldError[] {
  if (!status) return []
  return [
    ...counts.flatMap(key => nonNegative(`status.${key}`, status[key])),
    ...counts.slice(1, 5).flatMap(key => (status[key] ?? 0) > status.replicas
      ? [invalid(`status.${key}`, status[key], 'cannot be greater than status.replicas')] : []),
    ...((status.availableReplicas ?? 0) > (status.readyReplicas ?? 0)
      ? [invalid('status.availableReplicas', status.availableReplicas, 'cannot be greater than status.readyReplicas')] : []),
    ...((status.collisionCount ?? 0) < (old?.collisionCount ?? 0) ? [invalid('status.collisionCount', status.collisionCount ?? 0, 'cannot be decremented')] : []),
  ]
}

const historyWarning = 'spec.revisionHistoryLimit: a negative value retains all historical revisions; a value >= 0 is recommended'

export const statefulsets = define<StatefulSet>({
  resource: resources.statefulsets,
  name: dns1123Label,
  defaults,
  prepareForCreate(draft) { draft.status = { replicas: 0, availableReplicas: 0 } },
  validate,
  validateUpdate,
  validateStatusUpdate,
  warnings: (object, old) => [
    ...workloadWarnings(object, old, false),
    ...((object.spec.revisionHistoryLimit ?? 0) < 0 && !equal(object.spec, old?.spec) ? [historyWarning] : []),
  ],
  columns: [
    { name: 'Ready', description: 'Ready pods of those wanted.', value: ({ spec, status }) => `${status?.readyReplicas ?? 0}/${spec.replicas ?? 0}` },
    ...wideColumns.slice(0, 2) as [],
  ],
  scale: {
    get: ({ spec, status }) => ({ replicas: spec.replicas ?? 0, statusReplicas: status?.replicas ?? 0, selector: formatSelector(spec.selector) }),
    set(draft, replicas) { draft.spec.replicas = replicas },
  },
})
