// Pods.
import type { Pod } from '#api/core/v1.ts'
import { resources } from '#api/resources.ts'
import { define } from '../define.ts'
import { dns1123Subdomain } from '../names.ts'
import { columns } from './columns.ts'
import { defaultPod } from './defaults.ts'
import { qosClass } from './qos.ts'
import { validatePodStatus, validatePodUpdate } from './update.ts'
import { validatePod } from './validation.ts'
import { nameWarnings, specWarnings } from './warnings.ts'

function selectableFields({ spec, status }: Pod): Record<string, string> {
  return {
    'spec.nodeName': spec.nodeName ?? '',
    'spec.restartPolicy': spec.restartPolicy ?? '',
    'spec.schedulerName': spec.schedulerName ?? '',
    'spec.serviceAccountName': spec.serviceAccountName ?? '',
    'spec.hostNetwork': String(spec.hostNetwork ?? false),
    'status.phase': status?.phase ?? '',
    'status.podIP': status?.podIP ?? '',
    'status.podIPs': status?.podIPs?.map(({ ip }) => ip).join(',') ?? '',
    'status.nominatedNodeName': status?.nominatedNodeName ?? '',
  }
}

export const pods = define<Pod>({
  resource: resources.pods,
  name: dns1123Subdomain,
  defaults: defaultPod,
  prepareForCreate(draft) {
    draft.status = { phase: 'Pending', qosClass: qosClass(draft.spec) }
    if (draft.spec.schedulingGates?.length) draft.status.conditions = [{ type: 'PodScheduled', status: 'False', reason: 'SchedulingGated',
      message: 'Scheduling is blocked due to non-empty scheduling gates' }]
  },
  validate: validatePod,
  validateUpdate: validatePodUpdate,
  validateStatusUpdate: validatePodStatus,
  warnings: (pod, old) => old ? [] : [...nameWarnings(pod.metadata.name, "the Pod's hostname"), ...specWarnings(pod.spec, 'spec')],
  selectableFields,
  columns,
  gracePeriodSeconds: ({ spec, status }) =>
    // A pod that no node runs, or that has ended, needs no grace (podStrategy.CheckGracefulDelete).
    !spec.nodeName || status?.phase === 'Failed' || status?.phase === 'Succeeded' ? 0 : spec.terminationGracePeriodSeconds ?? 30,
})
