// What an update may change in a pod that exists: little (ValidatePodUpdate).
import type { Container, ContainerStatus, Pod, PodSpec, Toleration } from '#api/core/v1.ts'
import { equal } from '#lib/equal.ts'
import { each, forbidden, immutable, invalid, invalids } from '../fields.ts'
import { ipAddress } from '../names.ts'
import type { FieldError } from '../strategy.ts'

const updatable = ['`spec.containers[*].image`', '`spec.initContainers[*].image`', '`spec.activeDeadlineSeconds`',
  '`spec.tolerations` (only additions to existing tolerations)',
  '`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)']

export function validatePodUpdate(pod: Pod, old: Pod): FieldError[] {
  const { spec } = pod
  if ((spec.containers ?? []).length !== old.spec.containers.length)
    return [forbidden('spec.containers', 'pod updates may not add or remove containers')]
  if ((spec.initContainers?.length ?? 0) !== (old.spec.initContainers?.length ?? 0))
    return [forbidden('spec.initContainers', 'pod updates may not add or remove containers')]
  return [...validateDeadline(spec, old.spec), ...validateTolerations(spec.tolerations, old.spec.tolerations), ...validateRest(spec, old.spec)]
}

function validateDeadline(spec: PodSpec, old: PodSpec): FieldError[] {
  const path = 'spec.activeDeadlineSeconds'
  if (spec.activeDeadlineSeconds === undefined) {
    return old.activeDeadlineSeconds === undefined ? [] : [invalid(path, undefined, 'must not update from a positive integer to nil value')]
  }
  return old.activeDeadlineSeconds !== undefined && old.activeDeadlineSeconds < spec.activeDeadlineSeconds
    ? [invalid(path, spec.activeDeadlineSeconds, 'must be less than or equal to previous value')] : []
}

function validateTolerations(tolerations: readonly Toleration[] = [], old: readonly Toleration[] = []): FieldError[] {
  const withoutSeconds = ({ tolerationSeconds: _, ...rest }: Toleration) => rest
  return old.every(before => tolerations.some(after => equal(withoutSeconds(after), withoutSeconds(before)))) ? []
    : [forbidden('spec.tolerations', 'existing toleration can not be modified except its tolerationSeconds')]
}

function validateRest(spec: PodSpec, old: PodSpec): FieldError[] {
  const withOldImages = (containers: readonly Container[] | undefined, before: readonly Container[] | undefined) =>
    containers?.map((container, index) => ({ ...container, image: before![index]!.image }))
  const grace = spec.terminationGracePeriodSeconds === 1 && (old.terminationGracePeriodSeconds ?? 0) < 0
  const masked: PodSpec = {
    ...spec,
    containers: withOldImages(spec.containers, old.containers)!,
    initContainers: withOldImages(spec.initContainers, old.initContainers)!,
    activeDeadlineSeconds: old.activeDeadlineSeconds!,
    tolerations: old.tolerations!,
    ...(grace && { terminationGracePeriodSeconds: old.terminationGracePeriodSeconds! }),
    // Gates may be lifted, never added.
    ...(isSubset(spec.schedulingGates, old.schedulingGates) && { schedulingGates: old.schedulingGates! }),
  }
  const changed = [...new Set([...Object.keys(masked), ...Object.keys(old)])]
    .filter(key => !equal(masked[key as keyof PodSpec], old[key as keyof PodSpec]))
  if (changed.length === 0) return []
  const lines = changed.flatMap(key => [[masked, '+'], [old, '-']].map(([from, sign]) =>
    `${sign as string} ${key}: ${JSON.stringify((from as PodSpec)[key as keyof PodSpec] ?? null)}`))
  return [forbidden('spec', `pod updates may not change fields other than ${updatable.join(',')}\n${lines.join('\n')}\n`)]
}

const isSubset = (gates: PodSpec['schedulingGates'] = [], old: PodSpec['schedulingGates'] = []) =>
  gates.every(({ name }) => old.some(gate => gate.name === name))

/** For `/status`. */
export function validatePodStatus(pod: Pod, old: Pod): FieldError[] {
  const { status } = pod
  return [
    ...(status?.qosClass !== undefined && old.status?.qosClass !== undefined && status.qosClass !== old.status.qosClass
      ? [invalid('status.qosClass', status.qosClass, immutable)] : []),
    ...each('status.podIPs', status?.podIPs, ({ ip }, path) => invalids(path, ip, ipAddress(ip))),
    ...each('status.hostIPs', status?.hostIPs, ({ ip }, path) => invalids(path, ip, ipAddress(ip))),
    ...each('status.containerStatuses', status?.containerStatuses, (container, path) =>
      restarted(container, old.status?.containerStatuses, old.spec.restartPolicy)
        ? [forbidden(`${path}.state`, 'may not be transitioned to non-terminated state')] : []),
  ]
}

/** ValidateContainerStateTransition: a container that has ended for good stays ended. */
function restarted(status: ContainerStatus, old: readonly ContainerStatus[] | undefined, restartPolicy: string | undefined): boolean {
  const ended = old?.find(({ name }) => name === status.name)?.state?.terminated
  if (!ended || status.state?.terminated || restartPolicy === 'Always') return false
  return restartPolicy === 'Never' || ended.exitCode === 0
}
