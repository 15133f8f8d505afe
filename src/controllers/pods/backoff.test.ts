// Failed pods are replaced ever later.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FailureBackoff } from './backoff.ts'

test('at once, then after 1 s, 2 s, ..., 15 min at most, and at once again after half an hour of peace', () => {
  const backoff = new FailureBackoff()
  const waits: number[] = []
  let now = 0
  for (let i = 0; i < 12; i++) {
    assert.equal(backoff.wait('u/0', now), 0)
    const wait = backoff.wait('u/0', now)
    waits.push(wait / 1000)
    now += wait
  }
  assert.deepEqual(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900])
  now += 1_800_000
  assert.equal(backoff.wait('u/0', now), 0)
  assert.equal(backoff.wait('u/0', now), 1000)
  assert.equal(backoff.wait('u/1', now), 0)
  backoff.forget('u')
  assert.equal(backoff.wait('u/0', now), 0)
})
