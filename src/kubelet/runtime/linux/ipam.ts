// Addresses of a node's pods, as CNI's host-local plugin gives them: the next free one after the last
// given, so that an address rests before another pod gets it. Pure.
import { at, formatIp, parseCidr, size } from '#net/ip.ts'

export interface Range {
  /** `10.244.1.1`: the bridge's, never given out. */
  readonly gateway: string
  readonly prefix: number
  /** Offsets that may be given out: from 2 to the last before the broadcast address. */
  readonly last: number
  readonly address: (offset: number) => string
}

/** Throws when the range has no room for pods. */
export function podRange(podCidr: string): Range {
  const cidr = parseCidr(podCidr)
  if (!cidr || size(cidr) < 4n) throw new Error(`pod range ${JSON.stringify(podCidr)}: a CIDR with at least 4 addresses is needed`)
  return { gateway: formatIp(at(cidr, 1)), prefix: cidr.prefix, last: Number(size(cidr) - 2n), address: offset => formatIp(at(cidr, offset)) }
}

/** The next free offset after `previous`; undefined when all are taken. */
export function nextOffset(range: Range, taken: ReadonlySet<number>, previous: number): number | undefined {
  const count = range.last - 1
  for (let i = 1; i <= count; i++) {
    const offset = 2 + (Math.max(previous, 1) - 2 + i + count) % count
    if (!taken.has(offset)) return offset
  }
  return undefined
}
