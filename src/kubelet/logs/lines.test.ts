import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LogFilter, logOptions, tailStart, type LogOptions } from './lines.ts'

const none: LogOptions = { follow: false, previous: false, timestamps: false }
const log = '2026-01-01T00:00:01.000000001Z stdout F one\n2026-01-01T00:00:02Z stderr F two\n2026-01-01T00:00:03Z stdout P thr\n2026-01-01T00:00:03Z stdout F ee\n2026-01-01T00:00:04Z stdout F \nbroken\n'

for (const [what, options, expected] of [
  ['all', {}, 'one\ntwo\nthree\n\n'],
  ['one stream', { stream: 'stderr' }, 'two\n'],
  ['since', { since: Date.parse('2026-01-01T00:00:03Z') }, 'three\n\n'],
  ['bytes', { limitBytes: 5 }, 'one\nt'],
  ['timestamps, once for a line in pieces', { timestamps: true, since: Date.parse('2026-01-01T00:00:02Z') }, '2026-01-01T00:00:02Z two\n2026-01-01T00:00:03Z three\n2026-01-01T00:00:04Z \n'],
] as [string, Partial<LogOptions>, string][]) for (const step of [1, 7, 1000]) test(`${what}, ${step} bytes at a time`, () => {
  const filter = new LogFilter({ ...none, ...options })
  let out = ''
  for (let at = 0; at < log.length; at += step) out += filter.push(Buffer.from(log.slice(at, at + step)))
  assert.equal(out, expected)
})

test('the query', () => {
  assert.deepEqual(logOptions(new URLSearchParams('follow=true&tailLines=5&limitBytes=9&sinceSeconds=3&timestamps=true&stream=Stderr'), 10_000),
    { follow: true, previous: false, timestamps: true, tailLines: 5, limitBytes: 9, since: 7000, stream: 'stderr' })
  assert.throws(() => logOptions(new URLSearchParams('tailLines=x'), 0), /invalid tailLines/)
  assert.throws(() => logOptions(new URLSearchParams('sinceTime=x'), 0), /RFC 3339/)
})

test('where the last lines begin', () => {
  assert.deepEqual(tailStart(Buffer.from('a\nb\nc\n'), 2), { start: 2, found: 3 })
  assert.deepEqual(tailStart(Buffer.from('a\nb\nc\n'), 3), { start: -1, found: 3 })
  assert.deepEqual(tailStart(Buffer.from('\n'), 0), { start: 1, found: 1 })
})
