import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ExpressionError, parseExpression, type Functions } from './expr.ts'

const functions: Functions<{ type: string; size: number }> = { type: { count: 0, call: ({ type }) => type }, size: { count: 0, call: ({ size }) => size }, join: { count: 2, call: (_, a, b) => `${String(a)}${String(b)}` } }
const value = (source: string) => parseExpression(source, functions)({ type: 'AAAA', size: 40 })

for (const [source, expected] of [
  ["type() == 'AAAA'", true], ["type() != 'AAAA'", false], ["type() in ['A', 'AAAA']", true], ["type() not in ['A']", true], ["!(type() == 'A')", true], ["not (type() in ['AAAA'])", false],
  ["type() matches '^A+$'", true], ["type() matches '^abc\\\\.'", false], ["type() startsWith 'AA' && type() endsWith \"A\"", true], ["type() contains 'B' or size() >= 40", true],
  ['size() * 2 + 1 == 81', true], ['size() - 10 - 10 == 20', true], ['1 + 2 * 3', 7], ['-size()', -40], ['7 % 4', 3], ["size() > 10 ? 'big' : 'small'", 'big'], ["join('a', type())", 'aAAAA'], ['true and false', false], ["'it\\'s'", "it's"], ['[1, 2]', [1, 2]], ['false || true && false', false],
] as const) test(`expr: ${source}`, () => assert.deepEqual(value(source), expected))

for (const source of ['', 'nosuch()', 'type(', "type() ==", '(1', '1 2', "'open", 'type(1)', "type() matches '('", 'constructor()', '('.repeat(1000), '!'.repeat(1000), '[1 2]', 'type() matches type()']) {
  test(`expr refused: ${source.slice(0, 20)}`, () => assert.throws(() => value(source), ExpressionError))
}
test('expr: wrong kinds are an error, not a guess', () => assert.throws(() => value("size() < 'a'"), ExpressionError))
