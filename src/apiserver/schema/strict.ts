// A decoded body held against the type it claims to be: a pruned, canonical copy, the unknown fields,
// and what does not fit, in the words of Go's JSON decoder. This is what fieldValidation reports;
// whether values make sense is the registry's validation.
import { canonicalQuantity, quantityProblem } from '#api/quantity.ts'
import { pathText, put } from './json.ts'
import type { FieldSchema, StructSchema, ValueSchema } from './schema.ts'
import { structSchema } from './schema.ts'
import { durationText, isWritable, microTimeText, parseDuration, parseTime, timeText } from './values.ts'

export { parseJson } from './json.ts'

export interface CheckedFields {
  /** A deep copy: unknown fields gone, nulls and zero values dropped where Go drops them, quantities and times canonical. */
  readonly object: Record<string, unknown>
  /** `unknown field "spec.tls[0].host"`, in the order of the body. */
  readonly unknown: string[]
  /** `json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32`; upstream answers with the first. */
  readonly errors: string[]
}

const maxUnknown = 100

class Check {
  readonly unknown: string[] = []
  readonly errors: string[] = []
  /** From types that read themselves (times, quantities): Go stops there, and forgets what it found before. */
  fatal: string | undefined
  /** Where in the body, for unknown fields: names and indices. */
  readonly path: (string | number)[] = []
  /** Go's error context: the struct fields on the way, without indices and map keys, and the innermost struct. */
  readonly fields: string[] = []
  struct = ''

  mismatch(value: unknown, goType: string): undefined {
    const what = Array.isArray(value) ? 'array' : typeof value === 'boolean' ? 'bool' : typeof value
    return this.unmarshalError(what, goType)
  }

  unmarshalError(what: string, goType: string): undefined {
    const where = this.fields.length ? `Go struct field ${this.struct}.${this.fields.join('.')}` : 'Go value'
    this.errors.push(`json: cannot unmarshal ${what} into ${where} of type ${goType}`)
  }

  problem(message: string): undefined { this.errors.push(message) }

  /** Runs the reading of such a type; what it finds wrong is fatal. */
  custom<T>(read: () => T): T {
    const before = this.errors.length
    const value = read()
    if (this.errors.length > before) this.fatal ??= this.errors[before]
    return value
  }

  structValue(input: unknown, schema: StructSchema, goType: string): Record<string, unknown> | undefined {
    if (typeof input !== 'object' || input === null || Array.isArray(input)) return this.mismatch(input, goType)
    const output: Record<string, unknown> = {}
    const outer = this.struct
    for (const key of Object.keys(input)) {
      const field = schema.byName.get(key)
      this.path.push(key)
      if (!field) {
        if (this.unknown.length < maxUnknown) this.unknown.push(`unknown field ${JSON.stringify(pathText(this.path))}`)
      } else {
        this.struct = schema.name
        this.fields.push(field.goPath)
        const value = this.fieldValue((input as Record<string, unknown>)[key], field)
        if (value !== undefined) output[key] = value
        this.fields.pop()
      }
      this.path.pop()
    }
    this.struct = outer
    return output
  }

  fieldValue(input: unknown, field: FieldSchema): unknown {
    if (input === null || input === undefined) return undefined
    const value = this.value(input, field.value)
    return field.omitempty && !field.pointer && isZero(value, field.value) ? undefined : value
  }

  value(input: unknown, schema: ValueSchema): unknown {
    switch (schema.kind) {
      case 'string': return typeof input === 'string' ? input : this.mismatch(input, schema.goType)
      case 'bool': return typeof input === 'boolean' ? input : this.mismatch(input, schema.goType)
      case 'integer': return this.integer(input, schema)
      case 'number': return typeof input === 'number' ? input : this.mismatch(input, schema.goType)
      case 'struct': return this.structValue(input, schema.struct!, schema.goType)
      case 'list': return this.list(input, schema)
      case 'map': return this.map(input, schema)
      case 'bytes': return this.bytes(input, schema)
      case 'intOrString': return typeof input === 'string' ? input : this.custom(() => this.integer(input, int32))
      case 'quantity': return this.custom(() => this.quantity(input))
      case 'time': case 'microTime': return this.custom(() => this.time(input, schema))
      case 'duration': return this.custom(() => this.duration(input))
      case 'raw': case 'fieldsV1': case 'any': return copy(input)
    }
  }

  /** A null among the items of a list or the values of a map is the zero value of its type. */
  element(input: unknown, schema: ValueSchema): unknown {
    return input === null || input === undefined ? zeroValue(schema) : this.value(input, schema)
  }

  list(input: unknown, schema: ValueSchema): unknown[] | undefined {
    if (!Array.isArray(input)) return this.mismatch(input, schema.goType)
    return input.map((item, index) => {
      this.path.push(index)
      const value = this.element(item, schema.item!)
      this.path.pop()
      return value
    })
  }

