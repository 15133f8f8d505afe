// The conditions that the kubelet sets on a pod, in upstream's order and words. Pure: transition times
// come from the previous conditions where nothing changed; conditions of others are kept.
import type { ContainerStatus, PodCondition } from '#api/core/v1.ts'
import { time } from '#lib/clock.ts'
import { isSidecar, type PodSnapshot } from './snapshot.ts'

interface Facts { readonly phase: string; readonly initContainerStatuses: readonly ContainerStatus[]; readonly containerStatuses: readonly ContainerStatus[] }
type Verdict = Pick<PodCondition, 'status' | 'reason' | 'message'>

export function podConditions(snapshot: PodSnapshot, facts: Facts, previous: readonly PodCondition[]): PodCondition[] {
  const containersReady = containersVerdict(snapshot, facts)
  const own: Record<string, Verdict> = {
    PodReadyToStartContainers: { status: snapshot.sandbox?.state === 'ready' && snapshot.sandbox.ips.length > 0 ? 'True' : 'False' },
    Initialized: initializedVerdict(snapshot, facts),
    Ready: readyVerdict(snapshot, containersReady, previous),
    ContainersReady: containersReady,
    PodScheduled: { status: 'True' },
  }
  const foreign = previous.filter(({ type }) => !Object.hasOwn(own, type))
  return [...Object.entries(own).map(([type, verdict]) => condition(type, verdict, snapshot, previous)), ...foreign]
}

function condition(type: string, verdict: Verdict, snapshot: PodSnapshot, previous: readonly PodCondition[]): PodCondition {
  const before = previous.find(other => other.type === type)
  const { generation } = snapshot.pod.metadata
  return {
    type, status: verdict.status,
    lastTransitionTime: before?.status === verdict.status && before.lastTransitionTime ? before.lastTransitionTime : time(snapshot.now),
    ...(verdict.reason && { reason: verdict.reason }), ...(verdict.message && { message: verdict.message }),
    ...(generation !== undefined && { observedGeneration: generation }),
  }
}

function initializedVerdict(snapshot: PodSnapshot, facts: Facts): Verdict {
  if (facts.phase === 'Succeeded') return { status: 'True', reason: 'PodCompleted' }
  const begun = facts.containerStatuses.some(status => status.state?.running || status.state?.terminated || status.lastState?.terminated)
  const incomplete = (snapshot.pod.spec.initContainers ?? []).filter(spec => {
    const status = facts.initContainerStatuses.find(({ name }) => name === spec.name)
    return isSidecar(spec) ? !status?.started && !begun : !status?.ready
  })
  return incomplete.length === 0 || (begun && snapshot.pod.spec.restartPolicy !== 'Never' && facts.containerStatuses.some(status => status.state?.running))
    ? { status: 'True' }
    : { status: 'False', reason: 'ContainersNotInitialized', message: `containers with incomplete status: [${incomplete.map(({ name }) => name).join(' ')}]` }
}

function containersVerdict(snapshot: PodSnapshot, facts: Facts): Verdict {
  if (facts.phase === 'Succeeded') return { status: 'False', reason: 'PodCompleted' }
  if (facts.phase === 'Failed') return { status: 'False', reason: 'PodFailed' }
  const sidecars = new Set(snapshot.pod.spec.initContainers?.filter(isSidecar).map(({ name }) => name))
  const counted = [...facts.initContainerStatuses.filter(({ name }) => sidecars.has(name)), ...facts.containerStatuses]
  const unready = counted.filter(status => !status.ready)
  return unready.length === 0 ? { status: 'True' }
    : { status: 'False', reason: 'ContainersNotReady', message: `containers with unready status: [${unready.map(({ name }) => name).join(' ')}]` }
}

function readyVerdict(snapshot: PodSnapshot, containersReady: Verdict, previous: readonly PodCondition[]): Verdict {
  if (containersReady.status !== 'True') return containersReady
  const problems = (snapshot.pod.spec.readinessGates ?? []).flatMap(({ conditionType }) => {
    const gate = previous.find(({ type }) => type === conditionType)
    if (!gate) return [`corresponding condition of pod readiness gate "${conditionType}" does not exist.`]
    return gate.status === 'True' ? [] : [`the status of pod readiness gate "${conditionType}" is not "True", but ${gate.status}`]
  })
  return problems.length === 0 ? { status: 'True' } : { status: 'False', reason: 'ReadinessGatesNotReady', message: problems.join(', ') }
}
