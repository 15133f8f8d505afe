// Why a pod is not ready, from its status and its events: the first thing that it waits for.
import type { Container, ContainerStatus, Event, Node, Pod, Probe } from '#api/core/v1.ts'
import { isNodeReady, isPodReady } from './facts.ts'
import { brief, kubectl, workloadOf } from './words.ts'

export interface Unready {
  /** start: it does not run yet, or not any more. probe: it runs, and is said to be not ready. leaving: it ends. */
  readonly kind: 'start' | 'probe' | 'leaving'
  /** What is said of the pod: `container web cannot pull its image nginx:11`. */
  readonly text: string
  readonly why: readonly string[]
  readonly since?: string
  readonly command: string
}

export interface Around { readonly nodes: readonly Node[]; readonly events: readonly Event[] }

/** undefined when it is ready and stays. */
export function unready(pod: Pod, around: Around): Unready | undefined {
  const describe = kubectl(pod.metadata.namespace, `describe pod ${pod.metadata.name}`)
  const ready = condition(pod, 'Ready')
  const base = { why: [], command: describe, ...(ready?.lastTransitionTime && { since: ready.lastTransitionTime }) }
  const { deletionTimestamp, deletionGracePeriodSeconds = 0 } = pod.metadata
  if (deletionTimestamp) {
    return { ...base, kind: 'leaving', text: 'terminating', since: new Date(Date.parse(deletionTimestamp) - deletionGracePeriodSeconds * 1000).toISOString() }
  }
  if (isPodReady(pod)) return undefined
  if (!pod.spec.nodeName) return { ...base, kind: 'start', ...unscheduled(pod) }
  const node = around.nodes.find(node => node.metadata.name === pod.spec.nodeName)
  if (node && !isNodeReady(node)) {
    return { ...base, kind: 'start', text: `its node ${node.metadata.name} is not ready`, command: `kubectl describe node ${node.metadata.name}` }
  }
  const found = ofContainers(pod, around) ?? ofGates(pod)
  if (found) return { ...base, ...found }
  return { ...base, kind: 'probe', text: 'not ready', why: ready?.message ? [brief(ready.message)] : [] }
}

const condition = (pod: Pod, type: string) => pod.status?.conditions?.find(condition => condition.type === type)

function unscheduled(pod: Pod): { text: string; why: string[]; since?: string } {
  const scheduled = condition(pod, 'PodScheduled')
  const since = scheduled?.lastTransitionTime ?? pod.metadata.creationTimestamp
  return { text: 'no node has been found for it', why: [scheduled?.message ? brief(scheduled.message) : 'The scheduler has not looked at it: does it run?'], ...(since && { since }) }
}

type Found = Pick<Unready, 'kind' | 'text' | 'why'> & Partial<Pick<Unready, 'since' | 'command'>>

function ofContainers(pod: Pod, around: Around): Found | undefined {
  const statuses = new Map([...pod.status?.initContainerStatuses ?? [], ...pod.status?.containerStatuses ?? []].map(status => [status.name, status]))
  const isDone = (status: ContainerStatus | undefined) => status?.state?.terminated?.exitCode === 0 || status?.ready === true
  const init = (pod.spec.initContainers ?? []).find(container => !isDone(statuses.get(container.name)))
  // Until the init containers are through, the others wait and say nothing.
  for (const container of init ? [init] : pod.spec.containers) {
    const status = statuses.get(container.name)
    if (!status?.ready) return ofContainer(pod, { container, status, init: container === init }, around)
  }
  return undefined
}

interface One { readonly container: Container; readonly status: ContainerStatus | undefined; readonly init: boolean }

