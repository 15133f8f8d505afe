// IP addresses and CIDRs as values. Pure. An address is a bigint with its family, so ranges,
// masks and offsets are plain arithmetic; text is RFC 4291 / RFC 5952.

export type Family = 4 | 6
export interface Ip { readonly family: Family; readonly value: bigint }
/** `base` has all host bits zero. */
export interface Cidr { readonly base: Ip; readonly prefix: number }

export const bits = (family: Family): number => family === 4 ? 32 : 128

/** `undefined` when the text is no address. Leading zeros in IPv4 octets are refused, as Go's netip does. */
export function parseIp(text: string): Ip | undefined {
  return text.includes(':') ? parseIpv6(text) : parseIpv4(text)
}

function parseIpv4(text: string): Ip | undefined {
  const parts = text.split('.')
  if (parts.length !== 4) return undefined
  let value = 0n
  for (const part of parts) {
    if (!/^(0|[1-9]\d{0,2})$/.test(part) || Number(part) > 255) return undefined
    value = (value << 8n) | BigInt(part)
  }
  return { family: 4, value }
}

function parseIpv6(text: string): Ip | undefined {
  let rest = text
  const tail: string[] = []
  const lastColon = rest.lastIndexOf(':')
  if (rest.includes('.')) { // the last 32 bits as IPv4 (RFC 4291 2.2.3)
    const v4 = parseIpv4(rest.slice(lastColon + 1))
    if (!v4) return undefined
    tail.push((v4.value >> 16n).toString(16), (v4.value & 0xffffn).toString(16))
    rest = rest.slice(0, lastColon + 1)
    if (!rest.endsWith('::')) rest = rest.slice(0, -1)
  }
  const halves = rest.split('::')
  if (halves.length > 2) return undefined
  const groups = (half: string) => half === '' ? [] : half.split(':')
  const head = groups(halves[0]!)
  const end = [...groups(halves[1] ?? ''), ...tail]
  const missing = 8 - head.length - end.length
  if (halves.length === 2 ? missing < 1 : missing !== 0) return undefined
  let value = 0n
  for (const group of [...head, ...Array<string>(missing).fill('0'), ...end]) {
    if (!/^[0-9a-fA-F]{1,4}$/.test(group)) return undefined
    value = (value << 16n) | BigInt(`0x${group}`)
  }
  return { family: 6, value }
}

/** RFC 5952: lower case, the first longest run of two or more zero groups as `::`. */
export function formatIp(ip: Ip): string {
  if (ip.family === 4) return [24n, 16n, 8n, 0n].map(shift => (ip.value >> shift) & 255n).join('.')
  const groups = Array.from({ length: 8 }, (_, i) => (ip.value >> BigInt(112 - 16 * i)) & 0xffffn)
  let best = { start: -1, length: 1 }
  for (let i = 0; i < 8; i++) {
    let length = 0
    while (i + length < 8 && groups[i + length] === 0n) length++
    if (length > best.length) best = { start: i, length }
  }
  const hex = groups.map(group => group.toString(16))
  if (best.start < 0) return hex.join(':')
  return `${hex.slice(0, best.start).join(':')}::${hex.slice(best.start + best.length).join(':')}`
}

/** `10.96.0.0/12`; host bits are cleared. `undefined` when the text is no CIDR. */
export function parseCidr(text: string): Cidr | undefined {
  const match = /^([^/]+)\/(0|[1-9]\d{0,2})$/.exec(text)
  const ip = match && parseIp(match[1]!)
  const prefix = Number(match?.[2])
  if (!ip || prefix > bits(ip.family)) return undefined
  const hostBits = BigInt(bits(ip.family) - prefix)
  return { base: { family: ip.family, value: (ip.value >> hostBits) << hostBits }, prefix }
}

export const formatCidr = (cidr: Cidr): string => `${formatIp(cidr.base)}/${cidr.prefix}`

/** Number of addresses. */
export const size = (cidr: Cidr): bigint => 1n << BigInt(bits(cidr.base.family) - cidr.prefix)

/** The address `offset` places after the first; the caller keeps it below `size`. */
export const at = (cidr: Cidr, offset: bigint | number): Ip =>
  ({ family: cidr.base.family, value: cidr.base.value + BigInt(offset) })

export const contains = (cidr: Cidr, ip: Ip): boolean =>
  cidr.base.family === ip.family && ip.value >= cidr.base.value && ip.value < cidr.base.value + size(cidr)

export const overlaps = (a: Cidr, b: Cidr): boolean => contains(a, b.base) || contains(b, a.base)

/** The `index`-th block of `prefix` bits inside a CIDR (a node's pod range inside the cluster's). */
export const subnet = (cidr: Cidr, prefix: number, index: number): Cidr =>
  ({ base: at(cidr, BigInt(index) << BigInt(bits(cidr.base.family) - prefix)), prefix })
