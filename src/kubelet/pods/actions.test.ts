import assert from 'node:assert/strict'
import { test } from 'node:test'
import { aContainer, aPod, aSandbox, aSnapshot, aSpec } from '../testing.ts'
import { podActions } from './actions.ts'
import type { PodSnapshot } from './snapshot.ts'

/** One line for what is done: `sandbox#1`, `start a,b`, `kill c: why`, `stop sandbox`, `wait c: reason`, `wake 5000`, `stopped`. */
function told(snapshot: PodSnapshot): string {
  const actions = podActions(snapshot)
  return [
    ...(actions.createSandbox ? [`sandbox#${actions.createSandbox.attempt}`] : []),
    ...(actions.start.length ? [`start ${actions.start.join(',')}`] : []),
    ...actions.kill.map(({ container, message }) => `kill ${container.name}: ${message}`),
    ...(actions.stopSandbox ? ['stop sandbox'] : []),
    ...[...actions.waiting].map(([name, { reason }]) => `wait ${name}: ${reason}`),
    ...(actions.wakeAt !== undefined ? [`wake ${actions.wakeAt}`] : []),
    ...(actions.stopped ? ['stopped'] : []),
  ].join('; ')
}

const inits = (...names: string[]) => aPod({ initContainers: names.map(name => aSpec(name, name.startsWith('side') ? { restartPolicy: 'Always' } : {})) })
const dead = aSandbox({ state: 'notready' })
const never = aPod({ restartPolicy: 'Never' }), onFailure = aPod({ restartPolicy: 'OnFailure' })
const exit = (name: string, exitCode: number, rest = {}) => aContainer(name, 'exited', { exitCode, ...rest })

