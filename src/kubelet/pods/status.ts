// The status that the kubelet reports for a pod: upstream's generateAPIPodStatus as a pure function of
// what is known now and of the status sent before (whose transition times it keeps).
import type { Container as ContainerSpec, ContainerState, ContainerStateTerminated, ContainerStatus, PodStatus } from '#api/core/v1.ts'
import { time } from '#lib/clock.ts'
import type { Container } from '../runtime/cri.ts'
import type { PodActions } from './actions.ts'
import { podConditions } from './conditions.ts'
import { podPhase } from './phase.ts'
import { isSidecar, isTerminal, latest, stopReason, type PodSnapshot } from './snapshot.ts'

export interface StatusContext {
  readonly hostIps: readonly string[]
  /** The status sent before, or the API's when this kubelet has not sent one yet. */
  readonly previous: PodStatus | undefined
}

export function podStatus(snapshot: PodSnapshot, actions: PodActions, context: StatusContext): PodStatus {
  const { pod } = snapshot
  const initContainerStatuses = pod.spec.initContainers?.map(spec => containerStatus(snapshot, actions, spec, true))
  const containerStatuses = pod.spec.containers.map(spec => containerStatus(snapshot, actions, spec, false))
  const ended = endedWith(snapshot)
  const phase = isTerminal(pod) ? pod.status!.phase! : podPhase(pod, initContainerStatuses ?? [], containerStatuses, actions.stopped === true && stopReason(snapshot) !== undefined, ended?.reason)
  const ips = snapshot.sandbox?.state === 'ready' ? podIps(snapshot, context) : context.previous?.podIPs?.map(({ ip }) => ip) ?? []
  return {
    ...context.previous, // what others set there (qosClass, nominatedNodeName) stays
    ...(pod.metadata.generation !== undefined && { observedGeneration: pod.metadata.generation }),
    phase,
    ...ended,
    conditions: podConditions(snapshot, { phase, initContainerStatuses: initContainerStatuses ?? [], containerStatuses }, context.previous?.conditions ?? []),
    ...(context.hostIps.length && { hostIP: context.hostIps[0]!, hostIPs: context.hostIps.map(ip => ({ ip })) }),
    ...(ips.length && { podIP: ips[0]!, podIPs: ips.map(ip => ({ ip })) }),
    startTime: context.previous?.startTime ?? time(snapshot.startedAt),
    ...(initContainerStatuses?.length && { initContainerStatuses }),
    containerStatuses,
  }
}

function endedWith(snapshot: PodSnapshot): { reason: string; message: string } | undefined {
  return stopReason(snapshot) === 'deadline'
    ? { reason: 'DeadlineExceeded', message: 'Pod was active on the node longer than the specified deadline' } : undefined
}

const podIps = (snapshot: PodSnapshot, context: StatusContext): readonly string[] =>
  snapshot.pod.spec.hostNetwork ? context.hostIps : snapshot.sandbox?.ips ?? []

function containerStatus(snapshot: PodSnapshot, actions: PodActions, spec: ContainerSpec, init: boolean): ContainerStatus {
  const container = latest(snapshot, spec.name)
  const state = containerState(snapshot, actions, spec, container)
  const running = state.running !== undefined
  const last = lastTermination(snapshot, container, state)
  return {
    name: spec.name,
    state,
    lastState: last ? { terminated: last } : {},
    ready: isReady(snapshot, spec, container, state, init),
    restartCount: container?.attempt ?? 0,
    image: container?.image || spec.image || '',
    imageID: container?.imageId ?? '',
    ...(container?.id && { containerID: `fairway://${container.id}` }),
    started: running && isStarted(snapshot, spec, container!),
  }
}

function containerState(snapshot: PodSnapshot, actions: PodActions, spec: ContainerSpec, container: Container | undefined): ContainerState {
  const held = actions.waiting.get(spec.name)
  if (held) return { waiting: held }
  const memory = snapshot.memory.get(spec.name)
  if (container?.state === 'running' && !(memory?.busy === 'starting' && spec.lifecycle?.postStart))
    return { running: { startedAt: time(container.startedAt ?? container.createdAt) } }
  if (container?.state === 'exited' && !isReplaced(snapshot, container)) return { terminated: terminated(container) }
  if (memory?.failure && !stopReason(snapshot)) return { waiting: { reason: memory.failure.reason, message: memory.failure.message } }
  return { waiting: { reason: snapshot.pod.spec.initContainers?.length ? 'PodInitializing' : 'ContainerCreating' } }
}

/** An ended container of an earlier sandbox whose successor is on its way: its end is history (lastState). */
function isReplaced(snapshot: PodSnapshot, container: Container): boolean {
  if (stopReason(snapshot) || container.sandboxId === snapshot.sandbox?.id) return false
  return (snapshot.pod.spec.restartPolicy ?? 'Always') === 'Always'
}

function terminated(container: Container): ContainerStateTerminated {
  return {
    exitCode: container.exitCode ?? 137,
    reason: container.reason ?? (container.exitCode === 0 ? 'Completed' : 'Error'),
    ...(container.message && { message: container.message }),
    ...(container.startedAt !== undefined && { startedAt: time(container.startedAt) }),
    ...(container.finishedAt !== undefined && { finishedAt: time(container.finishedAt) }),
    ...(container.id && { containerID: `fairway://${container.id}` }),
  }
}

function lastTermination(snapshot: PodSnapshot, container: Container | undefined, state: ContainerState): ContainerStateTerminated | undefined {
  if (!container) return undefined
  if (container.state === 'exited' && !state.terminated) return terminated(container)
  const before = snapshot.containers.findLast(other => other.name === container.name && other !== container && other.state === 'exited')
  return before && terminated(before)
}

function isStarted(snapshot: PodSnapshot, spec: ContainerSpec, container: Container): boolean {
  return !spec.startupProbe || snapshot.probes.get(container.id)?.started === true
}

function isReady(snapshot: PodSnapshot, spec: ContainerSpec, container: Container | undefined, state: ContainerState, init: boolean): boolean {
  if (init && !isSidecar(spec)) return state.terminated?.exitCode === 0
  if (!container || !state.running || !isStarted(snapshot, spec, container)) return false
  return !spec.readinessProbe || snapshot.probes.get(container.id)?.ready === true
}
