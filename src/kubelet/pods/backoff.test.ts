import assert from 'node:assert/strict'
import { test } from 'node:test'
import { duration, nextBackoff, retryAt, type Backoff } from './backoff.ts'

test('10 s, doubling, at most 5 minutes; afresh after 10 minutes of running', () => {
  let entry: Backoff | undefined, now = 0
  const waits: number[] = []
  for (let i = 0; i < 7; i++) {
    const endedAt = now + 1000
    const until = retryAt(entry, endedAt)
    waits.push((until - endedAt) / 1000)
    entry = nextBackoff(entry, endedAt, until)
    now = until
  }
  assert.deepEqual(waits, [0, 10, 20, 40, 80, 160, 300])
  const later = now + 600_001
  assert.equal(retryAt(entry, later), later)
  assert.equal(nextBackoff(entry, later, later).delayMs, 10_000)
})

for (const [ms, text] of [[10_000, '10s'], [80_000, '1m20s'], [300_000, '5m0s'], [3_600_000, '1h0m0s']] as const)
  test(`${ms} ms as ${text}`, () => assert.equal(duration(ms), text))
