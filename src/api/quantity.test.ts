import assert from 'node:assert/strict'
import { test } from 'node:test'
import { addQuantities, canonicalQuantity, compareQuantities, formatQuantity, parseQuantity, quantityMilli, quantityProblem, quantityValue, subtractQuantities } from './quantity.ts'

// Text, canonical form, whole units (rounded up), thousandths: as resource.Quantity has them.
const cases: readonly (readonly [string, string, number, number])[] = [
  ['0', '0', 0, 0], ['1', '1', 1, 1000], ['0.5', '500m', 1, 500], ['100m', '100m', 1, 100], ['1000m', '1', 1, 1000], ['1000', '1k', 1000, 1e6],
  ['1.5Gi', '1536Mi', 1610612736, 1610612736000], ['1024Ki', '1Mi', 2 ** 20, 2 ** 20 * 1000], ['123Mi', '123Mi', 128974848, 128974848000],
  ['2e3', '2e3', 2000, 2e6], ['129e6', '129e6', 129e6, 129e9], ['129M', '129M', 129e6, 129e9], ['1E', '1E', 1e18, 1e21], ['12E3', '12E3', 12000, 12e6], ['1000e3', '1e6', 1e6, 1e9],
  ['-5', '-5', -5, -5000], ['-1.5', '-1500m', -2, -1500], ['+1', '+1', 1, 1000], ['1.500', '1.500', 2, 1500], ['0.1Ki', '102400m', 103, 102400],
  ['0.0001n', '1n', 1, 1], ['1500n', '1500n', 1, 1], ['9Ei', '9223372036854775807', 2 ** 63, 2 ** 63 * 1000], ['1.1Gi', '1181116006400m', 1181116007, 1181116006400],
]
for (const [text, canonical, value, milli] of cases) {
  test(`quantity ${text}`, () => {
    assert.equal(canonicalQuantity(text), canonical)
    assert.equal(quantityValue(text), value)
    assert.equal(quantityMilli(text), milli)
  })
}

const formatWrong = /quantities must match the regular expression/
const refused: readonly (readonly [string, RegExp])[] = [
  ['', formatWrong], ['abc', formatWrong], ['1 Gi', formatWrong], ['1Gi2Mi', formatWrong], ['1--1', formatWrong], ['m', formatWrong], ['1.2.3', formatWrong],
  ['1e', /suffix/], ['1KiB', formatWrong], ['1ki', /suffix/], ['1e99999999', /numeric part/], ['9'.repeat(300), /numeric part/],
]
for (const [text, problem] of refused) {
  test(`quantity ${JSON.stringify(text.slice(0, 20))} is refused`, () => {
    assert.equal(parseQuantity(text), undefined)
    assert.match(quantityProblem(text)!, problem)
    assert.ok(Number.isNaN(quantityValue(text)))
    assert.equal(canonicalQuantity(text), text)
  })
}

test('sums keep the format of the first that is not zero; comparison is by amount', () => {
  const parse = (text: string) => parseQuantity(text)!
  assert.equal(formatQuantity(addQuantities(parse('1Gi'), parse('512Mi'))), '1536Mi')
  assert.equal(formatQuantity(addQuantities(parse('0'), parse('1Gi'))), '1Gi')
  assert.equal(formatQuantity(addQuantities(parse('100m'), parse('0.9'))), '1')
  assert.equal(formatQuantity(subtractQuantities(parse('1'), parse('250m'))), '750m')
  assert.equal(compareQuantities(parse('1Gi'), parse('1G')), 1)
  assert.equal(compareQuantities(parse('1000m'), parse('1')), 0)
  assert.equal(compareQuantities(parse('-1'), parse('1n')), -1)
})
