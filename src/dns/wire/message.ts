// Whole DNS messages (RFC 1035 4) as values: decode for what comes from outside, encode with name
// compression for what goes out. The hot path of cluster names does without both; see answer.ts.
import type {} from './bytes.ts'
import { readOptions, type Edns } from './edns.ts'
import { root, type Name } from './name.ts'
import { layouts, types, type Field } from './types.ts'

/** A record. `data` is the RDATA without compression; rdata.ts reads, writes and prints it. */
export interface Rr {
  readonly name: Name
  readonly type: number
  readonly class: number
  readonly ttl: number
  readonly data: Buffer
}
export interface Question { readonly name: Name; readonly type: number; readonly class: number }

export interface Message {
  readonly id: number
  /** QR, AA, TC, RD, RA, AD, CD bits (`flags` in types.ts) without opcode and rcode. */
  readonly flags: number
  readonly opcode: number
  /** With the upper bits of EDNS0. */
  readonly rcode: number
  readonly questions: readonly Question[]
  readonly answer: readonly Rr[]
  readonly authority: readonly Rr[]
  /** Without OPT. */
  readonly additional: readonly Rr[]
  readonly edns?: Edns | undefined
}

/** The bytes are no DNS message: the message says where. */
export class WireError extends Error {}

const fail = (what: string, at: number): never => { throw new WireError(`${what} at byte ${at}`) }

/**
 * The name at `at` and the offset behind it. Pointers must go backwards and a name holds at most
 * 255 bytes, so that no message can make this loop or grow (RFC 1035 4.1.4).
 */
export function readName(message: Buffer, at: number): { name: Name; next: number } {
  let name = '', i = at, next = -1, floor = at
  for (;;) {
    const length = message[i]
    if (length === undefined) fail('name runs out of the message', at)
    if (length === 0) break
    if (length! >= 0xc0) {
      const target = (length! & 0x3f) << 8 | (message[i + 1] ?? fail('pointer runs out of the message', i))
      if (next < 0) next = i + 2
      if (target >= floor) fail('compression pointer does not go backwards', i)
      i = floor = target
      continue
    }
    if (length! > 63) fail('label of a reserved type', i)
    if (i + 1 + length! > message.length) fail('label runs out of the message', i)
    name += message.latin1Slice(i, i + 1 + length!)
    if (name.length > 254) fail('name over 255 bytes', at)
    i += 1 + length!
  }
  return { name: (name || '') + '\0' as Name, next: next < 0 ? i + 1 : next }
}

/** How many bytes a field of fixed size takes; undefined for the others. */
const widths: Partial<Record<Field, number>> = { u8: 1, u16: 2, u32: 4, ip4: 4, ip6: 16, type: 2, time: 4 }

/** RDATA with its names written out. */
function readData(message: Buffer, type: number, at: number, end: number): Buffer {
  const layout = layouts.get(type)
  const names = layout?.some(field => field === 'name' || field === 'plain')
  if (!names) return message.subarray(at, end)
  const parts: Buffer[] = []
  let i = at
  for (const field of layout!) {
    let next = end
    if (field === 'name' || field === 'plain') {
      const read = readName(message, i)
      parts.push(Buffer.from(read.name, 'latin1'))
      i = read.next
      if (i > end) fail('name runs out of its record', at)
      continue
    }
    if (widths[field]) next = i + widths[field]
    else if (field === 'string') next = i + 1 + (message[i] ?? 0)
    if (next > end) fail('record data is too short', at)
    parts.push(message.subarray(i, next))
    i = next
  }
  if (i !== end) fail('record data is too long', at)
  return Buffer.concat(parts)
}

export function readRecord(message: Buffer, at: number): { record: Rr; next: number } {
  const { name, next: i } = readName(message, at)
  if (i + 10 > message.length) fail('record runs out of the message', at)
  const type = message.readUInt16BE(i)
  const next = i + 10 + message.readUInt16BE(i + 8)
  if (next > message.length) fail('record data runs out of the message', at)
  return { record: { name, type, class: message.readUInt16BE(i + 2), ttl: message.readUInt32BE(i + 4), data: readData(message, type, i + 10, next) }, next }
}

/** Throws WireError. Bytes behind the last record are an error, as is a second OPT (RFC 6891 6.1.1). */
export function decode(message: Buffer): Message {
  if (message.length < 12) fail('message is shorter than its header', 0)
  const word = message.readUInt16BE(2)
  const questions: Question[] = []
  let i = 12
  for (let n = message.readUInt16BE(4); n > 0; n--) {
    const { name, next } = readName(message, i)
    if (next + 4 > message.length) fail('question runs out of the message', i)
    questions.push({ name, type: message.readUInt16BE(next), class: message.readUInt16BE(next + 2) })
    i = next + 4
  }
  const section = (count: number) => {
    const out: Rr[] = []
    for (let n = count; n > 0; n--) {
      const { record, next } = readRecord(message, i)
      out.push(record)
      i = next
    }
    return out
  }
  const answer = section(message.readUInt16BE(6)), authority = section(message.readUInt16BE(8)), extra = section(message.readUInt16BE(10))
  if (i !== message.length) fail('bytes behind the last record', i)
  const opts = extra.filter(record => record.type === types.OPT)
  if (opts.length > 1) fail('more than one OPT record', 12)
  const edns = opts[0] && ednsOf(opts[0])
  return {
    id: message.readUInt16BE(0), flags: word & 0x87f0, opcode: word >> 11 & 15, rcode: word & 15 | (edns?.extendedRcode ?? 0) << 4,
    questions, answer, authority, additional: extra.filter(record => record.type !== types.OPT), edns,
  }
}

