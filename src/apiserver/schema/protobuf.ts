// Request bodies in Kubernetes's protobuf envelope (`application/vnd.kubernetes.protobuf`) to the JSON
// form that the rest of the server works on, and back. kubectl create and Helm send nothing else. The
// layout comes from the type facts; the result still goes through strict.ts's checks.
import { StatusError } from '#lib/errors.ts'
import { parseJson, put } from './json.ts'
import type { FieldSchema, StructSchema, ValueSchema } from './schema.ts'
import { kindSchema } from './schema.ts'
import type { Instant } from './values.ts'
import { durationText, isWritable, microTimeText, parseDuration, parseTime, timeText } from './values.ts'
import { Reader, WireError, Writer, wireTypes } from './wire.ts'

const magic = Uint8Array.of(0x6b, 0x38, 0x73, 0) // k8s\0
const maxDepth = 100

export interface DecodedBody { readonly apiVersion: string; readonly kind: string; readonly object: Record<string, unknown> }

const refuse = (message: string): never => { throw new StatusError(400, 'BadRequest', message) }

/** Throws StatusError 400 for what is no such body, and for a kind that no fact describes. */
export function decodeProtobuf(bytes: Uint8Array): DecodedBody {
  if (bytes.length < 4 || magic.some((byte, index) => bytes[index] !== byte)) {
    refuse('provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]')
  }
  try {
    return unknownBody(new Reader(bytes, 4))
  } catch (error) {
    if (error instanceof WireError) return refuse(`proto: ${error.message}`)
    throw error
  }
}

/** runtime.Unknown: 1 TypeMeta, 2 raw, 3 contentEncoding, 4 contentType. */
function unknownBody(reader: Reader): DecodedBody {
  let apiVersion = '', kind = '', raw = new Reader(new Uint8Array()), contentEncoding = ''
  while (!reader.done) {
    const { number, type } = reader.tag()
    if (number >= 1 && number <= 3) expectType(type, wireTypes.bytes)
    if (number === 1) [apiVersion, kind] = typeMeta(reader.message())
    else if (number === 2) raw = reader.message()
    else if (number === 3) contentEncoding = reader.string()
    else reader.skip(type)
  }
  if (contentEncoding !== '') refuse(`proto: content encoding ${JSON.stringify(contentEncoding)} is not supported`)
  const schema = kindSchema(apiVersion, kind)
  if (!schema) return refuse(`no kind ${JSON.stringify(kind)} is registered for version ${JSON.stringify(apiVersion)}`)
  const object: Record<string, unknown> = {}
  readStruct(raw, schema, object, 0)
  return { apiVersion, kind, object: { apiVersion, kind, ...object } }
}

function typeMeta(reader: Reader): [string, string] {
  let apiVersion = '', kind = ''
  while (!reader.done) {
    const { number, type } = reader.tag()
    if (number === 1 && type === wireTypes.bytes) apiVersion = reader.string()
    else if (number === 2 && type === wireTypes.bytes) kind = reader.string()
    else reader.skip(type)
  }
  return [apiVersion, kind]
}

function expectType(type: number, expected: number): void {
  if (type !== expected) throw new WireError(`wrong wireType = ${type}`)
}

// ---- decode

function readStruct(reader: Reader, schema: StructSchema, object: Record<string, unknown>, depth: number): void {
  if (depth > maxDepth) throw new WireError('messages nested too deep')
  while (!reader.done) {
    const { number, type } = reader.tag()
    const wire = schema.byNumber.get(number)
    if (!wire) reader.skip(type)
    else if (wire.inline) {
      expectType(type, wireTypes.bytes)
      readStruct(reader.message(), wire.inline, object, depth + 1)
    } else readField(reader, type, { field: wire.field!, object, depth })
  }
}

interface Target { readonly field: FieldSchema; readonly object: Record<string, unknown>; readonly depth: number }

function readField(reader: Reader, type: number, { field, object, depth }: Target): void {
  const { name, value: schema } = field
  if (schema.kind === 'list' && !schema.wrapped) {
    const list = (object[name] ??= []) as unknown[]
    readItems(reader, type, { schema: schema.item!, list, depth })
  } else if (schema.kind === 'map') {
    expectType(type, wireTypes.bytes)
    readEntry(reader.message(), schema.item!, (object[name] ??= {}) as Record<string, unknown>, depth)
  } else if (schema.kind === 'struct') {
    // A message that comes twice is merged, as proto2 has it.
    expectType(type, wireTypes.bytes)
    readStruct(reader.message(), schema.struct!, (object[name] ??= {}) as Record<string, unknown>, depth + 1)
  } else {
    const value = readValue(reader, type, schema, depth)
    // The Go encoder writes every scalar that is not a pointer, zero or not; JSON leaves zeros out.
    if (value === undefined || (field.omitempty && !field.pointer && isZeroScalar(value))) delete object[name]
    else object[name] = value
  }
}

