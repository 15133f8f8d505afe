import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Event } from '#api/core/v1.ts'
import { EventCorrelator } from './correlate.ts'

let number = 0
const event = (message: string, name = 'pod', reason = 'Failed'): Event => ({ metadata: { name: `e${number++}`, namespace: 'n' }, type: 'Warning', reason, message,
  involvedObject: { kind: 'Pod', namespace: 'n', name, uid: name }, source: { component: 'kubelet' }, firstTimestamp: `t${number}` })
const show = (correlator: EventCorrelator, each: Event, now = 0): string => {
  const result = correlator.correlate(each, now)
  return result.act === 'drop' ? 'drop' : `${result.act} ${result.event.metadata.name === each.metadata.name ? 'own' : 'earlier'} x${result.event.count} ${result.event.message}`
}

test('the same again is counted on the first, whose first time it keeps', () => {
  const correlator = new EventCorrelator(), first = event('no')
  assert.equal(show(correlator, first), 'create own x1 no')
  assert.equal(show(correlator, event('no')), 'update earlier x2 no')
  const third = correlator.correlate(event('no'), 0)
  assert.ok(third.act === 'update' && third.event.firstTimestamp === first.firstTimestamp)
  assert.equal(show(correlator, event('no', 'another')), 'create own x1 no')
})

test('ten different messages of one reason become one', () => {
  const correlator = new EventCorrelator()
  for (let i = 0; i < 9; i++) assert.equal(show(correlator, event(`m${i}`)), `create own x1 m${i}`)
  assert.equal(show(correlator, event('m9')), 'create own x1 (combined from similar events): m9')
  assert.equal(show(correlator, event('m10')), 'update earlier x2 (combined from similar events): m10')
  assert.equal(show(correlator, event('other', 'pod', 'Pulled')), 'create own x1 other')
  assert.equal(show(correlator, event('m11'), 600_001), 'create own x1 m11')
})

test('25 at once for one object, then one in five minutes', () => {
  const correlator = new EventCorrelator()
  const acts = Array.from({ length: 30 }, () => show(correlator, event('no')).split(' ')[0])
  assert.equal(acts.filter(act => act === 'drop').length, 5)
  assert.equal(show(correlator, event('no')), 'drop')
  assert.match(show(correlator, event('no'), 300_000), /^update/)
  assert.equal(show(correlator, event('no'), 300_000), 'drop')
})
