// Where the records of a packed answer begin and end, without reading their data: enough to find an
// OPT record or to change TTLs in place. Pure; bounded by the bytes given.
import type { Packed } from '../../plugin.ts'

export interface Place {
  readonly section: 0 | 1 | 2
  readonly type: number
  /** Offsets in the body: of the record, of its TTL, behind it. */
  readonly start: number
  readonly ttlAt: number
  readonly end: number
}

/** Names end at a zero or at a pointer; what does not fit ends the walk. */
export function recordsOf(body: Buffer, counts: Packed['counts']): Place[] {
  const out: Place[] = []
  let at = 0
  for (const section of [0, 1, 2] as const) {
    for (let n = counts[section]; n > 0; n--) {
      const start = at
      while (at < body.length && body[at]! !== 0 && body[at]! < 0xc0) at += body[at]! + 1
      at += at < body.length && body[at]! >= 0xc0 ? 2 : 1
      if (at + 10 > body.length) return out
      const end = at + 10 + body.readUInt16BE(at + 8)
      if (end > body.length) return out
      out.push({ section, type: body.readUInt16BE(at), start, ttlAt: at + 4, end })
      at = end
    }
  }
  return out
}
