import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatPortRange, parsePortRange } from './ports.ts'

test('port ranges as --service-node-port-range takes them', () => {
  const cases: [text: string, from: number, to: number][] = [
    ['30000-32767', 30000, 32767], [' 30000-32767 ', 30000, 32767], ['30000+100', 30000, 30100], ['8080', 8080, 8080], ['1-65535', 1, 65535], ['0-0', 0, 0]]
  for (const [text, from, to] of cases) assert.deepEqual(parsePortRange(text), { from, to }, text)
  assert.equal(formatPortRange({ from: 30000, to: 32767 }), '30000-32767')
})

test('what is no port range', () => {
  for (const text of ['', '-', 'a-b', '32767-30000', '1-65536', '65000+1000', '1-2-3', '-5', '1.5', '100000', '30000 - 32767'])
    assert.equal(parsePortRange(text), undefined, text)
})
