// The data of records: made from values, read into values, and printed and parsed as zone files
// write it (RFC 1035 5, RFC 3597). Everything follows the layouts of types.ts.
import { formatIp, parseIp } from '#net/ip.ts'
import { readName, type Rr } from './message.ts'
import { parseName, root, showName, type Name } from './name.ts'
import { className, layouts, parseClass, parseType, typeName, types, type Field } from './types.ts'

const record = (type: number) => (name: Name, ttl: number, data: Buffer): Rr => ({ name, type, class: 1, ttl, data })
const u16 = (...values: number[]) => Buffer.from(values.flatMap(value => [value >> 8, value & 255]))
const u32 = (...values: number[]) => Buffer.from(values.flatMap(value => [value >>> 24, value >>> 16 & 255, value >>> 8 & 255, value & 255]))
const wire = (name: Name) => Buffer.from(name, 'latin1')

/** 4 or 16 bytes; undefined when the text is no address. */
export function addressBytes(text: string): Buffer | undefined {
  const ip = parseIp(text)
  if (!ip) return undefined
  return Buffer.from(ip.value.toString(16).padStart(ip.family === 4 ? 8 : 32, '0'), 'hex')
}
export const showAddress = (bytes: Buffer): string =>
  formatIp({ family: bytes.length === 4 ? 4 : 6, value: BigInt(`0x${bytes.toString('hex') || '0'}`) })

/** A or AAAA by the address's family. */
export function address(name: Name, ttl: number, text: string): Rr {
  const data = addressBytes(text)
  if (!data) throw new TypeError(`${text} is no IP address`)
  return record(data.length === 4 ? types.A : types.AAAA)(name, ttl, data)
}
export const cname = (name: Name, ttl: number, target: Name): Rr => record(types.CNAME)(name, ttl, wire(target))
export const ns = (name: Name, ttl: number, target: Name): Rr => record(types.NS)(name, ttl, wire(target))
export const ptr = (name: Name, ttl: number, target: Name): Rr => record(types.PTR)(name, ttl, wire(target))
export const srv = (name: Name, ttl: number, { priority, weight, port, target }: Srv): Rr =>
  record(types.SRV)(name, ttl, Buffer.concat([u16(priority, weight, port), wire(target)]))
export interface Srv { readonly priority: number; readonly weight: number; readonly port: number; readonly target: Name }
export interface Soa { readonly mname: Name; readonly rname: Name; readonly serial: number; readonly refresh: number; readonly retry: number; readonly expire: number; readonly minimum: number }
export const soa = (name: Name, ttl: number, { mname, rname, serial, refresh, retry, expire, minimum }: Soa): Rr =>
  record(types.SOA)(name, ttl, Buffer.concat([wire(mname), wire(rname), u32(serial, refresh, retry, expire, minimum)]))
/** Each text is cut into strings of at most 255 bytes. */
export const txt = (name: Name, ttl: number, ...texts: string[]): Rr => record(types.TXT)(name, ttl, Buffer.concat(texts.flatMap(text => {
  const bytes = Buffer.from(text)
  const parts: Buffer[] = []
  for (let i = 0; i === 0 || i < bytes.length; i += 255) parts.push(Buffer.from([Math.min(255, bytes.length - i)]), bytes.subarray(i, i + 255))
  return parts
})))

/** The name in the data of NS, CNAME, PTR, DNAME, MX, SRV (the last field). */
export function targetOf({ type, data }: Rr): Name {
  const skip = type === types.SRV ? 6 : type === types.MX || type === types.KX || type === types.AFSDB || type === types.RT ? 2 : 0
  return readName(data, skip).name
}
export function readSoa({ data }: Rr): Soa {
  const { name: mname, next } = readName(data, 0), { name: rname, next: at } = readName(data, next)
  const [serial, refresh, retry, expire, minimum] = [0, 4, 8, 12, 16].map(i => data.readUInt32BE(at + i)) as [number, number, number, number, number]
  return { mname, rname, serial, refresh, retry, expire, minimum }
}

const quote = (bytes: Buffer) => `"${[...bytes].map(c => c === 34 || c === 92 ? `\\${String.fromCharCode(c)}` : c < 32 || c > 126 ? `\\${String(c).padStart(3, '0')}` : String.fromCharCode(c)).join('')}"`
const timestamp = (seconds: number) => new Date(seconds * 1000).toISOString().replace(/[-:T]|\..*/g, '')
const base32 = '0123456789abcdefghijklmnopqrstuv'

function toBase32(bytes: Buffer): string {
  let out = '', bits = 0, value = 0
  for (const byte of bytes) {
    value = value << 8 | byte
    for (bits += 8; bits >= 5; bits -= 5) out += base32[value >> bits - 5 & 31]
    value &= (1 << bits) - 1
  }
  return bits ? out + base32[value << 5 - bits & 31] : out
}

