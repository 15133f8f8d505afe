import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fold, fromLabels, isBelow, labels, longestZone, parent, parseName, root, showName, type Name } from './name.ts'

const name = (text: string) => parseName(text)!

test('names from text and back', () => {
  for (const [text, wire, shown = text] of [
    ['.', '\0'], ['example.org.', '\x07example\x03org\0'], ['example.org', '\x07example\x03org\0', 'example.org.'],
    ['a\\.b.c.', '\x03a.b\x01c\0'], ['\\065x.', '\x02Ax\0', 'Ax.'], ['sp\\032ace.', '\x06sp ace\0'], ['\\255.', '\x01\xff\0'],
    [`${'a'.repeat(63)}.`, `\x3f${'a'.repeat(63)}\0`],
  ] as const) {
    assert.equal(parseName(text), wire, text)
    assert.equal(showName(wire as Name), shown)
  }
})

test('what is no name', () => {
  for (const text of ['..', '.a', 'a..b', `${'a'.repeat(64)}.`, Array(5).fill('a'.repeat(60)).join('.'), 'a b', 'a\\', '\\256', 'ä.']) assert.equal(parseName(text), undefined, text)
  assert.equal(parseName(Array(4).fill('a'.repeat(62)).join('.'))?.length, 253)
})

test('relative to an origin', () => {
  assert.equal(showName(parseName('www', name('example.org.'))!), 'www.example.org.')
  assert.equal(showName(parseName('www.', name('example.org.'))!), 'www.')
})

test('folding touches letters of ASCII only', () => {
  assert.equal(showName(fold(name('WwW.ExAmPlE.org'))), 'www.example.org.')
  assert.equal(fold('\x01\xc4\0' as Name), '\x01\xc4\0')
  assert.equal(fold('\x3f' + 'Z'.repeat(63) + '\0' as Name).length, 65)
})

test('below a zone only at a border of labels', () => {
  for (const [a, b, below] of [['www.example.org', 'example.org', true], ['example.org', 'example.org', true], ['notexample.org', 'example.org', false], ['org', 'example.org', false], ['x', '.', true]] as const) {
    assert.equal(isBelow(name(a), name(b)), below, `${a} ${b}`)
  }
  // A label that holds what looks like a length and labels.
  assert.equal(isBelow('\x0cx\x07example\x03o\0' as Name, '\x03o\0' as Name), false)
  assert.equal(longestZone(name('a.b.c'), [root, name('c'), name('b.c'), name('x.b.c')]), name('b.c'))
})

test('labels', () => {
  assert.deepEqual(labels(name('a.bc.def.')), ['a', 'bc', 'def'])
  assert.equal(fromLabels(['a', 'bc'], name('def')), name('a.bc.def'))
  assert.equal(fromLabels(['']), undefined)
  assert.equal(parent(name('a.b')), name('b'))
  assert.equal(parent(root), root)
})
