import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { PodStatus } from '#api/core/v1.ts'
import { aContainer, aPod, aSandbox, aSnapshot, aSpec } from '../testing.ts'
import { podActions } from './actions.ts'
import { lostContainers, type PodSnapshot } from './snapshot.ts'
import { podStatus } from './status.ts'

const idle = { start: [], kill: [], waiting: new Map() }
const statusOf = (snapshot: Partial<PodSnapshot>, previous?: PodStatus) => {
  const full = aSnapshot(snapshot)
  return podStatus(full, full.pod.metadata.deletionTimestamp ? { ...idle, stopped: true } : podActions(full), { hostIps: ['192.168.109.101'], previous })
}
/** `Running ready=False c:running#0`: phase, Ready, and each container's state and restarts. */
function told(status: PodStatus): string {
  const states = [...status.initContainerStatuses ?? [], ...status.containerStatuses ?? []].map(({ name, state, restartCount, ready }) =>
    `${name}:${state?.waiting?.reason ?? (state?.running ? 'running' : `${state?.terminated?.reason}(${state?.terminated?.exitCode})`)}#${restartCount}${ready ? '+' : ''}`)
  return [status.phase, `ready=${status.conditions!.find(({ type }) => type === 'Ready')!.status}`, ...states].join(' ')
}

const withInit = aPod({ initContainers: [aSpec('i')] })
const probed = aPod({ containers: [aSpec('c', { readinessProbe: {} })] })
const exit = (name: string, exitCode: number, rest = {}) => aContainer(name, 'exited', { exitCode, reason: exitCode ? 'Error' : 'Completed', ...rest })
const never = aPod({ restartPolicy: 'Never' })
const deleted = (pod = aPod()) => ({ ...pod, metadata: { ...pod.metadata, deletionTimestamp: 'now' } })

const cases: [what: string, snapshot: Partial<PodSnapshot>, told: string][] = [
  ['new', { sandbox: undefined }, 'Pending ready=False c:ContainerCreating#0'],
  ['with init containers', { pod: withInit }, 'Pending ready=False i:PodInitializing#0 c:PodInitializing#0'],
  ['initializing', { pod: withInit, containers: [aContainer('i', 'running')] }, 'Pending ready=False i:running#0 c:PodInitializing#0'],
  ['initialized', { pod: withInit, containers: [exit('i', 0), aContainer('c', 'running')] }, 'Running ready=True i:Completed(0)#0+ c:running#0+'],
  ['running', { containers: [aContainer('c', 'running')] }, 'Running ready=True c:running#0+'],
  ['not yet probed', { pod: probed, containers: [aContainer('c', 'running')] }, 'Running ready=False c:running#0'],
  ['probed', { pod: probed, containers: [aContainer('c', 'running')], probes: new Map([['c-0', { started: true, ready: true }]]) }, 'Running ready=True c:running#0+'],
  ['crashing', { containers: [exit('c', 1, { attempt: 2 })], memory: new Map([['c', { restart: { delayMs: 40_000, updatedAt: 0 } }]]) }, 'Running ready=False c:CrashLoopBackOff#2'],
  ['between end and restart', { containers: [exit('c', 1)] }, 'Running ready=False c:Error(1)#0'],
  ['succeeded', { pod: never, containers: [exit('c', 0)] }, 'Succeeded ready=False c:Completed(0)#0'],
  ['failed', { pod: never, containers: [exit('c', 1)] }, 'Failed ready=False c:Error(1)#0'],
  ['init failed for good', { pod: aPod({ restartPolicy: 'Never', initContainers: [aSpec('i')] }), containers: [exit('i', 1)] }, 'Failed ready=False i:Error(1)#0 c:PodInitializing#0'],
  ['one of two still runs', { pod: aPod({ restartPolicy: 'Never', containers: [aSpec('a'), aSpec('b')] }), containers: [exit('a', 1), aContainer('b', 'running')] }, 'Running ready=False a:Error(1)#0 b:running#0+'],
  ['one of two never started', { pod: aPod({ containers: [aSpec('a'), aSpec('b')] }), containers: [aContainer('a', 'running')] }, 'Pending ready=False a:running#0+ b:ContainerCreating#0'],
  ['stopped after deletion', { pod: deleted(), sandbox: aSandbox({ state: 'notready' }), containers: [exit('c', 143)] }, 'Failed ready=False c:Error(143)#0'],
  ['stopped with success', { pod: deleted(), sandbox: aSandbox({ state: 'notready' }), containers: [exit('c', 0)] }, 'Succeeded ready=False c:Completed(0)#0'],
]
for (const [what, snapshot, expected] of cases) test(what, () => assert.equal(told(statusOf(snapshot)), expected))

