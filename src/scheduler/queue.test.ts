import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Pod } from '#api/core/v1.ts'
import { SchedulingQueue } from './queue.ts'

const pod = (name: string, priority = 0): Pod => ({ metadata: { name, namespace: 'ns', uid: name }, spec: { containers: [], priority } })

test('by priority, then by arrival', () => {
  const queue = new SchedulingQueue()
  for (const each of [pod('a'), pod('b', 10), pod('c'), pod('d', 10)]) queue.set(each)
  assert.deepEqual([1, 2, 3, 4].map(() => queue.take()?.metadata.name), ['b', 'd', 'a', 'c'])
  assert.equal(queue.take(), undefined)
})

test('a parked pod waits for a change, and for twice as long after each attempt', () => {
  const queue = new SchedulingQueue(), a = pod('a')
  queue.set(a)
  let now = 0
  for (const wait of [20, 40, 80, 160, 320, 640, 1280, 2560, 5120, 10_000, 10_000]) {
    queue.park(queue.take()!, now)
    assert.equal(queue.wake(now), wait)
    assert.equal(queue.take(), undefined, 'still backing off')
    now += wait
    assert.equal(queue.wake(now), undefined)
  }
})

test('a status change does not bring a parked pod back, a change of its labels does', () => {
  const queue = new SchedulingQueue(), a = pod('a')
  queue.set(a)
  queue.park(queue.take()!, 0)
  queue.set({ ...structuredClone(a), status: { phase: 'Pending' } })
  assert.equal(queue.take(), undefined)
  queue.set({ ...structuredClone(a), metadata: { ...a.metadata, labels: { now: 'here' } } })
  assert.equal(queue.take()?.metadata.labels?.now, 'here')
})

test('a deleted pod is nowhere any more', () => {
  const queue = new SchedulingQueue(), a = pod('a')
  queue.set(a)
  const taken = queue.take()!
  queue.delete(a)
  queue.park(taken, 0)
  assert.equal(queue.parked, 0)
})
