import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { microTime, systemClock, time } from './clock.ts'
import { equal } from './equal.ts'
import { CommandError, isConflict, isNotFound, StatusError } from './errors.ts'
import { logLine } from './log.ts'
import { parseYaml, parseYamlDocuments, toYaml } from './yaml.ts'

suite('yaml', () => {
  test('several documents, empty ones left out; JSON is YAML', () => {
    assert.deepEqual(parseYamlDocuments('a: 1\n---\n# nothing\n---\nb: [2]\n'), [{ a: 1 }, { b: [2] }])
    assert.deepEqual(parseYaml('{"a": {"b": null}}'), { a: { b: null } })
    assert.equal(parseYaml(''), undefined)
  })
  const refused: [name: string, text: string, message: RegExp][] = [
    ['a tab for indentation', 'a:\n\tb: 1', /^f\.yaml:2:1: /],
    ['a key twice', 'a: 1\na: 2', /^f\.yaml:2:1: Map keys must be unique/],
    ['two documents where one is expected', 'a: 1\n---\nb: 2', /expected one YAML document, found 2/],
    ['an open bracket', 'a: [1', /^f\.yaml:1:\d+: /],
  ]
  for (const [name, text, message] of refused) test(`refuses ${name}, with its place`, () => {
    assert.throws(() => parseYaml(text, 'f.yaml'), (error: Error) => error instanceof SyntaxError && message.test(error.message))
  })
  test('words that YAML 1.1 took for booleans stay words', () => assert.deepEqual(parseYaml('[yes, no, on, off, y]'), ['yes', 'no', 'on', 'off', 'y']))
  test('aliases are bounded', () => {
    const bomb = ['a0: &a0 [x, x, x, x, x, x, x, x, x]', ...Array.from({ length: 9 }, (_, i) => `a${i + 1}: &a${i + 1} [${Array(9).fill(`*a${i}`).join(', ')}]`)].join('\n')
    assert.throws(() => parseYaml(bomb), /alias/)
  })
  test('what is written is read back', () => {
    const value = { text: 'a: b\nc', no: 'no', number: '012', list: [{ a: 1 }, {}], long: 'x '.repeat(200) }
    assert.deepEqual(parseYaml(toYaml(value)), value)
  })
})

suite('equal', () => {
  const cases: [a: unknown, b: unknown, same: boolean][] = [
    [{ a: 1, b: [1, { c: null }] }, { b: [1, { c: null }], a: 1 }, true],
    [{ a: undefined }, {}, true], [{ a: null }, {}, false], [[1, 2], [2, 1], false], [[], {}, false],
    [{ a: 1 }, { b: 1 }, false], ['1', 1, false], [null, undefined, false],
  ]
  for (const [a, b, same] of cases) test(`${JSON.stringify(a)} and ${JSON.stringify(b)} are ${same ? 'equal' : 'different'}`, () => {
    assert.equal(equal(a, b), same)
    assert.equal(equal(b, a), same)
  })
})

suite('log', () => {
  const at = new Date('2026-11-21T01:02:03.045Z')
  test('klog\'s shape, values quoted on one line', () => {
    assert.equal(logLine('I', at, 'kubelet', 'pod started', { pod: 'a\n"b"', took: 3, cause: new Error('no') }),
      'I1121 01:02:03.045000 kubelet] "pod started" pod="a\\n\\"b\\"" took=3 cause="no"')
  })
})

suite('errors', () => {
  test('a StatusError carries the Status as sent', () => {
    const error = StatusError.from({ kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', message: 'gone', reason: 'NotFound', code: 404, details: { name: 'x' } })
    assert.deepEqual([isNotFound(error), isConflict(error), error.message, error.status.details], [true, false, 'gone', { name: 'x' }])
  })
  test('a CommandError says what was run and what it answered', () => {
    assert.equal(new CommandError(['ip', 'link'], 2, 'no such\n').message, 'ip link: exit status 2: no such')
  })
})

suite('clock', () => {
  test('Kubernetes\'s two forms of time', () => {
    assert.equal(time(1_795_222_923_987), '2026-11-21T01:02:03Z')
    assert.equal(microTime(1_795_222_923_987), '2026-11-21T01:02:03.987000Z')
  })
  test('a sleep can be ended', async () => {
    const stop = new AbortController()
    const slept = systemClock.sleep(60_000, stop.signal)
    stop.abort(new Error('enough'))
    await assert.rejects(slept, /enough/)
  })
})
