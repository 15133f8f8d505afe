// An answer that is kept: what it is, for how long, and how it looks when sent later. Pure.
import { pack } from '../../answer.ts'
import { isPacked, type Answer, type Packed } from '../../plugin.ts'
import type { Query } from '../../query.ts'
import { flags, rcodes, types } from '../../wire/types.ts'
import { recordsOf, type Place } from '../forward/body.ts'
import type { Options } from './config.ts'

export type Kind = 'success' | 'denial' | 'servfail'

/** The largest answer that is kept: so many entries are so much memory. */
const mostBytes = 8192

export class Entry {
  readonly kind: Kind
  readonly packed: Packed
  /** Seconds. */
  readonly ttl: number
  /** Milliseconds since 1970. */
  readonly stored: number
  /** Asked for since it was last looked at for eviction. */
  used = false
  /** Asked for so often without a long gap, and when last. */
  hits = 0
  lastHit = 0
  isRefreshing = false
  readonly #places: readonly Place[]
  #shown: { readonly ttl: number; readonly packed: Packed } | undefined

  constructor(packed: Packed, { kind, ttl, now, places }: { kind: Kind; ttl: number; now: number; places: readonly Place[] }) {
    this.packed = packed
    this.kind = kind
    this.ttl = ttl
    this.stored = now
    this.#places = places
  }

  get expires(): number { return this.stored + this.ttl * 1000 }

  /** With all TTLs the same (RFC 2181 5.2 wants it for a set; CoreDNS does it for all). Made once a second. */
  show(ttl: number): Packed {
    if (this.#shown?.ttl === ttl) return this.#shown.packed
    const body = Buffer.from(this.packed.body)
    for (const { ttlAt } of this.#places) body.writeUInt32BE(ttl, ttlAt)
    const packed = { ...this.packed, body }
    this.#shown = { ttl, packed }
    return packed
  }
}

/** What may be kept of an answer; undefined: nothing. */
export function entryOf(answer: Answer, query: Query, { options, now }: { options: Options; now: number }): Entry | undefined {
  if (answer.flags & flags.TC || answer.error !== undefined || answer.rcode > 15) return undefined
  if (!isPacked(answer) && (answer.stream || answer.options || answer.cleared)) return undefined
  const packed = isPacked(answer) ? { ...answer, body: Buffer.from(answer.body) } : pack(answer, { name: query.asked, type: query.type, class: query.class })
  if (packed.body.length > mostBytes) return undefined
  const places = recordsOf(packed.body, packed.counts)
  const kind = kindOf(packed, places)
  if (!kind) return undefined
  if (kind === 'servfail') return options.servfail > 0 ? new Entry(packed, { kind, ttl: options.servfail / 1000, now, places }) : undefined
  const { most, least } = options[kind]
  const ttl = Math.min(Math.max(leastTtl(packed.body, places, kind), least), most)
  return ttl > 0 ? new Entry(packed, { kind, ttl, now, places }) : undefined
}

function kindOf({ rcode, counts }: Packed, places: readonly Place[]): Kind | undefined {
  if (rcode === rcodes.SERVFAIL) return 'servfail'
  if (rcode === rcodes.NOERROR && counts[0] > 0) return 'success'
  if (rcode !== rcodes.NOERROR && rcode !== rcodes.NXDOMAIN) return undefined
  // Without a SOA nobody says for how long it is so (RFC 2308 5).
  return places.some(({ section, type }) => section === 1 && type === types.SOA) ? 'denial' : undefined
}

function leastTtl(body: Buffer, places: readonly Place[], kind: Kind): number {
  let least = 2 ** 31
  for (const { type, section, ttlAt, end } of places) {
    const ttl = body.readUInt32BE(ttlAt)
    least = Math.min(least, ttl < 2 ** 31 ? ttl : 0) // RFC 2181 8
    // A denial holds no longer than the SOA's last field says (RFC 2308 5).
    if (kind === 'denial' && type === types.SOA && section === 1) least = Math.min(least, body.readUInt32BE(end - 4))
  }
  return least
}