const isZeroScalar = (value: unknown): boolean => value === '' || value === 0 || value === false

function readItems(reader: Reader, type: number, { schema, list, depth }: { schema: ValueSchema; list: unknown[]; depth: number }): void {
  const packable = schema.kind === 'integer' || schema.kind === 'bool' || schema.kind === 'number'
  if (!packable || type !== wireTypes.bytes) {
    list.push(readValue(reader, type, schema, depth) ?? null)
    return
  }
  const packed = reader.message()
  while (!packed.done) list.push(readValue(packed, wireTypeOf(schema), schema, depth))
}

/** One entry of a map: 1 key, 2 value; an absent one is empty. */
function readEntry(reader: Reader, schema: ValueSchema, map: Record<string, unknown>, depth: number): void {
  let key = '', value: unknown
  while (!reader.done) {
    const { number, type } = reader.tag()
    if (number === 1) { expectType(type, wireTypes.bytes); key = reader.string() } else if (number === 2) value = readValue(reader, type, schema, depth)
    else reader.skip(type)
  }
  put(map, key, value ?? emptyValue(schema))
}

function emptyValue({ kind }: ValueSchema): unknown {
  switch (kind) {
    case 'string': case 'bytes': return ''
    case 'quantity': return '0'
    case 'list': return []
    case 'struct': case 'map': return {}
    case 'bool': return false
    case 'time': case 'microTime': case 'raw': case 'any': case 'fieldsV1': return null
    default: return 0
  }
}

function wireTypeOf({ kind }: ValueSchema): number {
  return kind === 'integer' || kind === 'bool' ? wireTypes.varint : kind === 'number' ? wireTypes.fixed64 : wireTypes.bytes
}

/** Undefined for the zero time and for empty JSON. */
function readValue(reader: Reader, type: number, schema: ValueSchema, depth: number): unknown {
  expectType(type, wireTypeOf(schema))
  switch (schema.kind) {
    case 'string': return reader.string()
    case 'bool': return reader.bool()
    case 'integer': return schema.bits === 64 ? reader.int64() : schema.unsigned ? reader.uint32() : reader.int32()
    case 'number': return reader.double()
    case 'bytes': return base64(reader.bytes())
    case 'quantity': return readQuantity(reader.message())
    case 'intOrString': return readIntOrString(reader.message())
    case 'time': case 'microTime': return readTime(reader.message(), schema.kind)
    case 'duration': return durationText(readFirst(reader.message(), inner => inner.int64(), wireTypes.varint) ?? 0)
    case 'raw': case 'fieldsV1': case 'any': return readJson(reader.message())
    case 'list': return readWrapped(reader.message(), schema.item!, depth)
    case 'struct': { const object = {}; readStruct(reader.message(), schema.struct!, object, depth + 1); return object }
    case 'map': throw new WireError('a map inside a map') // no type has one
  }
}

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64')

/** Field 1 of a message, the last one where it repeats. */
function readFirst<T>(reader: Reader, read: (reader: Reader) => T, expected: number): T | undefined {
  let value: T | undefined
  while (!reader.done) {
    const { number, type } = reader.tag()
    if (number === 1) { expectType(type, expected); value = read(reader) } else reader.skip(type)
  }
  return value
}

const readQuantity = (reader: Reader): string => readFirst(reader, inner => inner.string(), wireTypes.bytes) || '0'

/** intstr.IntOrString: 1 type (0 number, 1 text), 2 number, 3 text. */
function readIntOrString(reader: Reader): number | string {
  let isText = false, number = 0, text = ''
  while (!reader.done) {
    const tag = reader.tag()
    if (tag.number === 1) { expectType(tag.type, wireTypes.varint); isText = reader.bool() }
    else if (tag.number === 2) { expectType(tag.type, wireTypes.varint); number = reader.int32() }
    else if (tag.number === 3) { expectType(tag.type, wireTypes.bytes); text = reader.string() }
    else reader.skip(tag.type)
  }
  return isText ? text : number
}

/** metav1.Timestamp: 1 seconds, 2 nanos; an empty one is the zero time, which JSON writes as null. */
function readTime(reader: Reader, kind: 'time' | 'microTime'): string | undefined {
  if (reader.done) return undefined
  let seconds = 0, nanos = 0
  while (!reader.done) {
    const { number, type } = reader.tag()
    if (number === 1) { expectType(type, wireTypes.varint); seconds = reader.int64() }
    else if (number === 2) { expectType(type, wireTypes.varint); nanos = reader.int32() }
    else reader.skip(type)
  }
  if (!isWritable({ seconds, nanos }) || nanos < 0 || nanos > 999_999_999) throw new WireError('time out of range')
  return kind === 'time' ? timeText({ seconds, nanos }) : microTimeText({ seconds, nanos })
}

/** RawExtension, FieldsV1 and JSON: 1 the JSON text. */
function readJson(reader: Reader): unknown {
  const text = readFirst(reader, inner => inner.string(), wireTypes.bytes) ?? ''
  return text === '' ? undefined : parseJson(text).value ?? undefined
}