const ednsOf = (opt: Rr): Edns => ({ size: opt.class, extendedRcode: opt.ttl >>> 24, version: opt.ttl >>> 16 & 255, dnssec: (opt.ttl & 0x8000) !== 0, options: readOptions(opt.data) })

export function optRecord({ size, version = 0, extendedRcode = 0, dnssec = false, options = [] }: Partial<Edns> & { size: number }): Rr {
  const data = Buffer.concat(options.flatMap(({ code, data }) => [Buffer.from([code >> 8, code & 255, data.length >> 8, data.length & 255]), data]))
  return { name: root, type: types.OPT, class: size, ttl: ((extendedRcode << 24 | version << 16) >>> 0) + (dnssec ? 0x8000 : 0), data }
}

/**
 * Writes a message piece by piece, compressing names (exact case only, so that no name changes its
 * case by pointing at another).
 */
export class Writer {
  #bytes: Buffer
  length = 0
  readonly #seen = new Map<string, number>()
  constructor(size = 512) { this.#bytes = Buffer.allocUnsafe(size) }

  take(): Buffer { return this.#bytes.subarray(0, this.length) }
  /** Forgets what was written from `length` on. */
  cut(length: number): void {
    this.length = length
    for (const [name, at] of this.#seen) if (at >= length) this.#seen.delete(name)
  }
  #room(count: number): void {
    if (this.length + count <= this.#bytes.length) return
    const bigger = Buffer.allocUnsafe(Math.max(this.#bytes.length * 2, this.length + count))
    this.#bytes.copy(bigger, 0, 0, this.length)
    this.#bytes = bigger
  }
  u16(value: number): void {
    this.#room(2)
    this.#bytes[this.length++] = value >> 8
    this.#bytes[this.length++] = value & 255
  }
  u32(value: number): void { this.u16(value >>> 16); this.u16(value & 0xffff) }
  u16At(at: number, value: number): void { this.#bytes.writeUInt16BE(value, at) }
  bytes(data: Uint8Array): void {
    this.#room(data.length)
    this.#bytes.set(data, this.length)
    this.length += data.length
  }
  name(name: Name, compress = true): void {
    let rest: string = name
    while (rest.length > 1) {
      const at = compress ? this.#seen.get(rest) : undefined
      if (at !== undefined) { this.u16(0xc000 | at); return }
      if (this.length < 0x4000 && !this.#seen.has(rest)) this.#seen.set(rest, this.length)
      const size = rest.charCodeAt(0) + 1
      this.#room(size)
      this.#bytes.latin1Write(rest.slice(0, size), this.length)
      this.length += size
      rest = rest.slice(size)
    }
    this.#room(1)
    this.#bytes[this.length++] = 0
  }
  question({ name, type, class: number }: Question): void {
    this.name(name)
    this.u16(type)
    this.u16(number)
  }
  record({ name, type, class: number, ttl, data }: Rr): void {
    this.name(name)
    this.u16(type)
    this.u16(number)
    this.u32(ttl)
    const at = this.length
    this.u16(0)
    this.#data(type, data)
    this.u16At(at, this.length - at - 2)
  }
  #data(type: number, data: Buffer): void {
    const layout = layouts.get(type)
    if (!layout?.includes('name')) { this.bytes(data); return }
    let i = 0
    for (const field of layout) {
      if (field === 'name') {
        const { name, next } = readName(data, i)
        this.name(name)
        i = next
      } else {
        const next = i + widths[field]! // beside names the types of RFC 1035 have fields of fixed size only
        this.bytes(data.subarray(i, next))
        i = next
      }
    }
  }
}

export function encode(message: Message): Buffer {
  const writer = new Writer()
  const extra = message.edns ? [...message.additional, optRecord({ ...pickEdns(message.edns), extendedRcode: message.rcode >> 4 })] : message.additional
  writer.u16(message.id)
  writer.u16(message.flags | message.opcode << 11 | message.rcode & 15)
  for (const section of [message.questions, message.answer, message.authority, extra]) writer.u16(section.length)
  for (const question of message.questions) writer.question(question)
  for (const section of [message.answer, message.authority, extra]) for (const record of section) writer.record(record)
  return writer.take()
}
const pickEdns = ({ size, version, dnssec, options }: Edns) => ({ size, version, dnssec, options })
