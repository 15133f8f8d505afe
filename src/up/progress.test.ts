import assert from 'node:assert/strict'
import { test } from 'node:test'
import { progressLine } from './progress.ts'

const stream = (isTTY: boolean) => {
  let text = ''
  return { isTTY, write(chunk: string) { text += chunk; return true }, text: () => text } as unknown as NodeJS.WriteStream & { text(): string }
}

test('what takes less than a second shows nothing', t => {
  t.mock.timers.enable({ apis: ['setInterval'] })
  const out = stream(true), progress = progressLine(out)
  progress.show('making the fabric')
  t.mock.timers.tick(900)
  progress.end()
  assert.equal(out.text(), '')
})

test('on a terminal one line follows every change and is gone at the end', t => {
  t.mock.timers.enable({ apis: ['setInterval'] })
  const out = stream(true), progress = progressLine(out)
  progress.show('first')
  t.mock.timers.tick(1000)
  progress.show('second')
  progress.end()
  assert.equal(out.text(), '\r\x1b[2Kfirst ...\r\x1b[2Ksecond ...\r\x1b[2K')
})

test('elsewhere there is a line a second at most, and none without news', t => {
  t.mock.timers.enable({ apis: ['setInterval'] })
  const out = stream(false), progress = progressLine(out)
  for (const text of ['a', 'b', 'c']) progress.show(text)
  t.mock.timers.tick(1000)
  progress.show('d')
  progress.show('e')
  t.mock.timers.tick(1000)
  t.mock.timers.tick(1000)
  progress.end()
  assert.equal(out.text(), 'c ...\ne ...\n')
})
