import assert from 'node:assert/strict'
import { test } from 'node:test'
import { milliUnits, units } from './quantity.ts'

for (const [text, whole, milli] of [
  ['100m', 1, 100], ['1', 1, 1000], ['1.5', 2, 1500], ['.5', 1, 500], ['64Mi', 67108864, 67108864000], ['1.5Gi', 1610612736, 1610612736000], ['2k', 2000, 2000000], ['1e3', 1000, 1000000],
  ['5E-1', 1, 500], ['12E', 12e18, 12e21], ['0', 0, 0], ['', undefined, undefined], ['x', undefined, undefined], ['1 Mi', undefined, undefined], ['.', undefined, undefined],
] as const) test(`${JSON.stringify(text)}`, () => assert.deepEqual([units(text), milliUnits(text)], [whole, milli]))
