// STATUS, READY and RESTARTS of `kubectl get pods` for every state that a pod shows.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ContainerStatus, Pod } from '#api/core/v1.ts'
import { table } from '../table.ts'
import { pods } from './strategy.ts'

const now = Date.parse('2026-11-21T12:00:00Z')
const at = (seconds: number) => new Date(now - seconds * 1000).toISOString().slice(0, 19) + 'Z'

type State = NonNullable<ContainerStatus['state']>
const waiting = (reason: string): State => ({ waiting: { reason } })
const running: State = { running: { startedAt: at(60) } }
const ended = (exitCode: number, reason?: string, signal?: number): State => ({ terminated: { exitCode, ...(reason && { reason }), ...(signal && { signal }) } })
const status = (name: string, state: State, more: Partial<ContainerStatus> = {}): ContainerStatus =>
  ({ name, image: 'x', imageID: '', restartCount: 0, ready: Boolean(state.running), state, ...more })

interface Case { phase?: string; reason?: string; containers?: ContainerStatus[]; init?: ContainerStatus[]; spec?: object; meta?: object; conditions?: object[] }

function row({ phase = 'Running', reason, containers = [], init = [], spec = {}, meta = {}, conditions = [] }: Case) {
  const names = containers.length > 0 ? containers.map(one => one.name) : ['c']
  const pod = { metadata: { name: 'p', namespace: 'd', creationTimestamp: at(90), ...meta },
    spec: { containers: names.map(name => ({ name, image: 'x' })), initContainers: init.map(one => ({ name: one.name, image: 'x' })), ...spec },
    status: { phase, ...(reason && { reason }), containerStatuses: containers, initContainerStatuses: init, conditions } } as unknown as Pod
  const { rows } = table(pods as never, [pod], { now, includeObject: 'None', resourceVersion: '1', withColumns: true })
  return rows[0]!.cells as string[]
}

const cases: [name: string, pod: Case, ready: string, status: string, restarts: string][] = [
  ['just created', { phase: 'Pending' }, '0/1', 'Pending', '0'],
  ['gated', { phase: 'Pending', conditions: [{ type: 'PodScheduled', status: 'False', reason: 'SchedulingGated' }] }, '0/1', 'SchedulingGated', '0'],
  ['creating', { phase: 'Pending', containers: [status('c', waiting('ContainerCreating'))] }, '0/1', 'ContainerCreating', '0'],
  ['a bad image', { phase: 'Pending', containers: [status('c', waiting('ErrImagePull'))] }, '0/1', 'ErrImagePull', '0'],
  ['running', { containers: [status('c', running)] }, '1/1', 'Running', '0'],
  ['restarted', { containers: [status('c', running, { restartCount: 1, lastState: { terminated: { exitCode: 1, finishedAt: at(5) } } })] }, '1/1', 'Running', '1 (5s ago)'],
  ['crash loop', { containers: [status('c', waiting('CrashLoopBackOff'), { restartCount: 3, lastState: { terminated: { exitCode: 1, finishedAt: at(41) } } })] }, '0/1', 'CrashLoopBackOff', '3 (41s ago)'],
  ['one of two ready', { containers: [status('a', running), status('b', running, { ready: false })] }, '1/2', 'Running', '0'],
  ['completed', { phase: 'Succeeded', containers: [status('c', ended(0, 'Completed'))] }, '0/1', 'Completed', '0'],
  ['failed', { phase: 'Failed', containers: [status('c', ended(1, 'Error'))] }, '0/1', 'Error', '0'],
  ['an exit code without a reason', { phase: 'Failed', containers: [status('c', ended(7))] }, '0/1', 'ExitCode:7', '0'],
  ['a signal without a reason', { phase: 'Failed', containers: [status('c', ended(137, undefined, 9))] }, '0/1', 'Signal:9', '0'],
  ['killed for memory', { containers: [status('c', ended(137, 'OOMKilled'))] }, '0/1', 'OOMKilled', '0'],
  ['one ended, one runs, pod ready', { containers: [status('a', ended(0, 'Completed')), status('b', running)], conditions: [{ type: 'Ready', status: 'True' }] }, '1/2', 'Running', '0'],
  ['one ended, one runs, pod not ready', { containers: [status('a', ended(0, 'Completed')), status('b', running)] }, '1/2', 'NotReady', '0'],
  ['evicted', { phase: 'Failed', reason: 'Evicted' }, '0/1', 'Evicted', '0'],
  ['terminating', { containers: [status('c', running)], meta: { deletionTimestamp: at(1) } }, '1/1', 'Terminating', '0'],
  ['terminating after its end', { phase: 'Succeeded', containers: [status('c', ended(0, 'Completed'))], meta: { deletionTimestamp: at(1) } }, '0/1', 'Completed', '0'],
  ['its node lost', { reason: 'NodeLost', meta: { deletionTimestamp: at(1) } }, '0/1', 'Unknown', '0'],
  ['first init container', { phase: 'Pending', init: [status('i', waiting('PodInitializing')), status('j', waiting('PodInitializing'))], containers: [status('c', waiting('PodInitializing'))] }, '0/1', 'Init:0/2', '0'],
  ['second init container', { phase: 'Pending', init: [status('i', ended(0, 'Completed')), status('j', running)] }, '0/1', 'Init:1/2', '0'],
  ['a failing init container', { phase: 'Pending', init: [status('i', ended(1, 'Error'), { restartCount: 2, lastState: { terminated: { exitCode: 1, finishedAt: at(10) } } })] }, '0/1', 'Init:Error', '2 (10s ago)'],
  ['an init container without a reason', { phase: 'Pending', init: [status('i', ended(3))] }, '0/1', 'Init:ExitCode:3', '0'],
  ['an init container in a loop', { phase: 'Pending', init: [status('i', waiting('CrashLoopBackOff'))] }, '0/1', 'Init:CrashLoopBackOff', '0'],
  ['initialized: their restarts no longer count', { init: [status('i', ended(0, 'Completed'), { restartCount: 4 })], containers: [status('c', running)] }, '1/1', 'Running', '0'],
  ['a sidecar counts as a container', { init: [status('s', running, { started: true, restartCount: 1 })], spec: { initContainers: [{ name: 's', image: 'x', restartPolicy: 'Always' }] }, containers: [status('c', running)] }, '2/2', 'Running', '1'],
]
for (const [name, pod, ready, word, restarts] of cases) test(name, () => assert.deepEqual(row(pod).slice(1, 4), [ready, word, restarts]))

test('wide columns', () => {
  assert.deepEqual(row({ phase: 'Pending' }), ['p', '0/1', 'Pending', '0', '90s', '<none>', '<none>', '<none>', '<none>'])
  assert.deepEqual(row({ containers: [status('c', running)], spec: { nodeName: 'k8s-node01', readinessGates: [{ conditionType: 'a/b' }, { conditionType: 'a/c' }] }, conditions: [{ type: 'a/b', status: 'True' }] }).slice(6),
    ['k8s-node01', '<none>', '1/2'])
})
