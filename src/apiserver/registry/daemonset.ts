// DaemonSets.
import type { DaemonSet, DaemonSetUpdateStrategy } from '#api/apps/v1.ts'
import { resources } from '#api/resources.ts'
import { define } from './define.ts'
import { invalid, nonNegative, notSupported, required } from './fields.ts'
import { formatLabels } from './labels.ts'
import { dns1123Subdomain } from './names.ts'
import { defaultPodTemplate } from './pod/template.ts'
import type { FieldError } from './strategy.ts'
import { atMost100Percent, isZero, validateIntOrPercent, validateSelectorAndTemplate, validateSelectorUpdate, wideColumns, workloadWarnings } from './workload.ts'

function defaults({ spec }: DaemonSet): void {
  spec.updateStrategy ??= {}
  spec.updateStrategy.type ||= 'RollingUpdate'
  if (spec.updateStrategy.type === 'RollingUpdate') {
    spec.updateStrategy.rollingUpdate ??= {}
    spec.updateStrategy.rollingUpdate.maxUnavailable ??= 1
    spec.updateStrategy.rollingUpdate.maxSurge ??= 0
  }
  spec.revisionHistoryLimit ??= 10
  defaultPodTemplate(spec.template)
}

function validateStrategy(strategy: DaemonSetUpdateStrategy | undefined): FieldError[] {
  const path = 'spec.updateStrategy'
  if (strategy?.type === 'OnDelete') return []
  if (strategy?.type !== 'RollingUpdate') return [notSupported(`${path}.type`, strategy?.type, ['RollingUpdate', 'OnDelete'])]
  const rolling = strategy.rollingUpdate
  if (!rolling) return [required(`${path}.rollingUpdate`)]
  const unavailable = `${path}.rollingUpdate.maxUnavailable`, surge = `${path}.rollingUpdate.maxSurge`
  const errors = [
    ...validateIntOrPercent(unavailable, rolling.maxUnavailable), ...atMost100Percent(unavailable, rolling.maxUnavailable),
    ...validateIntOrPercent(surge, rolling.maxSurge), ...atMost100Percent(surge, rolling.maxSurge),
  ]
  if (isZero(rolling.maxUnavailable) && isZero(rolling.maxSurge)) errors.push(required(unavailable, 'cannot be 0 when maxSurge is 0'))
  if (!isZero(rolling.maxUnavailable) && !isZero(rolling.maxSurge)) errors.push(invalid(surge, rolling.maxSurge, 'may not be set when maxUnavailable is non-zero'))
  return errors
}

const empty = (): NonNullable<DaemonSet['status']> =>
  ({ currentNumberScheduled: 0, numberMisscheduled: 0, desiredNumberScheduled: 0, numberReady: 0 })

const statusCounts = ['currentNumberScheduled', 'numberMisscheduled', 'desiredNumberScheduled', 'numberReady',
  'observedGeneration', 'updatedNumberScheduled', 'numberAvailable', 'numberUnavailable'] as const

export const daemonsets = define<DaemonSet>({
  resource: resources.daemonsets,
  name: dns1123Subdomain,
  defaults,
  prepareForCreate(draft) { draft.status = empty() },
  validate: ({ spec }) => [
    ...validateSelectorAndTemplate(spec, 'daemonset'),
    ...nonNegative('spec.minReadySeconds', spec.minReadySeconds),
    ...validateStrategy(spec.updateStrategy),
    ...nonNegative('spec.revisionHistoryLimit', spec.revisionHistoryLimit),
  ],
  validateUpdate: (set, old) => validateSelectorUpdate(set.spec, old.spec),
  validateStatusUpdate: ({ status = empty() }) => statusCounts.flatMap(key => nonNegative(`status.${key}`, status[key])),
  warnings: (object, old) => workloadWarnings(object, old, false),
  columns: [
    { name: 'Desired', type: 'integer', description: 'Nodes that should run it.', value: ({ status }) => status?.desiredNumberScheduled ?? 0 },
    { name: 'Current', type: 'integer', description: 'Nodes that run it and should.', value: ({ status }) => status?.currentNumberScheduled ?? 0 },
    { name: 'Ready', type: 'integer', description: 'Nodes whose pod is ready.', value: ({ status }) => status?.numberReady ?? 0 },
    { name: 'Up-to-date', type: 'integer', description: 'Nodes with a pod of the newest template.', value: ({ status }) => status?.updatedNumberScheduled ?? 0 },
    { name: 'Available', type: 'integer', description: 'Nodes whose pod has been ready for minReadySeconds.', value: ({ status }) => status?.numberAvailable ?? 0 },
    { name: 'Node Selector', description: 'Which nodes it is for.', value: ({ spec }) => formatLabels(spec.template.spec.nodeSelector) },
    ...wideColumns as [],
  ],
})
