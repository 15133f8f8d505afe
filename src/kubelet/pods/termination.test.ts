import assert from 'node:assert/strict'
import { test } from 'node:test'
import { aContainer, aPod, aSandbox, aSnapshot, aSpec } from '../testing.ts'
import type { PodSnapshot } from './snapshot.ts'
import { terminationActions } from './termination.ts'

const deleted = (grace: number, spec = {}) => aPod(spec, { deletionTimestamp: '2026-01-01T00:00:00Z', deletionGracePeriodSeconds: grace })
const sidecars = { initContainers: [aSpec('s1', { restartPolicy: 'Always' }), aSpec('s2', { restartPolicy: 'Always' })], containers: [aSpec('a'), aSpec('b')] }
const running = (...names: string[]) => names.map(name => aContainer(name, 'running'))

const cases: [what: string, snapshot: Partial<PodSnapshot>, since: number | undefined, told: string][] = [
  ['waits for the proxies', { pod: deleted(30), containers: running('c'), drained: false }, undefined, ''],
  ['stops all main containers together', { pod: deleted(30, { containers: [aSpec('a'), aSpec('b')] }), containers: running('a', 'b') }, undefined, 'kill a 30, kill b 30'],
  ['with at least a second, also by force', { pod: deleted(0), containers: running('c') }, undefined, 'kill c 1'],
  ['not one that is being stopped', { pod: deleted(30), containers: running('c'), memory: new Map([['c', { busy: 'stopping' as const }]]) }, 0, ''],
  ['sidecars last, in reverse order', { pod: deleted(30, sidecars), containers: running('s1', 's2', 'a') }, undefined, 'kill a 30'],
  ['with what is left of the grace', { pod: deleted(30, sidecars), containers: running('s1', 's2'), now: 10_000 }, 0, 'kill s2 20'],
  ['or the minimum', { pod: deleted(30, sidecars), containers: running('s1'), now: 60_000 }, 0, 'kill s1 2'],
  ['then the sandbox', { pod: deleted(30), containers: [aContainer('c', 'exited')] }, 0, 'stop sandbox'],
  ['not while a container is being started', { pod: deleted(30), memory: new Map([['c', { busy: 'starting' as const }]]) }, undefined, ''],
  ['then it has stopped', { pod: deleted(30), sandbox: aSandbox({ state: 'notready' }), containers: [aContainer('c', 'exited')] }, 0, 'stopped'],
  ['a pod that never had a sandbox', { pod: deleted(30), sandbox: undefined }, undefined, 'stopped'],
  ['the deadline gives the whole grace', { pod: aPod({ activeDeadlineSeconds: 1, terminationGracePeriodSeconds: 7 }), now: 5000, containers: running('c') }, undefined, 'kill c 7'],
]
for (const [what, snapshot, since, expected] of cases) test(what, () => {
  const actions = terminationActions(aSnapshot(snapshot), since)
  const told = [...actions.kill.map(({ container, graceSeconds }) => `kill ${container.name} ${graceSeconds}`), ...(actions.stopSandbox ? ['stop sandbox'] : []), ...(actions.stopped ? ['stopped'] : [])]
  assert.equal(told.join(', '), expected)
})
