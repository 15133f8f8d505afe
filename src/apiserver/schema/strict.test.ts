import assert from 'node:assert/strict'
import { test } from 'node:test'
import { StatusError } from '#lib/errors.ts'
import { maxDepth } from './json.ts'
import { kindSchema } from './schema.ts'
import { checkFields, parseJson } from './strict.ts'
import { random, randomObject } from './testdata/random.ts'

const pod = { packageName: 'core/v1', kind: 'Pod' }, service = { packageName: 'core/v1', kind: 'Service' }
const deployment = { packageName: 'apps/v1', kind: 'Deployment' }

// Each text as Go's encoding/json words it.
const syntax: readonly (readonly [string, string])[] = [
  ['', 'unexpected end of JSON input'],
  ['{', 'unexpected end of JSON input'],
  ['tru', 'unexpected end of JSON input'],
  ['[1,]', "invalid character ']' looking for beginning of value"],
  ['{"a" 1}', "invalid character '1' after object key"],
  ['{a:1}', "invalid character 'a' looking for beginning of object key string"],
  ['{"a":1 "b":2}', "invalid character '\"' after object key:value pair"],
  ['[1 2]', "invalid character '2' after array element"],
  ['{"a":"\\x"}', "invalid character 'x' in string escape code"],
  ['"\\u12g4"', "invalid character 'g' in \\u hexadecimal character escape"],
  ['"a\nb"', "invalid character '\\n' in string literal"],
  ['nul1', "invalid character '1' in literal null (expecting 'l')"],
  ['1.x', "invalid character 'x' after decimal point in numeric literal"],
  ['1ex', "invalid character 'x' in exponent of numeric literal"],
  ['-x', "invalid character 'x' in numeric literal"],
  ['01', "invalid character '1' after top-level value"],
  ["{'a'}", "invalid character '\\'' looking for beginning of object key string"],
]
for (const [text, message] of syntax) {
  test(`parseJson refuses ${JSON.stringify(text)}`, () => {
    assert.throws(() => parseJson(text), (error: unknown) => error instanceof StatusError && error.status.code === 400 && (assert.equal(error.message, message), true))
  })
}

test('duplicate fields are named with their path, once each; the last value counts', () => {
  const { value, duplicates } = parseJson('{"spec":{"replicas":1,"replicas":2,"replicas":3,"l":[{"a":1},{"a":1,"a":2}]},"metadata":{"labels":{"x.y/z":"1","x.y/z":"2"}}}')
  assert.deepEqual(duplicates, ['duplicate field "spec.replicas"', 'duplicate field "spec.l[1].a"', 'duplicate field "metadata.labels.x.y/z"'])
  assert.deepEqual(value, { spec: { replicas: 3, l: [{ a: 1 }, { a: 2 }] }, metadata: { labels: { 'x.y/z': '2' } } })
})

test('depth is bounded, and __proto__ is a field like any other', () => {
  assert.throws(() => parseJson('['.repeat(maxDepth + 1)), /exceeded max depth/)
  parseJson('['.repeat(maxDepth) + ']'.repeat(maxDepth))
  const { value } = parseJson('{"data":{"__proto__":"x"}}')
  const { object } = checkFields(value, { packageName: 'core/v1', kind: 'ConfigMap' })
  assert.deepEqual(Object.keys(object.data as object), ['__proto__'])
  assert.equal(({} as Record<string, unknown>).x, undefined)
})

test('parseJson agrees with JSON.parse', t => {
  const seed = Number(process.env.SEED ?? Date.now() % 1e9)
  t.diagnostic(`SEED=${seed}`)
  const rng = random(seed)
  for (let i = 0; i < 100; i++) {
    const text = JSON.stringify(randomObject(rng, kindSchema('v1', 'Pod')!), null, rng.below(3))
    assert.deepEqual(parseJson(text), { value: JSON.parse(text), duplicates: [] })
    for (let n = 0; n < 20; n++) {
      const at = rng.below(text.length), broken = text.slice(0, at) + rng.pick(['"', '\\', '{', ']', ',', '', '1', '\u0000', 'e']) + text.slice(at + 1)
      let expected: unknown, mine: unknown
      try { expected = JSON.parse(broken) } catch { expected = 'refused' }
      try { mine = parseJson(broken).value } catch (error) { assert.ok(error instanceof StatusError); mine = 'refused' }
      assert.deepEqual(mine, expected, broken)
    }
  }
})

