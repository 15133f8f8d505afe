// How `kubectl get pods` shows a pod: printPod's STATUS, which is read from the containers' states
// rather than from the phase alone.
import type { Container, ContainerState, ContainerStatus, Pod } from '#api/core/v1.ts'
import { since } from '../duration.ts'
import type { Column } from '../strategy.ts'

interface Summary { reason: string; ready: number; total: number; restarts: number; lastRestart: string | undefined }

const restartable = (container: Container | undefined) => container?.restartPolicy === 'Always'
const isTrue = (pod: Pod, type: string) => pod.status?.conditions?.some(condition => condition.type === type && condition.status === 'True') ?? false
const later = (a: string | undefined, b: string | undefined) => !a || (b && Date.parse(b) > Date.parse(a)) ? b : a

/** Of an ended container: its reason, else its signal or exit code. */
const endOf = (terminated: NonNullable<ContainerState['terminated']>) =>
  terminated.reason || (terminated.signal ? `Signal:${terminated.signal}` : `ExitCode:${terminated.exitCode}`)

function initialReason({ status }: Pod): string {
  if (status?.conditions?.some(condition => condition.type === 'PodScheduled' && condition.reason === 'SchedulingGated')) return 'SchedulingGated'
  return status?.reason || status?.phase || ''
}

/** Why an init container holds the pod up; `undefined` when it does not. */
function initReason(status: ContainerStatus, sidecar: boolean, position: string): string | undefined {
  const { terminated, waiting } = status.state ?? {}
  if (terminated?.exitCode === 0 || (sidecar && status.started)) return undefined
  if (terminated) return `Init:${endOf(terminated)}`
  if (waiting?.reason && waiting.reason !== 'PodInitializing') return `Init:${waiting.reason}`
  return `Init:${position}`
}

function addRestarts(summary: Summary, status: ContainerStatus): void {
  summary.restarts += status.restartCount
  summary.lastRestart = later(summary.lastRestart, status.lastState?.terminated?.finishedAt)
}

function initContainers(pod: Pod, all: Summary, sidecars: Summary): boolean {
  const containers = pod.spec.initContainers ?? []
  for (const [index, status] of (pod.status?.initContainerStatuses ?? []).entries()) {
    const sidecar = restartable(containers.find(container => container.name === status.name))
    addRestarts(all, status)
    if (sidecar) addRestarts(sidecars, status)
    const reason = initReason(status, sidecar, `${index}/${containers.length}`)
    if (reason !== undefined) { all.reason = reason; return true }
    if (sidecar && status.started && status.ready) { all.ready++; sidecars.ready++ }
  }
  return false
}

function mainContainers(pod: Pod, summary: Summary): void {
  let running = false
  for (const status of (pod.status?.containerStatuses ?? []).toReversed()) {
    addRestarts(summary, status)
    const { waiting, terminated } = status.state ?? {}
    if (waiting?.reason) summary.reason = waiting.reason
    else if (terminated) summary.reason = endOf(terminated)
    else if (status.ready && status.state?.running) { running = true; summary.ready++ }
  }
  if (summary.reason === 'Completed' && running) summary.reason = isTrue(pod, 'Ready') ? 'Running' : 'NotReady'
}

export function summarize(pod: Pod): Summary {
  const total = (pod.spec.containers ?? []).length + (pod.spec.initContainers ?? []).filter(restartable).length
  let summary: Summary = { reason: initialReason(pod), ready: 0, total, restarts: 0, lastRestart: undefined }
  const sidecars: Summary = { ...summary }
  const initializing = initContainers(pod, summary, sidecars)
  if (!initializing || isTrue(pod, 'Initialized')) {
    // From here only sidecars' restarts count beside the containers'.
    summary = { ...sidecars, reason: summary.reason }
    mainContainers(pod, summary)
  }
  const ended = pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed'
  if (pod.metadata.deletionTimestamp && pod.status?.reason === 'NodeLost') summary.reason = 'Unknown'
  else if (pod.metadata.deletionTimestamp && !ended) summary.reason = 'Terminating'
  return summary
}

function restarts(pod: Pod, now: number): string {
  const { restarts: count, lastRestart } = summarize(pod)
  return count !== 0 && lastRestart ? `${count} (${since(lastRestart, now)} ago)` : String(count)
}

function readinessGates(pod: Pod): string {
  const gates = pod.spec.readinessGates ?? []
  return gates.length === 0 ? '<none>' : `${gates.filter(gate => isTrue(pod, gate.conditionType)).length}/${gates.length}`
}

export const columns: readonly Column<Pod>[] = [
  { name: 'Ready', description: 'Ready containers of all.', value: pod => { const { ready, total } = summarize(pod); return `${ready}/${total}` } },
  { name: 'Status', description: 'What its containers are doing, in one word.', value: pod => summarize(pod).reason },
  { name: 'Restarts', description: 'Restarts of its containers, and the time since the last.', value: restarts },
  { name: 'IP', wide: true, description: 'Its first address.', value: ({ status }) => status?.podIPs?.[0]?.ip || status?.podIP || '<none>' },
  { name: 'Node', wide: true, description: 'Where it runs.', value: ({ spec }) => spec.nodeName || '<none>' },
  { name: 'Nominated Node', wide: true, description: 'Where it will run once lesser pods have gone.', value: ({ status }) => status?.nominatedNodeName || '<none>' },
  { name: 'Readiness Gates', wide: true, description: 'Conditions met of those it waits for.', value: readinessGates },
]
