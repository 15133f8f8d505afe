import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { StatusError } from '#lib/errors.ts'
import { jsonPatch, mergePatch, strategicMergePatch } from './patch.ts'
import { kindSchema, packageOfApiVersion } from './schema.ts'
import { random, randomObject } from './testdata/random.ts'

/** What a patch ends in: its result, or upstream's text. */
function outcome(apply: () => unknown): unknown {
  try {
    return apply()
  } catch (error) {
    if (!(error instanceof StatusError)) throw error
    return error.status.details?.causes?.[0]?.message ?? error.message
  }
}

const document = { a: { b: [1, 2], 'x/y': 1, 'm~n': 2 }, n: null }
const operation = (op: string, path: string, rest: object = {}) => ({ op, path, ...rest })

// RFC 6902 appendix A and the texts of evanphx/json-patch (as `kubectl patch --local --type=json` prints them).
const jsonCases: readonly (readonly [string, object[], unknown])[] = [
  ['add a member', [operation('add', '/c', { value: 1 })], { ...document, c: 1 }],
  ['add before an item', [operation('add', '/a/b/1', { value: 9 })], { ...document, a: { ...document.a, b: [1, 9, 2] } }],
  ['add at the end', [operation('add', '/a/b/-', { value: 9 })], { ...document, a: { ...document.a, b: [1, 2, 9] } }],
  ['add to the last but one place, counted from the end', [operation('add', '/a/b/-1', { value: 9 })], { ...document, a: { ...document.a, b: [1, 2, 9] } }],
  ['escapes in pointers', [operation('remove', '/a/x~1y'), operation('remove', '/a/m~0n')], { ...document, a: { b: [1, 2] } }],
  ['replace the document', [operation('replace', '', { value: { z: 1 } })], { z: 1 }],
  ['replace what is not there', [operation('replace', '/z', { value: 1 })], { ...document, z: 1 }],
  ['move', [operation('move', '/c', { from: '/a/b/0' })], { ...document, a: { ...document.a, b: [2] }, c: 1 }],
  ['copy', [operation('copy', '/c', { from: '/a/b' }), operation('add', '/c/-', { value: 3 })], { ...document, c: [1, 2, 3] }],
  ['copy the document into itself', [operation('copy', '/n', { from: '' })], { ...document, n: document }],
  ['test, in any order of members', [operation('test', '/a', { value: { 'm~n': 2, 'x/y': 1, b: [1, 2] } })], document],
  ['a test that fails undoes all', [operation('remove', '/a'), operation('test', '/n', { value: 1 })], 'testing value /n failed: test failed'],
  ['add below nothing', [operation('add', '/q/r', { value: 1 })], 'add operation does not apply: doc is missing path: "/q/r": missing value'],
  ['add beyond the end', [operation('add', '/a/b/5', { value: 1 })], "error in add for path: '/a/b/5': Unable to access invalid index: 5: invalid index referenced"],
  ['add at no index', [operation('add', '/a/b/x', { value: 1 })], "error in add for path: '/a/b/x': value was not a proper array index: 'x': strconv.Atoi: parsing \"x\": invalid syntax"],
  ['remove nothing', [operation('remove', '/a/q')], "error in remove for path: '/a/q': Unable to remove nonexistent key: q: missing value"],
  ['remove below nothing', [operation('remove', '/q/r')], 'remove operation does not apply: doc is missing path: "/q/r": missing value'],
  ['replace below nothing', [operation('replace', '/q/r', { value: 1 })], 'replace operation does not apply: doc is missing path: /q/r: missing value'],
  ['replace no item', [operation('replace', '/a/b/7', { value: 1 })], 'replace operation does not apply: doc is missing key: /a/b/7: missing value'],
  ['move into itself', [operation('move', '/a/b', { from: '/a' })], 'move operation does not apply: doc is missing destination path: /a/b: missing value'],
  ['move nothing', [operation('move', '/r', { from: '/q' })], "error in move for path: 'q': Unable to remove nonexistent key: q: missing value"],
  ['test below nothing', [operation('test', '/q/r', { value: 1 })], 'test operation does not apply: is missing path: /q/r: missing value'],
  ['an unknown operation', [operation('increment', '/a')], 'Unexpected kind: increment'],
  ['no operation', [{ path: '/a' }], 'Unexpected kind: unknown'],
  ['no path', [{ op: 'add', value: 1 }], 'add operation failed to decode path: missing value'],
  ['no from', [{ op: 'move', path: '/a' }], 'move operation failed to decode from: operation, missing from field: missing value'],
  ['a prototype', [operation('add', '/__proto__', { value: { polluted: 1 } }), operation('add', '/__proto__/more', { value: 1 })],
    JSON.parse('{"a":{"b":[1,2],"x/y":1,"m~n":2},"n":null,"__proto__":{"polluted":1,"more":1}}')],
  ['the constructor', [operation('add', '/constructor/prototype/polluted', { value: 1 })], 'add operation does not apply: doc is missing path: "/constructor/prototype/polluted": missing value'],
]
for (const [name, operations, expected] of jsonCases) {
  test(`JSON patch: ${name}`, () => {
    const before = JSON.stringify(document)
    assert.deepEqual(outcome(() => jsonPatch(document, operations)), expected)
    assert.equal(JSON.stringify(document), before)
    assert.equal(({} as Record<string, unknown>).polluted, undefined)
  })
}

