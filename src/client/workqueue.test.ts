import assert from 'node:assert/strict'
import { test } from 'node:test'
import { silent } from '#lib/log.ts'
import { handClock } from './handclock.ts'
import { runWorkers, WorkQueue } from './workqueue.ts'

test('a key that waits is there once', async () => {
  const queue = new WorkQueue()
  for (const key of ['a', 'b', 'a']) queue.add(key)
  assert.equal(queue.length, 2)
  assert.equal(await queue.get(), 'a')
  assert.equal(await queue.get(), 'b')
})

test('a key added while a worker has it comes again only when done', async () => {
  const queue = new WorkQueue()
  queue.add('a')
  await queue.get()
  queue.add('a'); queue.add('a')
  assert.equal(queue.length, 0)
  queue.done('a')
  assert.equal(queue.length, 1)
})

test('no two workers have one key at once, and each addition is followed by a run', async () => {
  const queue = new WorkQueue()
  const busy = new Set<string>(), runs = new Map<string, number>()
  const done = runWorkers(queue, { log: silent, workers: 4, sync: async key => {
    assert.ok(!busy.has(key), `${key} twice at once`)
    busy.add(key)
    await new Promise(setImmediate)
    busy.delete(key)
    runs.set(key, (runs.get(key) ?? 0) + 1)
  } })
  for (let i = 0; i < 100; i++) { queue.add(`k${i % 7}`); if (i % 10 === 0) await new Promise(setImmediate) }
  while (queue.length > 0 || busy.size > 0) await new Promise(setImmediate)
  queue.shutdown()
  await done
  assert.equal(runs.size, 7)
})

test('failures wait 5, 10, 20 ms, up to the maximum, until forgotten', async () => {
  const clock = handClock()
  const queue = new WorkQueue({ clock, maxDelay: 15 })
  const due: number[] = []
  for (let i = 0; i < 4; i++) {
    queue.addRateLimited('a')
    const from = clock.now()
    while (queue.length === 0) await clock.advance(1)
    due.push(clock.now() - from)
    queue.done((await queue.get())!)
  }
  assert.deepEqual(due, [5, 10, 15, 15])
  queue.forget('a')
  assert.equal(queue.failures('a'), 0)
})

test('of several waits of one key the shortest counts', async () => {
  const clock = handClock()
  const queue = new WorkQueue({ clock })
  queue.addAfter('a', 100); queue.addAfter('a', 10); queue.addAfter('a', 50)
  await clock.advance(10)
  assert.equal(await queue.get(), 'a')
  queue.done('a')
  await clock.advance(1000)
  assert.equal(queue.length, 0)
})

test('a failed sync comes again and a success forgets its failures', async () => {
  const queue = new WorkQueue({ baseDelay: 1 })
  let runs = 0
  const done = runWorkers(queue, { log: silent, sync: async () => { if (++runs < 3) throw new Error('not yet') } })
  queue.add('a')
  while (runs < 3) await new Promise(resolve => setTimeout(resolve, 1))
  await new Promise(setImmediate)
  assert.equal(queue.failures('a'), 0)
  queue.shutdown()
  await done
})

test('shutdown ends waiting workers and takes nothing in', async () => {
  const queue = new WorkQueue()
  const got = queue.get()
  queue.shutdown()
  queue.add('a'); queue.addAfter('b', 1)
  assert.equal(await got, undefined)
  assert.equal(await queue.get(), undefined)
})
