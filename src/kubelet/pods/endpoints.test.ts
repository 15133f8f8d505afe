import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { EndpointConditions, EndpointSlice } from '#api/discovery/v1.ts'
import { aPod } from '../testing.ts'
import { drain, podOffer } from './endpoints.ts'

const slice = (uid: string, conditions: EndpointConditions): EndpointSlice =>
  ({ metadata: { name: 's' }, addressType: 'IPv4', endpoints: [{ addresses: ['10.244.1.2'], conditions, targetRef: { uid } }] })

for (const [what, slices, offer] of [
  ['in no slice', [slice('other', { ready: true })], { held: false, offered: false }],
  ['ready', [slice('u', { ready: true })], { held: true, offered: true }],
  ['nothing said counts as ready', [slice('u', {})], { held: true, offered: true }],
  ['not ready', [slice('u', { ready: false })], { held: true, offered: false }],
  ['terminating', [slice('u', { ready: true, terminating: true })], { held: true, offered: false }],
  ['one of two still offers it', [slice('u', { ready: false }), slice('u', { ready: true })], { held: true, offered: true }],
] as const) test(what, () => assert.deepEqual(podOffer(slices as unknown as EndpointSlice[], 'u'), offer))

const ready = { ...aPod({}, { deletionTimestamp: 'now', deletionGracePeriodSeconds: 30 }), status: { conditions: [{ type: 'Ready', status: 'True' }] } }
const offered = { held: true, offered: true }, quiet = { held: true, offered: false }

test('offered: waits for the slices, then the margin', () => {
  const first = drain(ready, offered, undefined, 1000)
  assert.deepEqual(first, { drain: { since: 1000 }, done: false, wakeAt: 3000 })
  const second = drain(ready, quiet, first.drain, 1200)
  assert.deepEqual([second.done, second.wakeAt], [false, 1700])
  assert.equal(drain(ready, quiet, second.drain, 1699).done, false)
  assert.equal(drain(ready, quiet, second.drain, 1700).done, true)
})
test('removed from its slice altogether: the margin still counts', () => {
  const second = drain(ready, quiet, drain(ready, offered, undefined, 0).drain, 100)
  assert.equal(drain(ready, { held: false, offered: false }, second.drain, 200).done, false)
  assert.equal(drain(ready, { held: false, offered: false }, second.drain, 600).done, true)
})
test('never longer than two seconds, nor half the grace', () => {
  assert.equal(drain(ready, offered, { since: 0 }, 2000).done, true)
  const short = { ...ready, metadata: { ...ready.metadata, deletionGracePeriodSeconds: 1 } }
  assert.equal(drain(short, offered, { since: 0 }, 500).done, true)
})
for (const [what, pod, offer] of [
  ['in no slice', ready, { held: false, offered: false }],
  ['on the host network', { ...ready, spec: { ...ready.spec, hostNetwork: true } }, offered],
  ['not ready anyway', { ...ready, status: {} }, offered],
] as const) test(`at once: ${what}`, () => assert.equal(drain(pod, offer, undefined, 0).done, true))
