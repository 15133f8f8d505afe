// The linear matcher against JavaScript's own on expressions both read alike, and where that one would
// take for ever.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LinearRegExp, RegExpError } from './regexp.ts'

const found = (source: string, text: string) => { const match = new LinearRegExp(source).exec(text); return match && [match.index, ...match.groups] }

test('what Go writes', () => {
  for (const [source, text, expected] of [
    ['(.*)-(us-west-1)\\.example\\.org', 'ftp-us-west-1.example.org', [0, 'ftp-us-west-1.example.org', 'ftp', 'us-west-1']],
    ['^ip-(?P<a>[0-9]*)-(?P<b>[0-9]+)[.]x[.]$', 'ip-1-22.x.', [0, 'ip-1-22.x.', '1', '22']],
    ['(?i)ABC[d-f]', 'xabcE', [1, 'abcE']], ['a(?i:B)c', 'abc', [0, 'abc']], ['a(?i:B)c', 'aBC', undefined],
    ['[[:alpha:]]+', '12ab3', [2, 'ab']], ['[^[:digit:]]', '12a', [2, 'a']], ['\\bfoo\\b', 'a foo.b', [2, 'foo']],
    ['[]a]+', 'x]a', [1, ']a']], ['[a-]+', 'b-a', [1, '-a']], ['\\x2e\\.', '..', [0, '..']], ['x*', '', [0, '']], ['a{2}', 'aaa', [0, 'aa']], ['a{,2}', 'a{,2}', [0, 'a{,2}']],
  ] as const) assert.deepEqual(found(source, text), expected, `${source} on ${text}`)
  assert.deepEqual({ ...new LinearRegExp('(?P<a>x)|(?P<b>y)').exec('y')!.named }, { a: '', b: 'y' })
})
test('refused by name', () => {
  for (const [source, message] of [['(a', /'\)' is missing/], ['a)', /unexpected '\)'/], ['*a', /nothing before/], ['a**', /nested repetition/], ['(a)\\1', /backreferences/], ['(?=a)', /not supported/], ['[z-a]', /wrong way/], ['[a', /'\]' is missing/], ['a{1001}', /repeat count/], ['((a{100}){100}){100}', /too large/], ['\\q', /unknown escape/], ['('.repeat(200), /nested/]] as const) {
    assert.throws(() => new LinearRegExp(source), error => error instanceof RegExpError && message.test(error.message), source)
  }
})
test('catastrophic expressions take no longer than others', () => {
  const begun = performance.now()
  for (const source of ['^(a+)+$', '^(a|aa)+$', '^(a|a)*$', '(.*)*x', '(a*)*b', `^${'a?'.repeat(100)}${'a'.repeat(100)}$`]) new LinearRegExp(source).exec(`${'a'.repeat(250)}!`)
  assert.ok(performance.now() - begun < 1000, `${performance.now() - begun} ms`)
})
test('random expressions agree with JavaScript', () => {
  const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31))
  let state = seed
  const random = (below: number) => { state = Math.imul(state ^ state >>> 15, 0x2c1b3c6d) + 0x9e3779b9 | 0; return (state >>> 0) % below }
  const make = (depth: number): string => {
    const kind = random(depth > 0 ? 9 : 3)
    if (kind < 3) return ['a', 'b', '[ab]'][kind]!
    if (kind === 3) return `(${make(depth - 1)})`
    if (kind === 4) return `(?:${make(depth - 1)}|${make(depth - 1)})`
    if (kind === 5) return `(?:x${make(depth - 1)})${['*', '+', '?', '*?', '+?', '??', '{1,2}'][random(7)]}`
    return make(depth - 1) + make(depth - 1)
  }
  for (let n = 0; n < 1500; n++) {
    const source = ['', '^'][random(2)] + make(4) + ['', '$'][random(2)]
    // A group inside a repetition keeps its last value in Go and is emptied in JavaScript: compare the whole only there.
    const whole = /[*+?}]/.test(source.replaceAll('(?:', ''))
    const text = Array.from({ length: random(12) }, () => 'abx'[random(3)]).join('')
    const theirs = new RegExp(source).exec(text), ours = new LinearRegExp(source).exec(text)
    assert.deepEqual(ours && [ours.index, ...ours.groups].slice(0, whole ? 2 : 99), theirs ? [theirs.index, ...theirs].slice(0, whole ? 2 : 99) : undefined, `seed ${seed}: ${source} on ${text}`)
  }
})
