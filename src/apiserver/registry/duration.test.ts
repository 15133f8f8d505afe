import assert from 'node:assert/strict'
import { test } from 'node:test'
import { humanDuration, since } from './duration.ts'

test('ages as duration.HumanDuration writes them', () => {
  const s = 1, m = 60, h = 3600, d = 86400, y = 365 * d
  const cases: [seconds: number, text: string][] = [[-2 * s, '<invalid>'], [-1 * s, '0s'], [0, '0s'], [70 * s, '70s'], [119 * s, '119s'], [2 * m, '2m'], [3 * m + 10, '3m10s'],
    [9 * m + 59, '9m59s'], [10 * m, '10m'], [179 * m, '179m'], [3 * h, '3h'], [3 * h + 5 * m, '3h5m'], [7 * h + 59 * m, '7h59m'], [8 * h, '8h'], [47 * h, '47h'], [2 * d, '2d'],
    [2 * d + 3 * h, '2d3h'], [8 * d, '8d'], [729 * d, '729d'], [2 * y, '2y'], [2 * y + 100 * d, '2y100d'], [8 * y, '8y']]
  for (const [seconds, text] of cases) assert.equal(humanDuration(seconds * 1000), text, String(seconds))
  assert.equal(since(undefined, 0), '<unknown>')
})