const fits: Record<string, { kind: { packageName: string; kind: string }; body: unknown; unknown?: string[]; error?: string; object?: unknown }> = {
  'unknown fields, with their path': {
    kind: { packageName: 'networking/v1', kind: 'Ingress' },
    body: { spec: { tls: [{ host: 'a', secret: 'b', secretName: 's' }], x: 1 } },
    unknown: ['unknown field "spec.tls[0].host"', 'unknown field "spec.tls[0].secret"', 'unknown field "spec.x"'],
    object: { spec: { tls: [{ secretName: 's' }] } },
  },
  'a text for a number': {
    kind: deployment, body: { spec: { replicas: '3' } },
    error: 'json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32',
  },
  'a number for a label': {
    kind: pod, body: { metadata: { labels: { a: 1 } } },
    error: 'json: cannot unmarshal number into Go struct field ObjectMeta.metadata.labels of type string',
  },
  'a fraction for a port': {
    kind: service, body: { spec: { ports: [{ port: 80.5 }] } },
    error: 'json: cannot unmarshal number 80.5 into Go struct field ServicePort.spec.ports.port of type int32',
  },
  'a number out of range': {
    kind: service, body: { spec: { ports: [{ port: 2 ** 31 }] } },
    error: 'json: cannot unmarshal number 2147483648 into Go struct field ServicePort.spec.ports.port of type int32',
  },
  'an object for a list': {
    kind: pod, body: { spec: { containers: {} } },
    error: 'json: cannot unmarshal object into Go struct field PodSpec.spec.containers of type []v1.Container',
  },
  'a field of an inline struct': {
    kind: pod, body: { spec: { volumes: [{ name: 'a', secret: 'x' }] } },
    error: 'json: cannot unmarshal string into Go struct field Volume.spec.volumes.VolumeSource.secret of type v1.SecretVolumeSource',
  },
  'a bool for a port name': {
    kind: service, body: { spec: { ports: [{ targetPort: true }] } },
    error: 'json: cannot unmarshal bool into Go struct field ServicePort.spec.ports.targetPort of type int32',
  },
  'a body that is a list': { kind: pod, body: [], error: 'json: cannot unmarshal array into Go value of type v1.Pod' },
  'no quantity': {
    kind: pod, body: { spec: { overhead: { cpu: 'much' } } },
    error: "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
  },
  'no time': {
    kind: pod, body: { metadata: { creationTimestamp: 'now' } },
    error: 'parsing time "now" as "2006-01-02T15:04:05Z07:00": cannot parse "now" as "2006"',
  },
  'a day that does not exist': {
    kind: pod, body: { metadata: { creationTimestamp: '2026-02-29T00:00:00Z' } },
    error: 'parsing time "2026-02-29T00:00:00Z": day out of range',
  },
  'a micro time without decimals': {
    kind: { packageName: 'coordination/v1', kind: 'Lease' }, body: { spec: { renewTime: '2026-11-20T10:00:00Z' } },
    error: 'parsing time "2026-11-20T10:00:00Z" as "2006-01-02T15:04:05.000000Z07:00": cannot parse "Z" as ".000000"',
  },
  'no base64': { kind: { packageName: 'core/v1', kind: 'Secret' }, body: { data: { a: 'aGk' } }, error: 'illegal base64 data at input byte 0' },
  'what reads itself is reported before what was found earlier': {
    kind: pod, body: { metadata: { name: 1 }, spec: { overhead: { cpu: '1x' } } },
    error: "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
  },
  'nulls and zero values are absent, but not those of pointers': {
    kind: deployment,
    body: { metadata: { creationTimestamp: null, labels: {}, name: '', generation: 0 }, spec: { replicas: 0, paused: false, template: { spec: { hostNetwork: false, automountServiceAccountToken: false, containers: [] } } }, status: {} },
    object: { metadata: {}, spec: { replicas: 0, template: { spec: { automountServiceAccountToken: false, containers: [] } } }, status: {} },
  },
  'a null in a list or a map is the zero value': {
    kind: pod, body: { metadata: { annotations: { a: null } }, spec: { containers: [null] } },
    object: { metadata: { annotations: { a: '' } }, spec: { containers: [{}] } },
  },
  'quantities and times become canonical': {
    kind: pod,
    body: { metadata: { creationTimestamp: '2026-11-20T12:00:00.7+02:00' }, spec: { overhead: { cpu: 0.5, memory: '1.5Gi' } } },
    object: { metadata: { creationTimestamp: '2026-11-20T10:00:00Z' }, spec: { overhead: { cpu: '500m', memory: '1536Mi' } } },
  },
  'DeleteOptions of any package': {
    kind: { packageName: 'apps/v1', kind: 'DeleteOptions' }, body: { gracePeriodSeconds: 0, propagationPolicy: 'Background' },
    object: { gracePeriodSeconds: 0, propagationPolicy: 'Background' },
  },
}
for (const [name, { kind, body, unknown = [], error, object }] of Object.entries(fits)) {
  test(`checkFields: ${name}`, () => {
    const before = structuredClone(body)
    const checked = checkFields(body, kind)
    assert.equal(checked.errors[0], error)
    assert.deepEqual(checked.unknown, unknown)
    if (object) assert.deepEqual(checked.object, object)
    assert.deepEqual(body, before)
  })
}

test('checkFields leaves canonical objects as they are, and copies them', t => {
  const seed = Number(process.env.SEED ?? Date.now() % 1e9)
  t.diagnostic(`SEED=${seed}`)
  const rng = random(seed)
  for (const kind of [pod, service, deployment]) {
    const object = randomObject(rng, kindSchema(kind === deployment ? 'apps/v1' : 'v1', kind.kind)!)
    const checked = checkFields(object, kind)
    assert.deepEqual(checked, { object, unknown: [], errors: [] })
    if (object.metadata) assert.notEqual(checked.object.metadata, object.metadata)
  }
})