function showBitmap(data: Buffer): string[] {
  const out: string[] = []
  for (let i = 0; i + 2 <= data.length; i += 2 + data[i + 1]!) {
    for (let n = 0; n < data[i + 1]! * 8; n++) if (data[i + 2 + (n >> 3)]! & 128 >> (n & 7)) out.push(typeName(data[i]! << 8 | n))
  }
  return out
}

/** A field at `at`: its text and the offset behind it. */
function showField(field: Field, data: Buffer, at: number): [string, number] {
  const rest = data.subarray(at)
  const sized = (length: number) => rest.subarray(1, 1 + length)
  switch (field) {
    case 'name': case 'plain': { const { name, next } = readName(data, at); return [showName(name), next] }
    case 'u8': return [String(rest.readUInt8()), at + 1]
    case 'u16': return [String(rest.readUInt16BE()), at + 2]
    case 'u32': return [String(rest.readUInt32BE()), at + 4]
    case 'type': return [typeName(rest.readUInt16BE()), at + 2]
    case 'time': return [timestamp(rest.readUInt32BE()), at + 4]
    case 'ip4': if (rest.length !== 4) throw new RangeError('not 4 bytes'); return [showAddress(rest), at + 4]
    case 'ip6': if (rest.length !== 16) throw new RangeError('not 16 bytes'); return [showAddress(rest), at + 16]
    case 'string': return [quote(sized(rest.readUInt8())), at + 1 + rest[0]!]
    case 'salt': return [rest.readUInt8() ? sized(rest[0]!).toString('hex').toUpperCase() : '-', at + 1 + rest[0]!]
    case 'hash': return [toBase32(sized(rest.readUInt8())).toUpperCase(), at + 1 + rest[0]!]
    case 'strings': {
      const out: string[] = []
      for (let i = 0; i < rest.length; i += 1 + rest[i]!) out.push(quote(rest.subarray(i + 1, i + 1 + rest[i]!)))
      return [out.join(' '), data.length]
    }
    case 'bitmap': return [showBitmap(rest).join(' '), data.length]
    case 'base64': return [rest.toString('base64'), data.length]
    case 'text': return [quote(rest), data.length]
    case 'hex': case 'opaque': return [rest.toString('hex').toUpperCase(), data.length]
  }
}

/** As a zone file writes it; unknown or malformed data as `\# 3 010203` (RFC 3597 5). */
export function showData({ type, data }: Pick<Rr, 'type' | 'data'>): string {
  const layout = layouts.get(type)
  try {
    if (layout) {
      const out: string[] = []
      let at = 0
      for (const field of layout) {
        const [text, next] = showField(field, data, at)
        if (next > data.length) throw new RangeError('short')
        out.push(text)
        at = next
      }
      if (at === data.length) return out.join(' ').trimEnd()
    }
  } catch { /* malformed: as bytes */ }
  return `\\# ${data.length}${data.length ? ` ${data.toString('hex').toUpperCase()}` : ''}`
}

/** `name TTL CLASS TYPE data`, tabs between, as dig prints it. */
export const showRecord = (record: Rr): string =>
  [showName(record.name), record.ttl, className(record.class), typeName(record.type), showData(record)].join('\t')

/** Words of a zone-file line: quotes and escapes kept apart. Parentheses and comments are the `file` plugin's. */
export interface Word { readonly text: string; readonly quoted: boolean }
export function words(line: string): Word[] {
  return [...line.matchAll(/"((?:[^"\\]|\\[^])*)"|((?:[^\s"\\]|\\[^])+)/g)].map(match => ({ text: match[1] ?? match[2]!, quoted: match[1] !== undefined }))
}

const unescape = (text: string) => Buffer.concat(text.split(/(\\\d{3}|\\[^])/).filter(Boolean).map(part =>
  /^\\\d{3}$/.test(part) ? Buffer.from([Number(part.slice(1)) & 255]) : Buffer.from(part.length > 1 && part[0] === '\\' ? part.slice(1) : part)))

function bitmap(names: readonly Word[]): Buffer | undefined {
  const numbers = names.map(word => parseType(word.text))
  if (numbers.includes(undefined)) return undefined
  return typeBitmap(numbers as number[])
}
/** RFC 4034 4.1.2. */
export function typeBitmap(numbers: readonly number[]): Buffer {
  const windows = new Map<number, Buffer>()
  for (const number of [...numbers].sort((a, b) => a - b)) {
    const bits = windows.get(number >> 8) ?? Buffer.alloc(32)
    bits[(number & 255) >> 3]! |= 128 >> (number & 7)
    windows.set(number >> 8, bits)
  }
  return Buffer.concat([...windows].flatMap(([window, bits]) => {
    const length = bits.findLastIndex(byte => byte !== 0) + 1
    return [Buffer.from([window, length]), bits.subarray(0, length)]
  }))
}

