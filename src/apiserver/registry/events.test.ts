import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Event } from '#api/core/v1.ts'
import type { Event as EventV1 } from '#api/events/v1.ts'
import { toCoreEvent, toEventV1 } from './events.ts'

const core: Event = { apiVersion: 'v1', kind: 'Event', metadata: { name: 'e', namespace: 'd' }, involvedObject: { kind: 'Pod', name: 'p', namespace: 'd' }, reason: 'Pulled', message: 'text', type: 'Normal',
  source: { component: 'kubelet', host: 'n' }, firstTimestamp: 'a', lastTimestamp: 'b', count: 3, reportingComponent: 'kubelet', reportingInstance: 'n', related: { kind: 'Node' }, action: 'x', series: { count: 2, lastObservedTime: 'c' } }
const v1: EventV1 = { apiVersion: 'events.k8s.io/v1', kind: 'Event', metadata: core.metadata, regarding: core.involvedObject, reason: 'Pulled', note: 'text', type: 'Normal',
  deprecatedSource: core.source!, deprecatedFirstTimestamp: 'a', deprecatedLastTimestamp: 'b', deprecatedCount: 3, reportingController: 'kubelet', reportingInstance: 'n', related: { kind: 'Node' }, action: 'x',
  series: { count: 2, lastObservedTime: 'c' } } as EventV1

test('one event in both APIs, nothing lost either way', () => {
  assert.deepEqual(toEventV1(core), v1)
  assert.deepEqual(toCoreEvent(v1), core)
})

test('an event of few fields keeps few', () => {
  const small = { apiVersion: 'v1', kind: 'Event', metadata: { name: 'e' }, involvedObject: {} } as Event
  assert.deepEqual(toCoreEvent(toEventV1(small)), small)
  assert.deepEqual(Object.keys(toEventV1(small)).sort(), ['apiVersion', 'kind', 'metadata', 'regarding'])
})
