// Signatures over record sets (RFC 4034 3 and 6). Pure: the time is given.
import type { Rr } from '../../wire/message.ts'
import { readName } from '../../wire/message.ts'
import { fold, labels, type Name } from '../../wire/name.ts'
import { layouts, types, type Field } from '../../wire/types.ts'
import type { Key } from './key.ts'

/** Types whose names are lower case when signed (RFC 4034 6.2, RFC 6840 5.1). */
const foldedTypes = new Set<number>([types.NS, types.CNAME, types.SOA, types.PTR, types.MX, types.RP, types.AFSDB, types.RT, types.SIG, types.NAPTR, types.KX, types.SRV, types.DNAME, types.RRSIG])
const widths: Partial<Record<Field, number>> = { u8: 1, u16: 2, u32: 4, type: 2, time: 4 }

function canonicalData({ type, data }: Rr): Buffer {
  const layout = layouts.get(type)
  if (!foldedTypes.has(type) || !layout) return data
  const parts: Buffer[] = []
  let at = 0
  for (const field of layout) {
    if (field === 'name' || field === 'plain') {
      const { name, next } = readName(data, at)
      parts.push(Buffer.from(fold(name), 'latin1'))
      at = next
      continue
    }
    const width = field === 'string' ? 1 + (data[at] ?? 0) : widths[field] ?? data.length - at
    parts.push(data.subarray(at, at + width))
    at += width
  }
  return Buffer.concat(parts)
}

export interface Period { readonly inception: number; readonly expiration: number }

/** RRSIG's data but for the signature. */
function head([first]: readonly Rr[], { key, zone, period }: { key: Pick<Key, 'tag'>; zone: Name; period: Period }): Buffer {
  const out = Buffer.alloc(18)
  out.writeUInt16BE(first!.type, 0)
  out[2] = 13
  out[3] = labels(first!.name).filter((label, i) => i > 0 || label !== '*').length
  out.writeUInt32BE(first!.ttl, 4)
  out.writeUInt32BE(period.expiration, 8)
  out.writeUInt32BE(period.inception, 12)
  out.writeUInt16BE(key.tag, 16)
  return Buffer.concat([out, Buffer.from(zone, 'latin1')])
}

/** What is signed (RFC 4034 3.1.8.1): the head, then the records in order. */
export function signedData(set: readonly Rr[], options: { key: Pick<Key, 'tag'>; zone: Name; period: Period }): { head: Buffer; data: Buffer } {
  const start = head(set, options), { name, type, class: number, ttl } = set[0]!
  const all = [...new Map(set.map(record => { const data = canonicalData(record); return [data.latin1Slice(), data] })).values()].sort(Buffer.compare)
  const records = all.map(data => {
    const fixed = Buffer.alloc(10)
    fixed.writeUInt16BE(type, 0)
    fixed.writeUInt16BE(number, 2)
    fixed.writeUInt32BE(ttl, 4)
    fixed.writeUInt16BE(data.length, 8)
    return Buffer.concat([Buffer.from(fold(name), 'latin1'), fixed, data])
  })
  return { head: start, data: Buffer.concat([start, ...records]) }
}

export function rrsig(set: readonly Rr[], { key, zone, period }: { key: Key; zone: Name; period: Period }): Rr {
  const { head, data } = signedData(set, { key, zone, period })
  const { name, class: number, ttl } = set[0]!
  return { name, type: types.RRSIG, class: number, ttl, data: Buffer.concat([head, key.sign(data)]) }
}