const ranged = (text: string, bytes: number): Buffer | undefined => {
  if (!/^\d{1,10}$/.test(text) || Number(text) >= 2 ** (8 * bytes)) return undefined
  const out = Buffer.alloc(bytes)
  out.writeUIntBE(Number(text), 0, bytes)
  return out
}
const string = (text: string): Buffer | undefined => {
  const bytes = unescape(text)
  return bytes.length < 256 ? Buffer.concat([Buffer.from([bytes.length]), bytes]) : undefined
}
const hex = (text: string) => /^([0-9a-fA-F]{2})*$/.test(text) ? Buffer.from(text, 'hex') : undefined
function fromTime(text: string): Buffer | undefined {
  const match = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)$/.exec(text)
  if (!match) return ranged(text, 4)
  const [year, month, day, hour, minute, second] = match.slice(1).map(Number) as [number, number, number, number, number, number]
  return u32(Date.UTC(year, month - 1, day, hour, minute, second) / 1000 >>> 0)
}
function fromBase32(text: string): Buffer | undefined {
  const out: number[] = []
  let bits = 0, value = 0
  for (const c of text.toLowerCase()) {
    const digit = base32.indexOf(c)
    if (digit < 0) return undefined
    value = (value << 5 | digit) & 0xfff
    bits += 5
    if (bits >= 8) { bits -= 8; out.push(value >> bits & 255) }
  }
  return Buffer.from([out.length, ...out])
}

/** One field of the words from `at` on; how many words it took. */
function parseField(field: Field, rest: readonly Word[], origin: Name): [Buffer | undefined, number] {
  const text = rest[0]?.text ?? ''
  const joined = rest.map(word => word.text).join('')
  switch (field) {
    case 'name': case 'plain': { const name = text === '@' ? origin : text === '' ? undefined : parseName(text, origin); return [name && wire(name), 1] }
    case 'u8': return [ranged(text, 1), 1]
    case 'u16': return [ranged(text, 2), 1]
    case 'u32': return [ranged(text, 4), 1]
    case 'type': { const type = parseType(text); return [type === undefined ? undefined : u16(type), 1] }
    case 'time': return [fromTime(text), 1]
    case 'ip4': { const bytes = addressBytes(text); return [bytes?.length === 4 ? bytes : undefined, 1] }
    case 'ip6': { const bytes = addressBytes(text); return [bytes?.length === 16 ? bytes : undefined, 1] }
    case 'string': return [rest[0] && string(text), 1]
    case 'salt': { const bytes = text === '-' ? Buffer.alloc(0) : hex(text); return [bytes && Buffer.concat([Buffer.from([bytes.length]), bytes]), 1] }
    case 'hash': return [fromBase32(text), 1]
    case 'strings': {
      const parts = rest.map(word => string(word.text))
      return [parts.length === 0 || parts.includes(undefined) ? undefined : Buffer.concat(parts as Buffer[]), rest.length]
    }
    case 'bitmap': return [bitmap(rest), rest.length]
    case 'base64': return [/^[A-Za-z0-9+/]*={0,2}$/.test(joined) ? Buffer.from(joined, 'base64') : undefined, rest.length]
    case 'text': return [unescape(text), 1]
    case 'hex': case 'opaque': return [hex(joined), rest.length]
  }
}

/** The data of a record of `type` from zone-file words; undefined when they do not fit. Names without a last dot are below `origin`. */
export function parseData(type: number, given: readonly Word[], origin: Name = root): Buffer | undefined {
  if (given[0]?.text === '\\#') {
    const bytes = hex(given.slice(2).map(word => word.text).join(''))
    return bytes && String(bytes.length) === given[1]?.text ? bytes : undefined
  }
  const parts: Buffer[] = []
  let at = 0
  for (const field of layouts.get(type) ?? ['opaque' as const]) {
    if (field === 'opaque') return undefined // an unknown type has only the generic form
    const [bytes, took] = parseField(field, given.slice(at), origin)
    if (!bytes) return undefined
    parts.push(bytes)
    at += took
  }
  return at === given.length ? Buffer.concat(parts) : undefined
}

/** `www.example.org. 60 IN A 10.0.0.1`: one line of a zone file; TTL and class may be left out or swapped. undefined when it is none. */
export function parseRecord(line: string, { origin = root, ttl = 3600 }: { origin?: Name; ttl?: number } = {}): Rr | undefined {
  const [first, ...rest] = words(line)
  const name = first && (first.text === '@' ? origin : parseName(first.text, origin))
  if (!name) return undefined
  let type: number | undefined, number = 1, seconds = ttl
  while (rest[0] && type === undefined) {
    const { text } = rest.shift()!
    const asClass = parseClass(text)
    if (/^\d+$/.test(text)) seconds = Number(text)
    else if (asClass !== undefined && text.toUpperCase() !== 'ANY') number = asClass
    else if ((type = parseType(text)) === undefined) return undefined
  }
  const data = type === undefined ? undefined : parseData(type, rest, origin)
  return data && seconds < 2 ** 32 ? { name, type: type!, class: number, ttl: seconds, data } : undefined
}
