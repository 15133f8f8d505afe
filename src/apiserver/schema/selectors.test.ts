import assert from 'node:assert/strict'
import { test } from 'node:test'
import { StatusError } from '#lib/errors.ts'
import { parseFieldSelector, parseLabelSelector } from './selectors.ts'
import { random } from './testdata/random.ts'

const labels = { app: 'web', tier: '5', empty: '', 'example.com/x': 'y' }

// Selector, its normal form, whether it matches the labels above.
const labelCases: readonly (readonly [string, string, boolean])[] = [
  ['', '', true], ['app=web', 'app=web', true], ['app==web', 'app==web', true], ['app!=web', 'app!=web', false], ['gone!=web', 'gone!=web', true],
  ['app in (web, db)', 'app in (db,web)', true], ['app notin (web)', 'app notin (web)', false], ['gone notin (x)', 'gone notin (x)', true],
  ['app', 'app', true], ['!app', '!app', false], ['!gone', '!gone', true], ['tier>4', 'tier>4', true], ['tier<5', 'tier<5', false], ['app>1', 'app>1', false],
  ['empty=', 'empty=', true], ['empty in ()', 'empty in ()', true], ['x in (a,,b)', 'x in (,a,b)', false], ['in in (in)', 'in in (in)', false],
  ['example.com/x=y,app', 'app,example.com/x=y', true], [' app = web , tier ', 'app=web,tier', true],
]
for (const [text, normal, matches] of labelCases) {
  test(`label selector ${JSON.stringify(text)}`, () => {
    const selector = parseLabelSelector(text)
    assert.equal(selector.toString(), normal)
    assert.equal(selector.matches(labels), matches)
  })
}

const nameRule = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
const labelErrors: readonly (readonly [string, string])[] = [
  ['app in', "unable to parse requirement: found '' expected: '('"],
  ['app in (a', "unable to parse requirement: found '', expected: ',' or ')'"],
  ['app=a=b', "found '=', expected: ',' or 'end of string'"],
  ['app,', "found '', expected: identifier after ','"],
  ['=a', "found '=', expected: !, identifier, or 'end of string'"],
  ['app web', "unable to parse requirement: found 'web', expected: in, notin, =, ==, !=, gt, lt"],
  ['-app=a', `unable to parse requirement: <nil>: Invalid value: "-app": ${nameRule}`],
  ['app>x', 'unable to parse requirement: values[0]: Invalid value: "x": for \'Gt\', \'Lt\' operators, the value must be an integer'],
  ['app=_', `unable to parse requirement: values[0][app]: Invalid value: "_": a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')`],
]
for (const [text, message] of labelErrors) {
  test(`label selector ${JSON.stringify(text)} is refused`, () => {
    assert.throws(() => parseLabelSelector(text), (error: StatusError) => error.status.code === 400 && (assert.equal(error.message, message), true))
  })
}

const fields = { 'metadata.name': 'a', 'status.phase': 'Running', odd: 'a,b=c\\d' }
const fieldCases: readonly (readonly [string, string, boolean])[] = [
  ['', '', true], ['metadata.name=a', 'metadata.name=a', true], ['metadata.name==b', 'metadata.name=b', false], ['status.phase!=Running', 'status.phase!=Running', false],
  ['status.phase!=Failed,metadata.name=a', 'metadata.name=a,status.phase!=Failed', true], ['gone=', 'gone=', true], ['gone!=x', 'gone!=x', true],
  ['odd=a\\,b\\=c\\\\d', 'odd=a\\,b\\=c\\\\d', true], [',,metadata.name=a', 'metadata.name=a', true],
]
for (const [text, normal, matches] of fieldCases) {
  test(`field selector ${JSON.stringify(text)}`, () => {
    const selector = parseFieldSelector(text)
    assert.equal(selector.toString(), normal)
    assert.equal(selector.matches(fields), matches)
  })
}
test('field selectors: errors, keys and exact values', () => {
  assert.throws(() => parseFieldSelector('abc'), /invalid selector: 'abc'; can't understand 'abc'/)
  assert.throws(() => parseFieldSelector('a=b\\z'), /invalid escape sequence: \\z/)
  assert.throws(() => parseFieldSelector('a=b=c'), /unescaped character in value: =/)
  const selector = parseFieldSelector('spec.nodeName=n1,status.phase!=Failed,spec.nodeName!=n2')
  assert.deepEqual(selector.keys, ['spec.nodeName', 'status.phase'])
  assert.equal(selector.exactValue('spec.nodeName'), 'n1')
  assert.equal(selector.exactValue('status.phase'), undefined)
})
test('a label named like a property of objects is absent', () => {
  assert.equal(parseLabelSelector('constructor').matches({}), false)
  assert.equal(parseLabelSelector('constructor').matches(undefined), false)
})

test('random texts are parsed to a normal form that parses to itself, or refused', t => {
  const seed = Number(process.env.SEED ?? Date.now() % 1e9)
  t.diagnostic(`SEED=${seed}`)
  const rng = random(seed)
  const words = ['a', 'b', 'in', 'notin', '!', '=', '==', '!=', '(', ')', ',', '>', '5', 'x/y', '-z', '\\', ' ', '日']
  for (let i = 0; i < 5000; i++) {
    const text = Array.from({ length: rng.below(9) }, () => rng.pick(words)).join(rng.pick(['', ' ']))
    for (const parse of [parseLabelSelector, parseFieldSelector]) {
      try {
        const selector = parse(text)
        // The terms of a field selector are sorted as written, so `a==c,a=b` changes places once.
        const normal = parse(selector.toString()).toString()
        assert.equal(parse(normal).toString(), normal)
        assert.equal(typeof selector.matches(labels), 'boolean')
      } catch (error) {
        if (!(error instanceof StatusError)) throw error
      }
    }
  }
  const long = 'a,'.repeat(50_000) + 'a'
  const started = performance.now()
  parseLabelSelector(long)
  parseFieldSelector('a=b,'.repeat(50_000))
  assert.ok(performance.now() - started < 2000)
})
