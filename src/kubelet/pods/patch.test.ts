import assert from 'node:assert/strict'
import { test } from 'node:test'
import { statusPatch } from './patch.ts'

const condition = (type: string, status: string, rest = {}) => ({ type, status, ...rest })

test('nothing changed, no patch', () => assert.equal(statusPatch('u', { phase: 'Running' }, { phase: 'Running' }), undefined))

test('only what changed travels', () => {
  assert.deepEqual(statusPatch('u', { phase: 'Pending', hostIP: '1', conditions: [condition('A', 'True'), condition('B', 'False', { reason: 'x' })] },
    { phase: 'Running', hostIP: '1', conditions: [condition('A', 'True'), condition('B', 'True')] }),
  { metadata: { uid: 'u' }, status: { phase: 'Running', conditions: [condition('B', 'True', { reason: null })] } })
})

test('what goes is said: fields by null, merged items by $patch', () => {
  assert.deepEqual(statusPatch('u', { reason: 'x', podIPs: [{ ip: '10.0.0.1' }] }, { podIPs: [{ ip: '10.0.0.2' }] }),
    { metadata: { uid: 'u' }, status: { reason: null, podIPs: [{ ip: '10.0.0.2' }, { $patch: 'delete', ip: '10.0.0.1' }] } })
})
