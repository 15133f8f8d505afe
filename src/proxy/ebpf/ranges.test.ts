import assert from 'node:assert/strict'
import { test } from 'node:test'
import { randomNumbers } from '../random.ts'
import { ArrayFull, Ranges, sizeClass } from './ranges.ts'

test('what was freed rests before it is given out again', () => {
  const ranges = new Ranges(100, 10)
  const first = ranges.take(3, 0)
  ranges.give(first, 3, 5)
  assert.notEqual(ranges.take(3, 14), first)
  assert.equal(ranges.take(3, 15), first)
})

test('full is an error', () => {
  const ranges = new Ranges(4, 10)
  ranges.take(4, 0)
  assert.throws(() => ranges.take(1, 0), ArrayFull)
})

test('sizes: at least what was asked, at most half as much again and one', () => {
  for (let count = 1; count < 10_000; count++) assert.ok(sizeClass(count) >= count && sizeClass(count) <= count * 1.5 + 1, `${count} -> ${sizeClass(count)}`)
})

test('ranges in use never overlap', () => {
  const seed = Number(process.env.SEED ?? Date.now() % 1e9), random = randomNumbers(seed)
  const ranges = new Ranges(100_000, 3), used: { base: number; count: number }[] = [], owner = new Map<number, object>()
  for (let now = 0; now < 3000; now++) {
    if (used.length > 0 && random() < 0.5) {
      const [range] = used.splice(Math.floor(random() * used.length), 1)
      for (let i = 0; i < range!.count; i++) owner.delete(range!.base + i)
      ranges.give(range!.base, range!.count, now)
      continue
    }
    const count = 1 + Math.floor(random() * 20), range = { base: ranges.take(count, now), count }
    for (let i = 0; i < count; i++) { assert.ok(!owner.has(range.base + i), `SEED=${seed}`); owner.set(range.base + i, range) }
    used.push(range)
  }
})
