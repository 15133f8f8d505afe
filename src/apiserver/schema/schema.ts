// The runtime form of the type facts: each struct of the Kubernetes API with its JSON fields, its
// protobuf layout and its patch rules, resolved once (inline structs, aliases, imports) and cached.
// Everything else in this folder walks these tables. Knows nothing of any kind in particular.
import data from '#api/kubernetes-types.json' with { type: 'json' }

interface FieldFact {
  name: string; type: string; proto?: number; inline?: boolean; omitempty?: boolean; optional?: boolean; required?: boolean; pointer?: boolean
  patchStrategy?: string; patchMergeKey?: string; listType?: string; listMapKeys?: string[]; mapType?: string; structType?: string; default?: string
}
interface PackageFact {
  types: Record<string, { fields: FieldFact[]; structType?: string }>
  aliases: Record<string, { base: string; values?: string[] }>
}
const packages = data as unknown as Record<string, PackageFact>

export type ValueKind =
  | 'string' | 'bool' | 'integer' | 'number' | 'bytes' | 'quantity' | 'time' | 'microTime' | 'duration'
  | 'intOrString' | 'raw' | 'fieldsV1' | 'any' | 'list' | 'map' | 'struct'

/** What a value may be. `raw`, `fieldsV1` and `any` are JSON of which no type is known. */
export interface ValueSchema {
  readonly kind: ValueKind
  /** As Go prints the type: `int32`, `v1.Protocol`, `[]v1.Container`. */
  readonly goType: string
  /** Of a list, or the values of a map. */
  readonly item?: ValueSchema
  readonly struct?: StructSchema
  /** Of an integer. */
  readonly bits?: 8 | 32 | 64
  readonly unsigned?: true
  /** The known values of a named string. */
  readonly values?: readonly string[]
  /** A named list (`ExtraValue`) is on the wire a message with the list as field 1. */
  readonly wrapped?: true
}

export interface FieldSchema {
  readonly name: string
  /** As Go's JSON decoder names it in errors: with the inline struct that it is of (`VolumeSource.secret`). */
  readonly goPath: string
  readonly value: ValueSchema
  /** Protobuf field number; 0 where the field is not on the wire. */
  readonly number: number
  readonly omitempty: boolean
  readonly required: boolean
  /** A pointer in Go: its zero value differs from its absence. */
  readonly pointer: boolean
  /** `merge`, `retainKeys`, `replace`. */
  readonly patchStrategies: readonly string[]
  readonly patchMergeKey?: string
  readonly listType?: string
  readonly listMapKeys?: readonly string[]
  readonly mapType?: string
  readonly default?: string
}

/** One protobuf field: of the JSON object itself, or a message whose fields JSON has inline. */
export interface WireField { readonly number: number; readonly field?: FieldSchema; readonly inline?: StructSchema }

export interface StructSchema {
  /** `core/v1` */
  readonly packageName: string
  /** `ServicePort` */
  readonly name: string
  /** JSON fields in the order of the Go struct, inline structs flattened. */
  readonly fields: readonly FieldSchema[]
  readonly byName: ReadonlyMap<string, FieldSchema>
  /** In ascending order of number, as Go writes them. */
  readonly wire: readonly WireField[]
  readonly byNumber: ReadonlyMap<number, WireField>
  /** Has apiVersion and kind: may stand alone in a body. */
  readonly isKind: boolean
  readonly structType?: string
}

// `v1.` means core/v1 in every package of the facts, as those Go files import it.
const importedAs: Record<string, string> = { metav1: 'meta/v1', v1: 'core/v1', corev1: 'core/v1', apiv1: 'core/v1' }

const scalars: Record<string, ValueSchema> = {
  string: { kind: 'string', goType: 'string' },
  bool: { kind: 'bool', goType: 'bool' },
  byte: { kind: 'integer', goType: 'uint8', bits: 8, unsigned: true },
  int: { kind: 'integer', goType: 'int', bits: 64 },
  int32: { kind: 'integer', goType: 'int32', bits: 32 },
  int64: { kind: 'integer', goType: 'int64', bits: 64 },
  uint32: { kind: 'integer', goType: 'uint32', bits: 32, unsigned: true },
  float64: { kind: 'number', goType: 'float64' },
  'interface{}': { kind: 'any', goType: 'interface {}' },
  '[]byte': { kind: 'bytes', goType: '[]uint8' },
  'types.UID': { kind: 'string', goType: 'types.UID' },
  'time.Time': { kind: 'time', goType: 'time.Time' },
  'time.Duration': { kind: 'integer', goType: 'time.Duration', bits: 64 },
  'resource.Quantity': { kind: 'quantity', goType: 'resource.Quantity' },
  'intstr.IntOrString': { kind: 'intOrString', goType: 'intstr.IntOrString' },
  'runtime.RawExtension': { kind: 'raw', goType: 'runtime.RawExtension' },
  'runtime.Object': { kind: 'raw', goType: 'runtime.Object' },
}

/** Structs that write themselves as something other than an object of their fields. */
const special: Record<string, ValueSchema> = {
  'meta/v1.Time': { kind: 'time', goType: 'v1.Time' },
  'meta/v1.MicroTime': { kind: 'microTime', goType: 'v1.MicroTime' },
  'meta/v1.Duration': { kind: 'duration', goType: 'v1.Duration' },
  'meta/v1.FieldsV1': { kind: 'fieldsV1', goType: 'v1.FieldsV1' },
  'apiextensions/v1.CustomResourceSubresourceStatus': { kind: 'any', goType: 'v1.CustomResourceSubresourceStatus' },
  'apiextensions/v1.JSON': { kind: 'any', goType: 'v1.JSON' },
  'apiextensions/v1.JSONSchemaPropsOrArray': { kind: 'any', goType: 'v1.JSONSchemaPropsOrArray' },
  'apiextensions/v1.JSONSchemaPropsOrBool': { kind: 'any', goType: 'v1.JSONSchemaPropsOrBool' },
  'apiextensions/v1.JSONSchemaPropsOrStringArray': { kind: 'any', goType: 'v1.JSONSchemaPropsOrStringArray' },
}