  map(input: unknown, schema: ValueSchema): Record<string, unknown> | undefined {
    if (typeof input !== 'object' || Array.isArray(input)) return this.mismatch(input, schema.goType)
    const output: Record<string, unknown> = {}
    for (const [key, item] of Object.entries(input as Record<string, unknown>)) {
      this.path.push(key)
      put(output, key, this.element(item, schema.item!))
      this.path.pop()
    }
    return output
  }

  integer(input: unknown, { goType, bits, unsigned }: ValueSchema): number | undefined {
    if (typeof input !== 'number') return this.mismatch(input, goType)
    const limit = 2 ** (unsigned ? bits! : bits! - 1)
    if (Number.isInteger(input) && input < limit && input >= (unsigned ? 0 : -limit)) return input
    return this.unmarshalError(`number ${input}`, goType)
  }

  bytes(input: unknown, schema: ValueSchema): string | undefined {
    if (typeof input !== 'string') return this.mismatch(input, schema.goType)
    const text = input.replace(/[\r\n]/g, '')
    const wrong = base64Problem(text)
    return wrong === undefined ? text : this.problem(`illegal base64 data at input byte ${wrong}`)
  }

  quantity(input: unknown): string | undefined {
    const text = typeof input === 'string' ? input.trim() : typeof input === 'number' ? String(input) : 'x'
    const problem = quantityProblem(text)
    return problem === undefined ? canonicalQuantity(text) : this.problem(problem)
  }

  time(input: unknown, { kind }: ValueSchema): string | undefined {
    if (typeof input !== 'string') return this.mismatch(input, 'string')
    const instant = parseTime(input, { micro: kind === 'microTime' })
    if (typeof instant === 'string') return this.problem(instant)
    if (!isWritable(instant)) return this.problem(`${JSON.stringify(input)}: year outside of range [0,9999]`)
    return kind === 'time' ? timeText(instant) : microTimeText(instant)
  }

  duration(input: unknown): string | undefined {
    if (typeof input !== 'string') return this.mismatch(input, 'string')
    const nanos = parseDuration(input)
    return typeof nanos === 'string' ? this.problem(nanos) : durationText(nanos)
  }
}

const int32: ValueSchema = { kind: 'integer', goType: 'int32', bits: 32 }

/** The offset at which Go's decoder stops (RFC 4648 section 4, with padding); undefined when it does not. */
function base64Problem(text: string): number | undefined {
  const good = /^[A-Za-z0-9+/]*/.exec(text)![0].length, inQuantum = good % 4
  if (good === text.length) return inQuantum === 0 ? undefined : good - inQuantum
  if (text[good] !== '=' || inQuantum < 2) return good
  if (inQuantum === 2 && text[good + 1] !== '=') return good + 1 === text.length ? text.length : good
  const end = good + 4 - inQuantum
  return end < text.length ? end : undefined
}

function isZero(value: unknown, { kind }: ValueSchema): boolean {
  switch (kind) {
    case 'string': case 'bytes': return value === ''
    case 'bool': return value === false
    case 'integer': case 'number': return value === 0
    case 'intOrString': return value === 0 || value === '' // a targetPort of 0 is none: defaulting treats it so
    case 'list': return Array.isArray(value) && value.length === 0
    case 'map': return value !== undefined && Object.keys(value as object).length === 0
    default: return false // Go's omitempty never drops a struct
  }
}

function zeroValue({ kind }: ValueSchema): unknown {
  switch (kind) {
    case 'string': case 'bytes': return ''
    case 'bool': return false
    case 'integer': case 'number': case 'intOrString': return 0
    case 'quantity': return '0'
    case 'list': return []
    case 'map': case 'struct': return {}
    case 'duration': return '0s'
    default: return null
  }
}

/** A deep copy of plain JSON. */
export function copy(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map(copy)
  const output: Record<string, unknown> = {}
  for (const key of Object.keys(value)) put(output, key, copy((value as Record<string, unknown>)[key]))
  return output
}

/**
 * Holds a parsed body against its type. Throws a plain Error when no such type exists; all that is
 * wrong with the body is in the result. `packageName` as #api/resources.ts gives it; kinds of
 * meta/v1 (DeleteOptions) are found under every package.
 */
export function checkFields(object: unknown, { packageName, kind }: { packageName: string; kind: string }): CheckedFields {
  const schema = structSchema(packageName, kind) ?? structSchema('meta/v1', kind)
  if (!schema) throw new Error(`no type ${packageName} ${kind} in kubernetes-types.json`)
  const check = new Check()
  const checked = check.structValue(object, schema, `${schema.packageName.split('/').at(-1)}.${schema.name}`)
  const errors = check.fatal === undefined ? check.errors : [check.fatal, ...check.errors.filter(error => error !== check.fatal)]
  return { object: checked ?? {}, unknown: check.unknown, errors }
}
