import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { groupVersion, type Resource, resources } from '#api/resources.ts'
import { StatusError } from '#lib/errors.ts'
import { decodeProtobuf, encodeProtobuf } from './protobuf.ts'
import { kindSchema, packageOfApiVersion } from './schema.ts'
import { checkFields } from './strict.ts'
import { random, randomObject } from './testdata/random.ts'

interface Body { command?: string; object: { apiVersion: string; kind: string }; hex: string }
const bodies = (file: string): Body[] => readFileSync(`${import.meta.dirname}/testdata/${file}`, 'utf8').trim().split('\n').map(line => JSON.parse(line) as Body)
const bytes = (hex: string) => Uint8Array.from(Buffer.from(hex, 'hex'))
const where = ({ apiVersion, kind }: { apiVersion: string; kind: string }) => ({ packageName: packageOfApiVersion(apiVersion), kind })

// `object` is what kubectl itself prints with --dry-run=client -o json, or what Go writes of the
// decoded body: both go through checkFields, which drops what Go writes of nothing (nulls).
for (const file of ['kubectl-bodies.jsonl', 'go-bodies.jsonl']) {
  test(`${file}: bodies that Go encoded`, () => {
    for (const { command, object, hex } of bodies(file)) {
      const decoded = decodeProtobuf(bytes(hex))
      const expected = checkFields(object, where(object))
      assert.deepEqual(expected.errors.concat(expected.unknown), [])
      assert.deepEqual(decoded.object, expected.object, command ?? object.kind)
      assert.equal(decoded.kind, object.kind)
      assert.deepEqual(checkFields(decoded.object, where(object)), { object: decoded.object, unknown: [], errors: [] })
    }
  })
}

const served: readonly (readonly [string, string])[] = [
  ...Object.values<Resource>(resources).map(resource => [groupVersion(resource), resource.kind] as const),
  ['v1', 'DeleteOptions'], ['apps/v1', 'DeleteOptions'], ['policy/v1', 'Eviction'], ['autoscaling/v1', 'Scale'], ['v1', 'Binding'],
  ['authentication.k8s.io/v1', 'TokenRequest'], ['v1', 'PodList'],
]

test('every kind survives encode and decode', t => {
  const seed = Number(process.env.SEED ?? Date.now() % 1e9)
  t.diagnostic(`SEED=${seed}`)
  const rng = random(seed)
  for (const [apiVersion, kind] of served) {
    for (let i = 0; i < 4; i++) {
      const object = { apiVersion, kind, ...randomObject(rng, kindSchema(apiVersion, kind)!) }
      assert.deepEqual(decodeProtobuf(encodeProtobuf(object)).object, object, `${apiVersion} ${kind}`)
    }
  }
})

const prefix = '6b387300'
const typeMeta = (apiVersion: string, kind: string) => {
  const field = (number: number, text: string) => Buffer.concat([Buffer.from([number * 8 + 2, text.length]), Buffer.from(text)])
  const inner = Buffer.concat([field(1, apiVersion), field(2, kind)])
  return Buffer.concat([Buffer.from([0x0a, inner.length]), inner]).toString('hex')
}
const configMap = (raw: string) => prefix + typeMeta('v1', 'ConfigMap') + '12' + (raw.length / 2).toString(16).padStart(2, '0') + raw

const refused: Record<string, { hex: string; message: RegExp }> = {
  'no magic': { hex: '7b7d', message: /expected prefix \[107 56 115 0\]/ },
  'an empty envelope': { hex: prefix, message: /no kind "" is registered for version ""/ },
  'a kind that is none': { hex: prefix + typeMeta('v1', 'ServicePort'), message: /no kind "ServicePort" is registered for version "v1"/ },
  'a prototype for a kind': { hex: prefix + typeMeta('v1', '__proto__'), message: /no kind "__proto__"/ },
  'a length beyond the end': { hex: `${prefix}12ff7f00`, message: /proto: unexpected EOF/ },
  'a varint without end': { hex: prefix + '08' + 'ff'.repeat(11), message: /proto: / },
  'a field of the wrong wire type': { hex: configMap('08ff01'), message: /proto: wrong wireType = 0/ },
  'tag 0': { hex: configMap('00'), message: /proto: illegal tag 0/ },
  'an end of no group': { hex: configMap('fc01'), message: /proto: illegal wireType 4/ },
  'groups in groups': { hex: configMap('fb01'.repeat(60)), message: /proto: groups nested too deep/ },
}
for (const [name, { hex, message }] of Object.entries(refused)) {
  test(`refuses ${name}`, () => {
    assert.throws(() => decodeProtobuf(bytes(hex)), (error: unknown) =>
      error instanceof StatusError && error.status.code === 400 && message.test(error.message) || assert.fail(String(error)))
  })
}

test('fields of unknown numbers are skipped, a group with them', () => {
  assert.deepEqual(decodeProtobuf(bytes(configMap('f801017d00000000fb010801fc01'))).object, { apiVersion: 'v1', kind: 'ConfigMap' })
})

test('packed numbers are read like unpacked ones', () => {
  // PodSpec.securityContext.supplementalGroups (field 4 of PodSecurityContext, 14 of PodSpec, 2 of Pod)
  const pod = (inner: string) => {
    const wrap = (tag: string, hex: string) => tag + (hex.length / 2).toString(16).padStart(2, '0') + hex
    return bytes(prefix + typeMeta('v1', 'Pod') + wrap('12', wrap('12', wrap('72', inner))))
  }
  const expected = { apiVersion: 'v1', kind: 'Pod', spec: { securityContext: { supplementalGroups: [1, 300] } } }
  assert.deepEqual(decodeProtobuf(pod('200120ac02')).object, expected)
  assert.deepEqual(decodeProtobuf(pod('220301ac02')).object, expected)
})

test('mutated bodies are decoded or refused, never worse', t => {
  const seed = Number(process.env.SEED ?? Date.now() % 1e9)
  t.diagnostic(`SEED=${seed}`)
  const rng = random(seed)
  const all = [...bodies('kubectl-bodies.jsonl'), ...bodies('go-bodies.jsonl')].map(body => bytes(body.hex))
  for (let i = 0; i < 3000; i++) {
    const body = Uint8Array.from(rng.pick(all))
    for (let n = 1 + rng.below(4); n > 0; n--) body[rng.below(body.length)] = rng.below(256)
    const cut = rng.chance(0.2) ? body.subarray(0, rng.below(body.length)) : body
    try {
      const { object, kind, apiVersion } = decodeProtobuf(cut)
      checkFields(object, where({ apiVersion, kind }))
    } catch (error) {
      if (!(error instanceof StatusError)) throw error
    }
  }
})