const structs = new Map<string, StructSchema>()
const values = new Map<string, ValueSchema>()

const goName = (packageName: string, name: string): string => `${packageName.split('/').at(-1)}.${name}`

function valueSchema(type: string, home: string): ValueSchema {
  const known = scalars[type]
  if (known) return known
  const key = `${home} ${type}`
  const cached = values.get(key)
  if (cached) return cached
  const made = composite(type, home) ?? named(type, home)
  values.set(key, made)
  return made
}

function composite(type: string, home: string): ValueSchema | undefined {
  if (type.startsWith('[]')) {
    const item = valueSchema(type.slice(2), home)
    return { kind: 'list', goType: `[]${item.goType}`, item }
  }
  const map = /^map\[([\w.]+)\](.*)$/.exec(type)
  if (!map) return undefined
  const item = valueSchema(map[2]!, home)
  return { kind: 'map', goType: `map[${valueSchema(map[1]!, home).goType}]${item.goType}`, item }
}

function named(type: string, home: string): ValueSchema {
  const [prefix, name] = type.includes('.') ? type.split('.') as [string, string] : [undefined, type]
  const owner = prefix === undefined ? home : importedAs[prefix] ?? prefix
  const full = `${owner}.${name}`
  const own = special[full]
  if (own) return own
  const alias = packages[owner]?.aliases[name]
  if (alias) return aliased(valueSchema(alias.base, owner), goName(owner, name), alias.values)
  const struct = structSchema(owner, name)
  if (!struct) throw new Error(`kubernetes-types.json: ${home} names ${type}, which no fact describes`)
  return { kind: 'struct', goType: goName(owner, name), struct }
}

const aliased = (base: ValueSchema, goType: string, known: readonly string[] | undefined): ValueSchema =>
  ({ ...base, goType, ...(known && { values: known }), ...(base.kind === 'list' && { wrapped: true }) })

function fieldSchema(fact: FieldFact, home: string): FieldSchema {
  return {
    name: fact.name,
    goPath: fact.name,
    value: valueSchema(fact.type, home),
    number: fact.proto ?? 0,
    omitempty: fact.omitempty === true,
    required: fact.required === true || !(fact.omitempty || fact.optional),
    pointer: fact.pointer === true,
    patchStrategies: fact.patchStrategy?.split(',') ?? [],
    ...(fact.patchMergeKey !== undefined && { patchMergeKey: fact.patchMergeKey }),
    ...(fact.listType !== undefined && { listType: fact.listType }),
    ...(fact.listMapKeys !== undefined && { listMapKeys: fact.listMapKeys }),
    ...(fact.mapType !== undefined && { mapType: fact.mapType }),
    ...(fact.default !== undefined && { default: fact.default }),
  }
}

/** The struct `name` of a package of the facts (`core/v1`), or undefined when there is none. */
export function structSchema(packageName: string, name: string): StructSchema | undefined {
  const key = `${packageName}.${name}`
  const cached = structs.get(key)
  if (cached) return cached
  const fact = Object.hasOwn(packages, packageName) && Object.hasOwn(packages[packageName]!.types, name)
    ? packages[packageName]!.types[name]! : undefined
  if (!fact || special[key]) return undefined
  const fields: FieldSchema[] = [], wire: WireField[] = []
  const schema = {
    packageName, name, fields, wire, byName: new Map<string, FieldSchema>(), byNumber: new Map<number, WireField>(),
    isKind: fact.fields.some(field => field.inline && /(^|\.)TypeMeta$/.test(field.type)),
    ...(fact.structType !== undefined && { structType: fact.structType }),
  }
  structs.set(key, schema) // before the fields: types may contain themselves
  for (const field of fact.fields) addField(field, packageName, fields, wire)
  wire.sort((a, b) => a.number - b.number)
  for (const field of fields) if (!schema.byName.has(field.name)) schema.byName.set(field.name, field)
  for (const field of wire) schema.byNumber.set(field.number, field)
  return schema
}

function addField(fact: FieldFact, home: string, fields: FieldSchema[], wire: WireField[]): void {
  if (fact.inline) {
    const inline = valueSchema(fact.type, home).struct!
    fields.push(...inline.fields.map(field => ({ ...field, goPath: `${inline.name}.${field.goPath}` })))
    if (fact.proto) wire.push({ number: fact.proto, inline })
    return
  }
  if (fact.name === '' || fact.name === '-') return // internals of the types that `special` stands for
  const field = fieldSchema(fact, home)
  fields.push(field)
  if (field.number) wire.push({ number: field.number, field })
}

/**
 * `apps/v1` as written in bodies to the package of the facts: the group's first label, `core` for
 * the legacy group.
 */
export function packageOfApiVersion(apiVersion: string): string {
  const slash = apiVersion.indexOf('/')
  return slash < 0 ? `core/${apiVersion}` : `${apiVersion.slice(0, slash).split('.')[0]}${apiVersion.slice(slash)}`
}

/** The kind that a body names; DeleteOptions, Status and the like belong to every group-version. */
export function kindSchema(apiVersion: string, kind: string): StructSchema | undefined {
  const schema = structSchema(packageOfApiVersion(apiVersion), kind) ?? structSchema('meta/v1', kind)
  return schema?.isKind ? schema : undefined
}
