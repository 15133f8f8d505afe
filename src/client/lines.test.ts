import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LineSplitter } from './lines.ts'

const bytes = (text: string) => new TextEncoder().encode(text)

test('lines come out whole wherever the chunks are cut, also inside a character', () => {
  const text = '{"a":1}\n{"ü":"…"}\n\r\n\n{"b":2}\n'
  const whole = bytes(text)
  for (let first = 0; first <= whole.length; first++) for (let second = first; second <= whole.length; second++) {
    const splitter = new LineSplitter()
    const lines = [whole.subarray(0, first), whole.subarray(first, second), whole.subarray(second)].flatMap(chunk => splitter.push(chunk))
    assert.deepEqual(lines, ['{"a":1}', '{"ü":"…"}', '{"b":2}'])
  }
})

test('what has no newline yet is held back', () => {
  const splitter = new LineSplitter()
  assert.deepEqual(splitter.push(bytes('{"a":')), [])
  assert.equal(splitter.rest(), '{"a":')
})

test('a line without end is refused', () => {
  const splitter = new LineSplitter(10)
  splitter.push(bytes('123456'))
  assert.throws(() => splitter.push(bytes('789012')), /longer than 10 bytes/)
})