test('a restarted container tells how the one before ended', () => {
  const status = statusOf({ containers: [exit('c', 3, { finishedAt: 1000 }), aContainer('c', 'running', { attempt: 1 })] })
  assert.equal(status.containerStatuses![0]!.restartCount, 1)
  assert.deepEqual(status.containerStatuses![0]!.lastState!.terminated, { exitCode: 3, reason: 'Error', startedAt: '1970-01-01T00:00:00Z', finishedAt: '1970-01-01T00:00:01Z', containerID: 'fairway://c-0' })
})

test('transition times stay while a condition does', () => {
  const before = statusOf({ containers: [aContainer('c', 'running')], now: 1000 })
  const after = statusOf({ containers: [aContainer('c', 'running')], now: 9000 }, before)
  assert.deepEqual(after, before)
  const ended = statusOf({ pod: never, containers: [exit('c', 1)], now: 9000 }, before)
  assert.equal(ended.conditions!.find(({ type }) => type === 'Ready')!.lastTransitionTime, '1970-01-01T00:00:09Z')
  assert.equal(ended.conditions!.find(({ type }) => type === 'Initialized')!.lastTransitionTime, '1970-01-01T00:00:01Z')
})

test('what others wrote stays: qosClass and their conditions', () => {
  const gate = { type: 'example.com/gate', status: 'False', lastTransitionTime: 't' }
  const pod = aPod({ readinessGates: [{ conditionType: 'example.com/gate' }] })
  const status = statusOf({ pod, containers: [aContainer('c', 'running')] }, { qosClass: 'BestEffort', conditions: [gate] })
  assert.equal(status.qosClass, 'BestEffort')
  assert.deepEqual(status.conditions!.find(({ type }) => type === gate.type), gate)
  const ready = status.conditions!.find(({ type }) => type === 'Ready')!
  assert.equal(ready.reason, 'ReadinessGatesNotReady')
  assert.equal(ready.message, 'the status of pod readiness gate "example.com/gate" is not "True", but False')
})

test('after a crash of everything: a running container is lost, an ended one has ended', () => {
  const pod = { ...aPod({ containers: [aSpec('a'), aSpec('b'), aSpec('d')] }), status: { containerStatuses: [
    { name: 'a', image: '', imageID: '', ready: true, restartCount: 2, containerID: 'fairway://x', state: { running: { startedAt: '1970-01-01T00:00:01Z' } } },
    { name: 'b', image: '', imageID: '', ready: false, restartCount: 1, containerID: 'fairway://y', state: { waiting: { reason: 'CrashLoopBackOff' } }, lastState: { terminated: { exitCode: 4, containerID: 'fairway://y' } } },
    { name: 'd', image: '', imageID: '', ready: false, restartCount: 0, state: { waiting: { reason: 'ContainerCreating' } } },
  ] } }
  assert.deepEqual(lostContainers(pod, 5000).map(({ name, id, attempt, exitCode, reason }) => [name, id, attempt, exitCode, reason]),
    [['a', 'x', 2, 137, 'ContainerStatusUnknown'], ['b', 'y', 1, 4, 'Error']])
  const status = statusOf({ pod, sandbox: undefined, containers: lostContainers(pod, 5000) })
  assert.equal(status.containerStatuses![0]!.lastState!.terminated!.reason, 'ContainerStatusUnknown')
  assert.equal(status.containerStatuses![0]!.state!.waiting!.reason, 'ContainerCreating')
})