const cases: [what: string, snapshot: Partial<PodSnapshot>, told: string][] = [
  ['a new pod waits for its volumes', { sandbox: undefined, volumesReady: false }, ''],
  ['then gets a sandbox', { sandbox: undefined }, 'sandbox#0'],
  ['a sandbox under way is left alone', { sandbox: undefined, sandboxBusy: true }, ''],
  ['a sandbox that failed is tried again later', { sandbox: undefined, sandboxFailedAt: 0, now: 1000 }, 'wake 2000'],
  ['and then', { sandbox: undefined, sandboxFailedAt: 0, now: 2000 }, 'sandbox#0'],
  ['a dead sandbox is replaced', { sandbox: dead, containers: [exit('c', 137)] }, 'sandbox#1'],
  ['not for a pod that never restarts', { pod: never, sandbox: dead, containers: [exit('c', 137)] }, 'stopped'],
  ['nor for one that succeeded', { pod: onFailure, sandbox: dead, containers: [exit('c', 0)] }, 'stopped'],
  ['but for one that failed and restarts on failure', { pod: onFailure, sandbox: dead, containers: [exit('c', 1)] }, 'sandbox#1'],
  ['what still runs in a dead sandbox is killed first', { sandbox: dead, containers: [aContainer('c', 'running')] }, 'kill c: Pod sandbox changed, it will be killed and re-created.'],

  ['containers start in order', { pod: aPod({ containers: [aSpec('a'), aSpec('b')] }) }, 'start a,b'],
  ['a running one is left alone', { containers: [aContainer('c', 'running')] }, ''],
  ['one that is being started too', { memory: new Map([['c', { busy: 'starting' as const }]]) }, ''],
  ['an ended one starts again', { containers: [exit('c', 0)] }, 'start c'],
  ['at once the first time, then after its back-off', { containers: [exit('c', 1)], memory: new Map([['c', { restart: { delayMs: 10_000, updatedAt: 0 } }]]), now: 4000 }, 'wait c: CrashLoopBackOff; wake 10000'],
  ['when it is over', { containers: [exit('c', 1)], memory: new Map([['c', { restart: { delayMs: 10_000, updatedAt: 0 } }]]), now: 10_000 }, 'start c'],
  ['Never: an ended container ends the pod', { pod: never, containers: [exit('c', 1)] }, 'stop sandbox'],
  ['OnFailure: a failed one starts again', { pod: onFailure, containers: [exit('c', 1)] }, 'start c'],
  ['OnFailure: a successful one ends the pod', { pod: onFailure, containers: [exit('c', 0)] }, 'stop sandbox'],
  ['Never: one of two has ended', { pod: aPod({ restartPolicy: 'Never', containers: [aSpec('a'), aSpec('b')] }), containers: [exit('a', 0), aContainer('b', 'running')] }, ''],

  ['liveness', { containers: [aContainer('c', 'running')], probes: new Map([['c-0', { started: true, ready: true, failed: 'liveness' as const }]]) }, 'kill c: Container c failed liveness probe, will be restarted'],
  ['liveness without restart', { pod: never, containers: [aContainer('c', 'running')], probes: new Map([['c-0', { started: true, ready: true, failed: 'liveness' as const }]]) }, 'kill c: Container c failed liveness probe'],
  ['startup', { containers: [aContainer('c', 'running')], probes: new Map([['c-0', { started: false, ready: false, failed: 'startup' as const }]]) }, 'kill c: Container c failed startup probe, will be restarted'],
  ['another image', { containers: [aContainer('c', 'running')], memory: new Map([['c', { image: 'web:0' }]]) }, 'kill c: Container c definition changed, will be restarted'],
  ['a kill under way is not repeated', { containers: [aContainer('c', 'running')], memory: new Map([['c', { busy: 'stopping' as const }]]), probes: new Map([['c-0', { started: true, ready: true, failed: 'liveness' as const }]]) }, ''],

  ['init containers: the first', { pod: inits('i', 'j') }, 'start i'],
  ['none while one runs', { pod: inits('i', 'j'), containers: [aContainer('i', 'running')] }, ''],
  ['the next after success', { pod: inits('i', 'j'), containers: [exit('i', 0)] }, 'start j'],
  ['again after failure', { pod: inits('i', 'j'), containers: [exit('i', 1)] }, 'start i'],
  ['Never: a failed one ends the pod', { pod: { ...inits('i'), spec: { ...inits('i').spec, restartPolicy: 'Never' } }, containers: [exit('i', 1)] }, 'stop sandbox'],
  ['the main ones after the last', { pod: inits('i', 'j'), containers: [exit('i', 0), exit('j', 0)] }, 'start c'],
  ['init containers are done once a main one ran', { pod: inits('i'), containers: [aContainer('c', 'running')] }, ''],
  ['a new sandbox runs them again', { pod: inits('i'), sandbox: aSandbox({ id: 's2' }), containers: [exit('i', 0), exit('c', 137)] }, 'start i'],

  ['a sidecar starts in its turn', { pod: inits('i', 'side', 'j'), containers: [exit('i', 0)] }, 'start side'],
  ['the next waits for its startup probe', { pod: inits('side', 'j'), containers: [aContainer('side', 'running')], probes: new Map([['side-0', { started: false, ready: false }]]) }, ''],
  ['and then starts while it runs on', { pod: inits('side', 'j'), containers: [aContainer('side', 'running')] }, 'start j'],
  ['a sidecar that ended starts again beside the main container', { pod: inits('side'), containers: [exit('side', 0), aContainer('c', 'running')] }, 'start side'],
  ['when the main containers are done the sidecar goes first', { pod: { ...inits('side'), spec: { ...inits('side').spec, restartPolicy: 'Never' } }, containers: [aContainer('side', 'running'), exit('c', 0)] }, 'kill side: Stopping container side'],
  ['then the sandbox', { pod: { ...inits('side'), spec: { ...inits('side').spec, restartPolicy: 'Never' } }, containers: [exit('side', 143), exit('c', 0)] }, 'stop sandbox'],

  ['a pull that failed: ErrImagePull for a moment', { memory: new Map([['c', { failure: { reason: 'ErrImagePull', message: 'no', at: 0 }, pull: { delayMs: 10_000, updatedAt: 0 } }]]), now: 500 }, 'wait c: ErrImagePull; wake 2000'],
  ['then ImagePullBackOff', { memory: new Map([['c', { failure: { reason: 'ErrImagePull', message: 'no', at: 0 }, pull: { delayMs: 10_000, updatedAt: 0 } }]]), now: 2000 }, 'wait c: ImagePullBackOff; wake 10000'],
  ['then again', { memory: new Map([['c', { failure: { reason: 'ErrImagePull', message: 'no', at: 0 }, pull: { delayMs: 10_000, updatedAt: 0 } }]]), now: 10_000 }, 'start c; wait c: ImagePullBackOff'],
  ['one container that cannot start does not hold up the others', { pod: aPod({ containers: [aSpec('c'), aSpec('d')] }), memory: new Map([['c', { failure: { reason: 'CreateContainerConfigError', message: 'no', at: 0 } }]]), now: 500 }, 'start d; wait c: CreateContainerConfigError; wake 10000'],
]
for (const [what, snapshot, expected] of cases) test(what, () => assert.equal(told(aSnapshot(snapshot)), expected))

test('a probe may have a grace period of its own', () => {
  const pod = aPod({ containers: [aSpec('c', { livenessProbe: { terminationGracePeriodSeconds: 3 } })] })
  const { kill } = podActions(aSnapshot({ pod, containers: [aContainer('c', 'running')], probes: new Map([['c-0', { started: true, ready: true, failed: 'liveness' }]]) }))
  assert.equal(kill[0]!.graceSeconds, 3)
})
