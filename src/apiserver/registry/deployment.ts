// Deployments.
import type { Deployment } from '#api/apps/v1.ts'
import { resources } from '#api/resources.ts'
import { define } from './define.ts'
import { forbidden, invalid, nonNegative, notSupported, required } from './fields.ts'
import { formatSelector } from './labels.ts'
import { dns1123Subdomain } from './names.ts'
import { defaultPodTemplate } from './pod/template.ts'
import type { FieldError } from './strategy.ts'
import { atMost100Percent, isZero, validateIntOrPercent, validateSelectorAndTemplate, validateSelectorUpdate, wideColumns, workloadWarnings } from './workload.ts'

function defaults({ spec }: Deployment): void {
  spec.replicas ??= 1
  spec.strategy ??= {}
  spec.strategy.type ||= 'RollingUpdate'
  if (spec.strategy.type === 'RollingUpdate') {
    spec.strategy.rollingUpdate ??= {}
    spec.strategy.rollingUpdate.maxUnavailable ??= '25%'
    spec.strategy.rollingUpdate.maxSurge ??= '25%'
  }
  spec.revisionHistoryLimit ??= 10
  spec.progressDeadlineSeconds ??= 600
  defaultPodTemplate(spec.template)
}

function validateStrategy(strategy: Deployment['spec']['strategy']): FieldError[] {
  const path = 'spec.strategy'
  if (strategy?.type === 'Recreate') {
    return strategy.rollingUpdate ? [forbidden(`${path}.rollingUpdate`, "may not be specified when strategy `type` is 'Recreate'")] : []
  }
  if (strategy?.type !== 'RollingUpdate') return [notSupported(`${path}.type`, strategy?.type, ['Recreate', 'RollingUpdate'])]
  const rolling = strategy.rollingUpdate
  if (!rolling) return [required(`${path}.rollingUpdate`, 'this should be defaulted and never be nil')]
  return [
    ...validateIntOrPercent(`${path}.rollingUpdate.maxUnavailable`, rolling.maxUnavailable),
    ...validateIntOrPercent(`${path}.rollingUpdate.maxSurge`, rolling.maxSurge),
    ...(isZero(rolling.maxUnavailable) && isZero(rolling.maxSurge)
      ? [invalid(`${path}.rollingUpdate.maxUnavailable`, rolling.maxUnavailable, 'may not be 0 when `maxSurge` is 0')] : []),
    ...atMost100Percent(`${path}.rollingUpdate.maxUnavailable`, rolling.maxUnavailable),
  ]
}

function validate({ spec }: Deployment): FieldError[] {
  return [
    ...nonNegative('spec.replicas', spec.replicas),
    ...validateSelectorAndTemplate(spec, 'deployment'),
    ...validateStrategy(spec.strategy),
    ...nonNegative('spec.minReadySeconds', spec.minReadySeconds),
    ...nonNegative('spec.revisionHistoryLimit', spec.revisionHistoryLimit),
    ...nonNegative('spec.progressDeadlineSeconds', spec.progressDeadlineSeconds),
    ...(spec.progressDeadlineSeconds !== undefined && spec.progressDeadlineSeconds <= (spec.minReadySeconds ?? 0)
      ? [invalid('spec.progressDeadlineSeconds', spec.progressDeadlineSeconds, 'must be greater than minReadySeconds')] : []),
  ]
}

const statusCounts = ['replicas', 'updatedReplicas', 'readyReplicas', 'availableReplicas', 'unavailableReplicas'] as const

function validateStatusUpdate({ status = {} }: Deployment, old: Deployment): FieldError[] {
  const { replicas = 0 } = status
  const errors = statusCounts.flatMap(key => nonNegative(`status.${key}`, status[key]))
  for (const key of ['updatedReplicas', 'readyReplicas', 'availableReplicas'] as const)
    if ((status[key] ?? 0) > replicas) errors.push(invalid(`status.${key}`, status[key], 'cannot be greater than status.replicas'))
  if ((status.availableReplicas ?? 0) > (status.readyReplicas ?? 0))
    errors.push(invalid('status.availableReplicas', status.availableReplicas, 'cannot be greater than readyReplicas'))
  if ((status.collisionCount ?? 0) < (old.status?.collisionCount ?? 0))
    errors.push(invalid('status.collisionCount', status.collisionCount ?? 0, 'cannot be decremented'))
  return errors
}

export const deployments = define<Deployment>({
  resource: resources.deployments,
  name: dns1123Subdomain,
  defaults,
  prepareForCreate(draft) { draft.status = {} },
  validate,
  validateUpdate: (deployment, old) => validateSelectorUpdate(deployment.spec, old.spec),
  validateStatusUpdate,
  warnings: (object, old) => workloadWarnings(object, old, true),
  columns: [
    { name: 'Ready', description: 'Ready pods of those wanted.', value: ({ spec, status }) => `${status?.readyReplicas ?? 0}/${spec.replicas ?? 0}` },
    { name: 'Up-to-date', description: 'Pods of the newest template.', value: ({ status }) => String(status?.updatedReplicas ?? 0) },
    { name: 'Available', description: 'Pods ready for minReadySeconds.', value: ({ status }) => String(status?.availableReplicas ?? 0) },
    ...wideColumns as [],
  ],
  scale: {
    get: ({ spec, status }) => ({ replicas: spec.replicas ?? 0, statusReplicas: status?.replicas ?? 0, selector: formatSelector(spec.selector) }),
    set(draft, replicas) { draft.spec.replicas = replicas },
  },
})