function ofContainer(pod: Pod, { container, status, init }: One, { events }: Around): Found {
  const name = `${init ? 'init container' : 'container'} ${container.name}`
  const logs = kubectl(pod.metadata.namespace, `logs ${pod.metadata.name} -c ${container.name}`)
  const { waiting, terminated, running } = status?.state ?? {}
  if (waiting && /Image|Registry/.test(waiting.reason ?? '')) return image(pod, container, { name, reason: waiting.reason!, message: waiting.message, events })
  if (waiting?.reason === 'CrashLoopBackOff') {
    const last = status?.lastState?.terminated
    return { kind: 'start', text: `${name} ends again and again: CrashLoopBackOff`, command: `${logs} --previous`,
      why: [`It has been restarted ${status!.restartCount} times${last ? `; the last time it ended with exit status ${last.exitCode}${last.reason ? ` (${last.reason})` : ''}` : ''}.`] }
  }
  if (terminated) {
    return { kind: 'start', text: `${name} has ended with exit status ${terminated.exitCode}${terminated.reason ? ` (${terminated.reason})` : ''}`, why: terminated.message ? [brief(terminated.message)] : [],
      command: logs, ...(terminated.finishedAt && { since: terminated.finishedAt }) }
  }
  if (!running) {
    const warning = latest(events, pod, event => event.type === 'Warning')
    const why = warning?.message ?? waiting?.message
    return { kind: 'start', text: `${name} has not been started yet${waiting?.reason ? ` (${waiting.reason})` : ''}`, why: why ? [brief(why)] : [] }
  }
  if (init) return { kind: 'start', text: `${name} still runs; the others start after it`, why: [], command: logs }
  return probed(pod, container, { name, started: status?.started !== false, events, logs })
}

function image(pod: Pod, container: Container, { name, reason, message, events }: { name: string; reason: string; message: string | undefined; events: readonly Event[] }): Found {
  // In back-off the message says only that; the event of the failure says why.
  const failed = latest(events, pod, event => event.reason === 'Failed' && /pull image/.test(event.message ?? ''))
  const why = failed?.message ?? message
  return { kind: 'start', text: `${name} cannot pull its image ${container.image}: ${reason}`, why: why ? [brief(why)] : [],
    command: kubectl(pod.metadata.namespace, `set image ${workloadOf(pod)} ${container.name}=${(container.image ?? '').replace(/@.*|:[^/]*$/, '')}:TAG   # TAG: one that exists`) }
}

function probed(pod: Pod, container: Container, { name, started, events, logs }: { name: string; started: boolean; events: readonly Event[]; logs: string }): Found {
  const kind = !started && container.startupProbe ? 'startup' : 'readiness'
  const probe = kind === 'startup' ? container.startupProbe : container.readinessProbe
  if (!probe) return { kind: 'probe', text: `${name} runs and is not ready`, why: [], command: logs }
  const event = latest(events, pod, event => event.reason === 'Unhealthy' && new RegExp(`^${kind} probe`, 'i').test(event.message ?? ''))
  return { kind: 'probe', text: `the ${kind} probe of ${name} (${probeText(probe)}) does not succeed`, command: logs,
    why: event?.message ? [brief(event.message)] : [] }
}

export function probeText({ httpGet, tcpSocket, exec, grpc }: Probe): string {
  if (httpGet) return `GET ${httpGet.scheme === 'HTTPS' ? 'https://' : ''}${httpGet.host ?? ''}:${httpGet.port}${httpGet.path ?? '/'}`
  if (tcpSocket) return `TCP connection to ${tcpSocket.host ?? ''}:${tcpSocket.port}`
  if (grpc) return `gRPC health check on port ${grpc.port}`
  return brief(exec?.command?.join(' ') ?? '')
}

function ofGates(pod: Pod): Found | undefined {
  const gate = (pod.spec.readinessGates ?? []).find(({ conditionType }) => condition(pod, conditionType)?.status !== 'True')
  if (!gate) return undefined
  const found = condition(pod, gate.conditionType)
  return { kind: 'probe', text: `its readiness gate ${gate.conditionType} is ${found ? found.status : 'not set'}`,
    why: [found?.message ? brief(found.message) : 'Whoever sets this condition has not done so.'] }
}

const timeOf = (event: Event) => event.series?.lastObservedTime ?? event.lastTimestamp ?? event.eventTime ?? event.firstTimestamp ?? ''

function latest(events: readonly Event[], pod: Pod, wanted: (event: Event) => boolean): Event | undefined {
  return events.filter(event => event.involvedObject.uid === pod.metadata.uid && event.involvedObject.name === pod.metadata.name && wanted(event))
    .sort((a, b) => timeOf(a) < timeOf(b) ? 1 : -1)[0]
}
