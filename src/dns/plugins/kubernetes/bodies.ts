// Answers as bytes, made once and sent many times: the section bodies behind a question, with owners
// and zones as pointers into it. Pure.
import '../../wire/bytes.ts'
import type { Packed } from '../../plugin.ts'
import type { Name } from '../../wire/name.ts'
import { flags, types } from '../../wire/types.ts'
import { ipData, isIp6 } from './address.ts'

const u16 = (value: number) => String.fromCharCode(value >> 8 & 255, value & 255)
const u32 = (value: number) => u16(value >>> 16) + u16(value & 0xffff)
const toQuestion = '\xc0\x0c'
const bytes = (text: string) => Buffer.from(text, 'latin1')

/** Addresses of one family as the answer to whatever was asked. */
export function addressBody(ips: readonly string[], ttl: number): Pick<Packed, 'body' | 'counts' | 'width'> {
  const six = isIp6(ips[0]!)
  const head = toQuestion + u16(six ? types.AAAA : types.A) + u16(1) + u32(ttl) + u16(six ? 16 : 4)
  let body = ''
  for (const ip of ips) body += head + ipData(ip)
  return { body: bytes(body), counts: [ips.length, 0, 0], ...(ips.length > 1 && { width: head.length + (six ? 16 : 4) }) }
}

export interface ZoneSoa { readonly serial: number; readonly ttl: number; readonly mname: string; readonly rname: string; readonly refresh: number; readonly retry: number; readonly expire: number; readonly minimum: number }

/** The zone's SOA as the authority section; `mname` and `rname` are labels before the zone, in wire form. */
export function soaBody(name: Name, zone: Name, soa: ZoneSoa): Buffer {
  const at = 12 + name.length - zone.length
  const zonePointer = zone.length === 1 ? '\0' : u16(0xc000 | at)
  const data = soa.mname + zonePointer + soa.rname + zonePointer + [soa.serial, soa.refresh, soa.retry, soa.expire, soa.minimum].map(u32).join('')
  return bytes(zonePointer + u16(types.SOA) + u16(1) + u32(soa.ttl) + u16(data.length) + data)
}

/**
 * What of an answer fits into `room` bytes: whole records, additional ones as a courtesy; TC when one
 * of the answer is missing (RFC 2181 9). `turn` picks which of many addresses those are.
 */
export function cut(answer: Packed, room: number, turn: number): Packed {
  const { body, counts, width } = answer
  if (width) {
    const count = Math.max(0, Math.floor(room / width)), from = Math.floor(turn * (counts[0] - count + 1)) * width
    return { ...answer, flags: answer.flags | flags.TC, counts: [count, 0, 0], body: body.subarray(from, from + count * width) }
  }
  let end = 0, fits = 0
  const all = counts[0] + counts[1] + counts[2]
  for (let next; fits < all && (next = recordEnd(body, end)) <= room; end = next) fits++
  const whole = fits >= counts[0]
  return { ...answer, flags: whole ? answer.flags : answer.flags | flags.TC, counts: [Math.min(fits, counts[0]), 0, whole ? fits - counts[0] : 0], body: body.subarray(0, end) }
}

function recordEnd(body: Buffer, start: number): number {
  let at = start
  while (body[at]! > 0 && body[at]! < 64) at += body[at]! + 1
  at += body[at] === 0 ? 1 : 2
  return at + 10 + body.readUInt16BE(at + 8)
}
