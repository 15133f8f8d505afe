// Random values for the tests of this folder: a seeded generator, and objects that fit a type of the
// facts, in the canonical form in which strict.ts leaves them.
import type { FieldSchema, StructSchema, ValueSchema } from '../schema.ts'

export interface Random {
  /** 0 to below n. */
  below(n: number): number
  chance(probability: number): boolean
  pick<T>(from: readonly T[]): T
}

/** mulberry32: the same seed gives the same values everywhere. */
export function random(seed: number): Random {
  let state = seed >>> 0
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  const below = (n: number) => Math.floor(next() * n)
  return { below, chance: probability => next() < probability, pick: from => from[below(from.length)]! }
}

const words = ['a', 'web', 'nginx:1.27', 'TCP', 'Größe', '日本', '__proto__x', '0', 'a/b', '"quoted"\n', '☃\u{1f600}']
const quantities = ['1', '100m', '1536Mi', '2e3', '500m', '1Gi', '-5', '10k', '1500n']

function text(rng: Random, schema: ValueSchema): string {
  if (rng.chance(0.01)) return 'x'.repeat(200) // its length takes two bytes on the wire
  return schema.values?.length && rng.chance(0.5) ? rng.pick(schema.values) || 'x' : rng.pick(words)
}

const json = (rng: Random): unknown => ({ [rng.pick(words)]: rng.pick([1, 'x', true, [1, 'a'], { b: -2.5 }]) })

function integer(rng: Random, { bits, unsigned }: ValueSchema): number {
  const small = rng.below(70000) + 1
  if (unsigned) return bits === 8 ? 1 + rng.below(255) : small
  return rng.pick([small, -small, 2 ** 31 - 1, -(2 ** 31), bits === 64 ? 2 ** 53 - 1 : 1, bits === 64 ? -(2 ** 53 - 1) : -1])
}

function value(rng: Random, schema: ValueSchema, depth: number): unknown {
  switch (schema.kind) {
    case 'string': return text(rng, schema)
    case 'bool': return true
    case 'integer': return integer(rng, schema)
    case 'number': return rng.pick([1.5, -2, 1e10])
    case 'bytes': return Buffer.from(Array.from({ length: 1 + rng.below(9) }, () => rng.below(256))).toString('base64')
    case 'quantity': return rng.pick(quantities)
    case 'time': return rng.pick(['2026-11-20T10:00:00Z', '1969-12-31T23:59:59Z', '1970-01-01T00:00:00Z'])
    case 'microTime': return rng.pick(['2026-11-20T10:00:00.123456Z', '1970-01-01T00:00:00.000001Z'])
    case 'duration': return '1h30m0s'
    case 'intOrString': return rng.pick([80, -1, 'http', '25%'])
    case 'raw': case 'fieldsV1': case 'any': return json(rng)
    case 'list': return Array.from({ length: 1 + rng.below(3) }, () => value(rng, schema.item!, depth))
    case 'map': return Object.fromEntries(Array.from({ length: 1 + rng.below(3) }, () => [rng.pick(words), value(rng, schema.item!, depth)]))
    case 'struct': return randomObject(rng, schema.struct!, depth + 1)
  }
}

/** Only a pointer's zero value may stand: all others are left out of the canonical form. */
function field(rng: Random, schema: FieldSchema, depth: number): unknown {
  if (schema.pointer && rng.chance(0.2)) {
    if (schema.value.kind === 'bool') return false
    if (schema.value.kind === 'integer') return 0
    if (schema.value.kind === 'string') return ''
    if (schema.value.kind === 'intOrString') return 0
  }
  const made = value(rng, schema.value, depth)
  return schema.patchMergeKey === undefined ? made : withKeys(rng, made as Record<string, unknown>[], schema)
}

/** Gives each item its merge key, and drops items whose key is taken. */
function withKeys(rng: Random, items: Record<string, unknown>[], { value: list, patchMergeKey: key }: FieldSchema): Record<string, unknown>[] {
  const keySchema = list.item!.struct!.byName.get(key!)!
  const taken = new Set<unknown>()
  return items.filter(item => {
    item[key!] ??= value(rng, keySchema.value, 0)
    return taken.size < taken.add(item[key!]).size
  })
}

export function randomObject(rng: Random, struct: StructSchema, depth = 0): Record<string, unknown> {
  const often = depth === 0 ? 0.9 : depth < 3 ? 0.4 : depth < 6 ? 0.15 : 0.05
  const object: Record<string, unknown> = {}
  for (const schema of struct.fields) {
    if (schema.name === 'apiVersion' || schema.name === 'kind') continue
    if (rng.chance(often)) object[schema.name] = field(rng, schema, depth)
  }
  return object
}