function readWrapped(reader: Reader, item: ValueSchema, depth: number): unknown[] {
  const list: unknown[] = []
  while (!reader.done) {
    const { number, type } = reader.tag()
    if (number === 1) readItems(reader, type, { schema: item, list, depth: depth + 1 })
    else reader.skip(type)
  }
  return list
}

// ---- encode

/** The envelope around an object in its JSON form; throws a plain Error where no fact describes the kind. */
export function encodeProtobuf(object: Record<string, unknown>): Uint8Array {
  const { apiVersion, kind } = object
  if (typeof apiVersion !== 'string' || typeof kind !== 'string') throw new Error('an object without apiVersion and kind')
  const schema = kindSchema(apiVersion, kind)
  if (!schema) throw new Error(`no type ${apiVersion} ${kind} in kubernetes-types.json`)
  const writer = new Writer()
  writer.raw(magic)
  writeMessage(writer, 1, () => { writeString(writer, 1, apiVersion); writeString(writer, 2, kind) })
  writeMessage(writer, 2, () => writeStruct(writer, schema, object))
  writeString(writer, 3, '')
  writeString(writer, 4, '')
  return writer.finish()
}

function writeMessage(writer: Writer, number: number, write: () => void): void {
  writer.tag(number, wireTypes.bytes)
  writer.message(write)
}

function writeString(writer: Writer, number: number, text: string): void {
  writer.tag(number, wireTypes.bytes)
  writer.string(text)
}

function writeVarint(writer: Writer, number: number, value: number): void {
  writer.tag(number, wireTypes.varint)
  writer.varint(value)
}

function writeStruct(writer: Writer, schema: StructSchema, object: Record<string, unknown>): void {
  for (const { number, field, inline } of schema.wire) {
    if (inline) {
      if (hasFieldOf(inline, object)) writeMessage(writer, number, () => writeStruct(writer, inline, object))
    } else if (Object.hasOwn(object, field!.name)) writeField(writer, field!, object[field!.name])
  }
}

const hasFieldOf = (schema: StructSchema, object: Record<string, unknown>) => schema.fields.some(field => Object.hasOwn(object, field.name))

function writeField(writer: Writer, { number, value: schema }: FieldSchema, value: unknown): void {
  if (value === null || value === undefined) return
  if (schema.kind === 'list' && !schema.wrapped) {
    for (const item of value as unknown[]) writeValue(writer, number, schema.item!, item)
  } else if (schema.kind === 'map') {
    for (const key of Object.keys(value).sort()) {
      writeMessage(writer, number, () => {
        writeString(writer, 1, key)
        writeValue(writer, 2, schema.item!, (value as Record<string, unknown>)[key])
      })
    }
  } else writeValue(writer, number, schema, value)
}

function writeValue(writer: Writer, number: number, schema: ValueSchema, value: unknown): void {
  switch (schema.kind) {
    case 'string': return writeString(writer, number, value as string)
    case 'bool': return writeVarint(writer, number, value ? 1 : 0)
    case 'integer': return writeVarint(writer, number, value as number)
    case 'number': writer.tag(number, wireTypes.fixed64); return writer.double(value as number)
    case 'bytes': writer.tag(number, wireTypes.bytes); return writer.bytes(Buffer.from(value as string, 'base64'))
    case 'quantity': return writeMessage(writer, number, () => writeString(writer, 1, value as string))
    case 'intOrString': return writeMessage(writer, number, () => writeIntOrString(writer, value as number | string))
    case 'time': case 'microTime': return writeMessage(writer, number, () => writeTime(writer, value as string | null, schema.kind === 'microTime'))
    case 'duration': return writeMessage(writer, number, () => writeVarint(writer, 1, Number(parseDuration(value as string))))
    case 'raw': case 'fieldsV1': case 'any':
      return writeMessage(writer, number, () => { if (value !== null) writeString(writer, 1, JSON.stringify(value)) })
    case 'list':
      return writeMessage(writer, number, () => { for (const item of value as unknown[]) writeValue(writer, 1, schema.item!, item) })
    case 'struct': return writeMessage(writer, number, () => writeStruct(writer, schema.struct!, value as Record<string, unknown>))
    case 'map': throw new Error('a map inside a map') // no type has one
  }
}

function writeIntOrString(writer: Writer, value: number | string): void {
  writeVarint(writer, 1, typeof value === 'string' ? 1 : 0)
  writeVarint(writer, 2, typeof value === 'number' ? value : 0)
  writeString(writer, 3, typeof value === 'string' ? value : '')
}

function writeTime(writer: Writer, text: string | null, micro: boolean): void {
  const instant: Instant | string = text === null ? '' : parseTime(text, { micro })
  if (typeof instant === 'string') return
  writeVarint(writer, 1, instant.seconds)
  writeVarint(writer, 2, instant.nanos)
}