test('JSON patch: what is no patch, too long or grows too much is refused', () => {
  assert.throws(() => jsonPatch({}, { a: 1 }), /cannot unmarshal object into Go value of type jsonpatch.Patch/)
  assert.throws(() => jsonPatch({}, [1]), /cannot unmarshal number into Go value of type jsonpatch.Operation/)
  assert.throws(() => jsonPatch({}, Array.from({ length: 10_001 }, () => operation('add', '/a', { value: 1 }))), (error: StatusError) => error.status.code === 413)
  const doubling = Array.from({ length: 60 }, (_, i) => operation('copy', `/k${i}`, { from: '' }))
  assert.match(String(outcome(() => jsonPatch({ a: 'x'.repeat(100) }, doubling))), /accumulated size increase of copy is \d+, exceeding the limit 3145728|exceeded max depth/)
  const deep = JSON.parse('['.repeat(900) + ']'.repeat(900)) as unknown
  const deepening = [operation('add', '/a', { value: deep }), operation('copy', `/a${'/0'.repeat(899)}/-`, { from: '/a' })]
  assert.equal(outcome(() => jsonPatch({}, deepening)), 'exceeded max depth of 1000')
})

// RFC 7386 appendix A.
const mergeCases: readonly (readonly [unknown, unknown, unknown])[] = [
  [{ a: 'b' }, { a: 'c' }, { a: 'c' }], [{ a: 'b' }, { b: 'c' }, { a: 'b', b: 'c' }], [{ a: 'b' }, { a: null }, {}],
  [{ a: 'b', b: 'c' }, { a: null }, { b: 'c' }], [{ a: ['b'] }, { a: 'c' }, { a: 'c' }], [{ a: 'c' }, { a: ['b'] }, { a: ['b'] }],
  [{ a: { b: 'c' } }, { a: { b: 'd', c: null } }, { a: { b: 'd' } }], [{ a: [{ b: 'c' }] }, { a: [1] }, { a: [1] }],
  [['a', 'b'], ['c', 'd'], ['c', 'd']], [{ a: 'b' }, ['c'], ['c']], [{ a: 'foo' }, null, null], [{ a: 'foo' }, 'bar', 'bar'],
  [{ e: null }, { a: 1 }, { e: null, a: 1 }], [[1, 2], { a: 'b', c: null }, { a: 'b' }], [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
]
test('merge patch: the examples of RFC 7386', () => {
  for (const [target, patch, expected] of mergeCases) assert.deepEqual(mergePatch(target, patch), expected)
})
test('merge patch: __proto__ is a member like any other', () => {
  const merged = mergePatch({}, JSON.parse('{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}'))
  assert.equal(JSON.stringify(merged), '{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}')
  assert.equal(({} as Record<string, unknown>).polluted, undefined)
})

const service = { packageName: 'core/v1', kind: 'Service' }
const ports = (...list: object[]) => ({ spec: { ports: list } })
const finalizers = (...list: string[]) => ({ metadata: { finalizers: list } })
const strategicCases: readonly (readonly [string, unknown, unknown, unknown])[] = [
  ['a list merges by its key', ports({ port: 80, name: 'a' }, { port: 81 }), ports({ port: 80, protocol: 'UDP' }), ports({ port: 80, name: 'a', protocol: 'UDP' }, { port: 81 })],
  ['a new item goes before what only the server has', ports({ port: 80 }), ports({ port: 81 }), ports({ port: 81 }, { port: 80 })],
  ['$patch: delete removes an item', ports({ port: 80 }, { port: 81 }), ports({ $patch: 'delete', port: 80 }), ports({ port: 81 })],
  ['$patch: replace replaces a list', ports({ port: 80 }), ports({ $patch: 'replace' }, { port: 9 }), ports({ port: 9 })],
  ['$patch: replace replaces a map', { spec: { type: 'x', clusterIP: 'y' } }, { spec: { $patch: 'replace', type: 'z' } }, { spec: { type: 'z' } }],
  ['$patch: delete empties a map', { spec: { type: 'x' } }, { spec: { $patch: 'delete' } }, { spec: {} }],
  ['an unknown $patch', { spec: {} }, { spec: { $patch: 'x' } }, 'unknown patch type: x in map: map[$patch:x]'],
  ['null removes', { metadata: { name: 'a', labels: { x: 'y' } } }, { metadata: { labels: null } }, { metadata: { name: 'a' } }],
  ['nulls in what is new are dropped', { metadata: {} }, { metadata: { labels: { a: null, b: '1' } } }, { metadata: { labels: { b: '1' } } }],
  ['a map merges', { metadata: { labels: { x: 'y', z: '1' } } }, { metadata: { labels: { x: null, a: 'b' } } }, { metadata: { labels: { z: '1', a: 'b' } } }],
  ['an atomic list is replaced', { spec: { clusterIPs: ['a', 'b'] } }, { spec: { clusterIPs: ['c'] } }, { spec: { clusterIPs: ['c'] } }],
  ['a list of texts merges', finalizers('a', 'b'), finalizers('c', 'a'), finalizers('c', 'a', 'b')],
  ['$deleteFromPrimitiveList', finalizers('a', 'b', 'c'), { metadata: { '$deleteFromPrimitiveList/finalizers': ['a', 'c'] } }, finalizers('b')],
  ['$setElementOrder with changes', ports({ port: 80 }, { port: 81 }), { spec: { '$setElementOrder/ports': [{ port: 81 }, { port: 82 }, { port: 80 }], ports: [{ port: 82 }] } }, ports({ port: 81 }, { port: 82 }, { port: 80 })],
  ['$setElementOrder keeps what only the server has', ports({ port: 1 }, { port: 2 }, { port: 3 }), { spec: { '$setElementOrder/ports': [{ port: 3 }, { port: 1 }] } }, ports({ port: 2 }, { port: 3 }, { port: 1 })],
  ['$setElementOrder that lacks a change', ports({ port: 1 }), { spec: { '$setElementOrder/ports': [{ port: 1 }], ports: [{ port: 2 }] } }, "The order in patch list:\n[map[port:2]]\n doesn't match $setElementOrder list:\n[map[port:1]]\n"],
  ['$retainKeys', { spec: { type: 'a', clusterIP: 'b' } }, { spec: { $retainKeys: ['type'], type: 'c' } }, { spec: { type: 'c' } }],
  ['$retainKeys that lacks a change', { spec: {} }, { spec: { $retainKeys: ['type'], clusterIP: 'c' } }, 'invalid patch format of retainKeys'],
  ['an item without its key', ports({ port: 1 }), ports({ name: 'x' }), 'map: map[name:x] does not contain declared merge key: port'],
  ['a field that is not of the type', { spec: { x: {} } }, { spec: { x: {} } }, 'unable to find api field in struct ServiceSpec for the json field "x"'],
  ['two ports of one number share the merge key, the first is changed', ports({ port: 53, protocol: 'TCP' }, { port: 53, protocol: 'UDP' }), ports({ port: 53, name: 'dns' }),
    ports({ port: 53, protocol: 'TCP', name: 'dns' }, { port: 53, protocol: 'UDP' })],
  ['no document', {}, [1], 'invalid JSON document'],
]
for (const [name, before, patch, expected] of strategicCases) {
  test(`strategic merge patch: ${name}`, () => {
    const inputs = JSON.stringify([before, patch])
    assert.deepEqual(outcome(() => strategicMergePatch(before, patch, service)), expected)
    assert.equal(JSON.stringify([before, patch]), inputs)
  })
}

// Patches that apimachinery's CreateTwoWayMergePatch made, and what its StrategicMergePatch made of them.
test('strategic merge patch: patches of apimachinery', () => {
  const lines = readFileSync(`${import.meta.dirname}/testdata/strategic-merge.jsonl`, 'utf8').trim().split('\n')
  assert.ok(lines.length >= 40)
  for (const line of lines) {
    const { document, patch, result } = JSON.parse(line) as { document: { apiVersion: string; kind: string }; patch: unknown; result: unknown }
    assert.deepEqual(strategicMergePatch(document, patch, { packageName: packageOfApiVersion(document.apiVersion), kind: document.kind }), result)
  }
})

test('random patches apply or are refused; large lists take no quadratic time', t => {
  const seed = Number(process.env.SEED ?? Date.now() % 1e9)
  t.diagnostic(`SEED=${seed}`)
  const rng = random(seed), schema = kindSchema('v1', 'Pod')!
  const pod = { packageName: 'core/v1', kind: 'Pod' }
  for (let i = 0; i < 200; i++) {
    const object = randomObject(rng, schema), patch = randomObject(rng, schema)
    for (const key of Object.keys(patch)) if (rng.chance(0.2)) patch[rng.pick(['$patch', '$retainKeys', `$setElementOrder/${key}`, '__proto__'])] = rng.pick(['delete', 'replace', [key], null, 1])
    outcome(() => strategicMergePatch(object, patch, pod))
    mergePatch(object, patch)
  }
  const many = ports(...Array.from({ length: 20_000 }, (_, port) => ({ port })))
  const started = performance.now()
  strategicMergePatch(many, { spec: { '$setElementOrder/ports': [...many.spec.ports].reverse(), ports: many.spec.ports.map(port => ({ ...port, name: 'x' })).reverse() } }, service)
  assert.ok(performance.now() - started < 2000)
})
