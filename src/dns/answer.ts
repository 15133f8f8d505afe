// From an Answer to the bytes that go out, and between its two forms. `render` is the hot path: for
// a packed answer it copies the question and the body and nothing else.
import type {} from './wire/bytes.ts'
import { isPacked, type Answer, type Packed, type Records } from './plugin.ts'
import type { Query } from './query.ts'
import { optRecord, readRecord, Writer, type Rr } from './wire/message.ts'
import type { Name } from './wire/name.ts'
import { flags, types } from './wire/types.ts'

/** Of the query's flags an answer repeats these (RFC 1035 4.1.1, RFC 4035 3.1.6). */
const echoed = flags.RD | flags.CD

/** The size we tell clients (dnsflagday.net 2020; bufsize's default). */
export const ourSize = 1232

/** Owner names of the question's name are left to the asker's case: they become pointers to the question. */
export function pack(records: Records, question: { readonly name: Name; readonly type: number; readonly class?: number }): Packed {
  const writer = new Writer()
  writer.bytes(Buffer.alloc(12))
  writer.question({ class: 1, ...question })
  const start = writer.length
  for (const section of [records.answer, records.authority, records.additional]) for (const record of section) writer.record(record)
  const body = Buffer.from(writer.take().subarray(start)) // a copy without the writer's spare room: it is kept long
  const { rcode, error, answer, authority, additional } = records
  return { rcode, flags: records.flags, counts: [answer.length, authority.length, additional.length], body, ...(error && { error }), ...widthOf(answer, body) }
}

function widthOf(answer: readonly Rr[], body: Buffer): { width?: number } {
  const first = answer[0]
  if (!first || answer.length < 2 || (first.type !== types.A && first.type !== types.AAAA)) return {}
  if (answer.some(record => record.type !== first.type || record.name !== first.name)) return {}
  const width = 12 + first.data.length // a pointer as owner in each: else they differ in length
  return body.readUInt16BE(0) >> 14 === 3 && body.readUInt16BE(width * (answer.length - 1)) === body.readUInt16BE(0) ? { width } : {}
}

/** The records of an answer; `query` is the one it answers (the one given to `next`). */
export function unpack(answer: Answer, query: Query): Records {
  if (!isPacked(answer)) return answer
  const message = Buffer.concat([query.message.subarray(0, query.end), turned(answer)])
  let at = query.end
  const section = (count: number) => Array.from({ length: count }, () => {
    const { record, next } = readRecord(message, at)
    at = next
    return record
  })
  const { rcode, error, counts } = answer
  return { rcode, flags: answer.flags, answer: section(counts[0]), authority: section(counts[1]), additional: section(counts[2]), ...(error && { error }) }
}

function turned({ body, width, turn, counts }: Packed): Buffer {
  if (!turn || !width) return body
  const all = width * counts[0], from = turn % counts[0] * width
  return Buffer.concat([body.subarray(from, all), body.subarray(0, from), body.subarray(all)])
}

/** The OPT record of most answers: ours size, version 0, no options; DO as asked (RFC 3225 3). */
const plainOpt = Buffer.from([0, 0, 41, ourSize >> 8, ourSize & 255, 0, 0, 0, 0, 0, 0])

/** The whole message to send. Never longer than `query.size`: what does not fit is cut, with TC (RFC 2181 9). */
export function render(query: Query, answer: Answer): Buffer {
  if (isPacked(answer)) {
    const optLength = query.edns ? 11 : 0
    const length = query.end + answer.body.length + optLength
    if (length <= query.size && answer.rcode < 16) return renderPacked(query, answer, length)
  }
  return renderRecords(query, unpack(answer, query))
}

function renderPacked({ message, end, edns }: Query, answer: Packed, length: number): Buffer {
  const { body, counts, width, turn } = answer
  const out = Buffer.allocUnsafe(length)
  copy(message, out, { to: 0, from: 0, end })
  writeHead(out, message, answer)
  out[6] = counts[0] >> 8; out[7] = counts[0] & 255
  out[8] = counts[1] >> 8; out[9] = counts[1] & 255
  const additional = counts[2] + (edns ? 1 : 0)
  out[10] = additional >> 8; out[11] = additional & 255
  if (turn && width) {
    const all = width * counts[0], from = turn % counts[0] * width
    copy(body, out, { to: end, from, end: all })
    copy(body, out, { to: end + all - from, from: 0, end: from })
    copy(body, out, { to: end + all, from: all, end: body.length })
  } else copy(body, out, { to: end, from: 0, end: body.length })
  if (edns) {
    copy(plainOpt, out, { to: length - 11, from: 0, end: 11 })
    if (edns.dnssec) out[length - 4] = 0x80
  }
  return out
}

/** Byte by byte: for the few bytes of a DNS message faster than Buffer.copy, which makes two views first. */
function copy(source: Buffer, target: Buffer, { to, from, end }: { to: number; from: number; end: number }): void {
  if (end - from > 200) { source.copy(target, to, from, end); return }
  for (let i = from, at = to; i < end; i++, at++) target[at] = source[i]!
}

/** QR, the opcode and the echoed bits of the query, the flags and rcode of the answer. */
function writeHead(out: Buffer, query: Buffer, answer: { readonly rcode: number; readonly flags: number }): void {
  out[2] = 0x80 | query[2]! & (0x78 | echoed >> 8) | answer.flags >> 8 & 0x07
  out[3] = query[3]! & echoed & 0xff | answer.flags & 0xf0 | answer.rcode & 15
}

export function renderRecords(query: Query, answer: Records): Buffer {
  const { edns } = query
  const opt = edns && optRecord({ size: ourSize, extendedRcode: answer.rcode >> 4, dnssec: edns.dnssec, options: answer.options ?? [] })
  const limit = query.size - (opt ? 11 + opt.data.length : 0)
  const writer = new Writer()
  writer.bytes(query.message.subarray(0, 12))
  writer.question({ name: query.asked, type: query.type, class: query.class })
  const counts = [0, 0, 0]
  let full = false, truncated = false
  for (const [index, section] of [answer.answer, answer.authority, answer.additional].entries()) {
    for (const record of section) {
      if (full) break
      const start = writer.length
      writer.record(record)
      if (writer.length > limit) {
        writer.cut(start)
        full = true
        truncated = index < 2 // additional records are a courtesy: without them the answer is whole
      } else counts[index]!++
    }
  }
  if (opt) writer.record(opt)
  const out = writer.take()
  writeHead(out, query.message, truncated ? { rcode: answer.rcode, flags: answer.flags | flags.TC } : answer)
  if (answer.cleared) out.writeUInt16BE(out.readUInt16BE(2) & ~answer.cleared, 2)
  for (const [index, count] of counts.entries()) out.writeUInt16BE(count + (index === 2 && opt ? 1 : 0), 6 + 2 * index)
  out.writeUInt16BE(1, 4)
  return out
}

