// What every listener gives its bytes to: refuses what is no query (RFC 1035 4.1.1, RFC 6891 6.1.3),
// finds the server block of the name, and makes the bytes of the answer. Pure and, for cluster
// names, synchronous.
import type {} from './wire/bytes.ts'
import { ourSize, render, renderRecords } from './answer.ts'
import { failure, isPacked, records, refused, silence, type Answer, type Records, type Result, type Serve } from './plugin.ts'
import { Query, type Origin } from './query.ts'
import { decode, WireError } from './wire/message.ts'
import { isBelow, type Name } from './wire/name.ts'
import { classes, flags, rcodes, types } from './wire/types.ts'

/** A server block as a listener sees it. */
export interface Served {
  readonly zones: readonly Name[]
  readonly serve: Serve
  readonly takes: (query: Query) => boolean
  /** Whether `takes` may refuse. */
  readonly isFiltered: boolean
  readonly chaos: boolean
  readonly observe: ((query: Query, answer: Answer, sent: { bytes: number; ms: number }) => void) | undefined
}

/** Bytes to send; several messages for a zone transfer; undefined: nothing. */
export type Out = Buffer | AsyncIterable<Buffer> | undefined

const scratch = Buffer.alloc(260)

/** The offset behind the question at 12 with the folded question in `scratch` from 0, or -1: compressed, too long or incomplete. */
function readQuestion(message: Buffer): number {
  let at = 12
  for (;;) {
    const length = message[at]
    if (length === undefined || length > 63) return -1
    scratch[at - 12] = length
    if (length === 0) break
    const end = at + 1 + length
    if (end > 266 || end >= message.length) return -1 // 255 bytes of name from offset 12
    for (let i = at + 1; i < end; i++) {
      const c = message[i]!
      scratch[i - 12] = c >= 65 && c <= 90 ? c | 32 : c
    }
    at = end
  }
  const end = at + 5
  if (end > message.length) return -1
  for (let i = at + 1; i < end; i++) scratch[i - 12] = message[i]!
  return end
}

/** Whether what follows the question is well formed; the usual single OPT without a look at the rest. */
function isWellFormed(message: Buffer, end: number): boolean {
  const additional = message[11]!
  if (message[7] === 0 && message[9] === 0) {
    if (additional === 0) return true
    if (additional === 1 && end + 11 <= message.length && message[end] === 0 && message[end + 1] === 0 && message[end + 2] === types.OPT) {
      return end + 11 + message.readUInt16BE(end + 9) <= message.length
    }
  }
  try {
    decode(message)
    return true
  } catch (error) {
    if (error instanceof WireError) return false
    throw error
  }
}

/** A header alone: for queries whose question cannot be repeated. */
function bareReply(message: Buffer, rcode: number): Buffer {
  const out = Buffer.alloc(12)
  message.copy(out, 0, 0, 4)
  out[2] = 0x80 | message[2]! & 0x79
  out[3] = message[3]! & 0x10 | rcode
  return out
}

export class Front {
  readonly #label: string
  readonly #now: () => number
  readonly #failed: (error: unknown) => void
  #blocks: readonly Served[] = []
  /** The only block, when it serves the root and takes all: then there is nothing to search. */
  #only: Served | undefined

  /** `label`: `dns://:53`; `now` in milliseconds, monotonic; `failed` hears of bugs: an answer that cannot be written. */
  constructor(label: string, { now, failed }: { now: () => number; failed: (error: unknown) => void }) {
    this.#label = label
    this.#now = now
    this.#failed = failed
  }

  /** Takes effect for the next query: how a reload changes a listener that stays. */
  use(blocks: readonly Served[]): void {
    this.#blocks = blocks
    const [block] = blocks
    this.#only = block && blocks.length === 1 && block.zones.length === 1 && block.zones[0]!.length === 1 && !block.isFiltered ? block : undefined
  }

  /** Bytes in, bytes out. */
  receive(message: Buffer, origin: Origin): Out | Promise<Out> {
    if (message.length < 12 || message[2]! >= 0x80) return undefined // no header, or an answer: to answer it would make a loop
    if ((message[2]! & 0x78) !== 0) return bareReply(message, rcodes.NOTIMP)
    // More records than these no query has (miekg/dns's DefaultMsgAcceptFunc).
    if (message.readUInt16BE(4) !== 1 || message.readUInt16BE(6) > 1 || message.readUInt16BE(8) > 1 || message.readUInt16BE(10) > 2) return bareReply(message, rcodes.FORMERR)
    const end = readQuestion(message)
    if (end < 0 || !isWellFormed(message, end)) return bareReply(message, rcodes.FORMERR)
    return this.#answer(new Query(message, scratch.latin1Slice(0, end - 12), end, origin))
  }

  #answer(query: Query): Out | Promise<Out> {
    const { edns } = query
    query.server = this.#label
    if (query.origin.protocol === 'udp') query.size = edns ? Math.min(Math.max(edns.size, 512), ourSize) : 512
    if (edns && edns.version !== 0) return renderRecords(query, records({ rcode: rcodes.BADVERS }))
    const block = this.#only ?? this.#blockOf(query)
    if (!block) return render(query, refused)
    const started = block.observe ? this.#now() : 0
    const result = this.#serve(block, query)
    if (!(result instanceof Promise)) return this.#finish(query, result, block, started)
    return result.then(answer => this.#finish(query, answer, block, started))
  }

  #serve(block: Served, query: Query): Result {
    if (query.message[query.end - 1] !== classes.IN || query.message[query.end - 2] !== 0) {
      if (!block.chaos) return refused
    }
    if (this.#only) query.zone = block.zones[0]!
    return block.serve(query)
  }

  #finish(query: Query, answer: Answer, block: Served, started: number): Out {
    let out: Buffer | undefined
    try { out = answer === silence ? undefined : render(query, answer) } catch (error) {
      this.#failed(error)
      out = render(query, failure('the answer cannot be written'))
    }
    block.observe?.(query, answer, { bytes: out?.length ?? 0, ms: this.#now() - started })
    return out && !isPacked(answer) && answer.stream ? transfer(query, answer.stream, out) : out
  }

  /** A query of our own, by the blocks of this listener. */
  dispatch(query: Query): Result {
    query.server = this.#label
    const block = this.#blockOf(query)
    return block ? this.#serve(block, query) : refused
  }

  /** The block whose zone is the longest that holds the name; its `view` may send it on to the next. */
  #blockOf(query: Query): Served | undefined {
    const { name } = query
    // A zone's DS records are its parent's (RFC 4035 2.4): ask the block above, if there is one.
    if (query.type === types.DS) {
      const above = this.#longest(query, zone => zone !== name)
      if (above) return above
    }
    return this.#longest(query, () => true)
  }
  #longest(query: Query, wanted: (zone: Name) => boolean): Served | undefined {
    let best: Served | undefined, longest = -1
    for (const block of this.#blocks) {
      for (const zone of block.zones) {
        if (zone.length <= longest || !isBelow(query.name, zone) || !wanted(zone) || !block.takes(query)) continue
        best = block
        longest = zone.length
        query.zone = zone
      }
    }
    return best
  }
}

/** The first message holds the question; the others need none (RFC 5936 2.2). */
async function* transfer(query: Query, stream: NonNullable<Records['stream']>, first: Buffer): AsyncGenerator<Buffer> {
  yield first
  for await (const answer of stream) yield renderRecords(query, records({ flags: flags.AA, answer }))
}
