// What goes to an upstream and what comes back: the message that is sent for a query, whether a reply
// is the one asked for, and the Answer in it. Pure.
import { isPacked, type Answer } from '../../plugin.ts'
import { Query } from '../../query.ts'
import { ourSize } from '../../answer.ts'
import { decode, optRecord, Writer, WireError } from '../../wire/message.ts'
import type { Name } from '../../wire/name.ts'
import { flags, rcodes, types } from '../../wire/types.ts'
import { recordsOf, type Place } from './body.ts'

/** Options between two neighbours only: COOKIE (RFC 7873), TCP keepalive (RFC 7828), padding (RFC 7830). */
const hopByHop = new Set([10, 11, 12])
const kept = flags.RD | flags.CD | flags.AD

/**
 * The message for the upstream with id 0. Queries for which it is the same (folded) may share an
 * answer: it is the key of what is in flight.
 */
export function outgoing(query: Query): Buffer {
  const head = Buffer.alloc(12)
  head.writeUInt16BE(query.flags & kept, 2)
  head[5] = 1
  const question = query.message.subarray(12, query.end)
  const { edns } = query
  if (!edns) return Buffer.concat([head, question])
  head[11] = 1
  const writer = new Writer(64)
  writer.record(optRecord({ size: ourSize, dnssec: edns.dnssec, options: edns.options.filter(({ code }) => !hopByHop.has(code)) }))
  return Buffer.concat([head, question, writer.take()])
}

/** Folded: two messages with the same key ask the same. */
export const keyOf = (query: Query, message: Buffer): string => query.key + message.latin1Slice(2, 4) + message.latin1Slice(query.end)

/** `. NS` or another name, to see whether anybody answers. */
export const probe = ({ domain, recursion }: { domain: Name; recursion: boolean }): Buffer => outgoing(Query.make(domain, types.NS, { recursion }))

const lower = (c: number) => c >= 65 && c <= 90 ? c | 32 : c

/** Whether `reply` is an answer to the question of `asked` (RFC 5452 9.1): anything else is somebody's guess. Ids are compared elsewhere. */
export function isReplyTo(reply: Buffer, asked: Buffer): boolean {
  if (reply.length < 12 || reply[2]! < 0x80 || (reply[2]! & 0x78) !== 0) return false
  const count = reply.readUInt16BE(4)
  // Servers that could not read a query refuse it without its question.
  if (count === 0) return (reply[3]! & 15) !== rcodes.NOERROR && (reply[3]! & 15) !== rcodes.NXDOMAIN && reply.length === 12
  const end = questionEnd(asked)
  if (count !== 1 || reply.length < end) return false
  for (let i = 12; i < end - 4; i++) if (lower(reply[i]!) !== lower(asked[i]!)) return false
  return reply.compare(asked, end - 4, end, end - 4, end) === 0
}

/** Behind the question of a message of our own. */
function questionEnd(message: Buffer): number {
  let at = 12
  while (message[at]! !== 0) at += message[at]! + 1
  return at + 5
}

export const isTruncated = (reply: Buffer): boolean => (reply[2]! & 2) !== 0

/** The answer in a reply; undefined when the reply is malformed. Most become Packed without being written again. */
export function answerOf(reply: Buffer, query: Query): Answer | undefined {
  try {
    const { answer, authority, additional, rcode, flags: bits, questions } = decode(reply)
    if (questions.length === 0) return undefined
    const given = bits & (flags.AA | flags.TC | flags.RA | flags.AD)
    const counts = [answer.length, authority.length, reply.readUInt16BE(10)] as const
    const found = recordsOf(reply.subarray(query.end), counts)
    const opt = found.findIndex(record => record.type === types.OPT && record.section === 2)
    if (opt >= 0 && opt < found.length - 1) return { rcode, flags: given, answer, authority, additional }
    const body = opt < 0 ? reply.subarray(query.end) : reply.subarray(query.end, query.end + found[opt]!.start)
    return { rcode, flags: given, counts: [counts[0], counts[1], counts[2] - (opt < 0 ? 0 : 1)], body: Buffer.from(body), ...widthOf(found, body) }
  } catch (error) {
    if (error instanceof WireError) return undefined
    throw error
  }
}

/** Whether the answers are addresses of the question's own name, and so may be rotated by moving bytes. */
function widthOf(found: readonly Place[], body: Buffer): { width?: number } {
  const answers = found.filter(({ section }) => section === 0), [first] = answers
  if (!first || answers.length < 2 || (first.type !== types.A && first.type !== types.AAAA)) return {}
  const width = first.end - first.start
  const alike = answers.every(({ type, start, end }) => type === first.type && end - start === width && body.readUInt16BE(start) === 0xc00c)
  return alike ? { width } : {}
}

/** NOERROR without an answer (RFC 2308 2.2). */
export const isNoData = (answer: Answer): boolean => answer.rcode === rcodes.NOERROR && (isPacked(answer) ? answer.counts[0] : answer.answer.length) === 0
