// Addresses as record data and as names of the reverse zones. Pure; IPv4 by hand, because a cluster
// has tens of thousands of them and a bigint for each is dear.
import { formatIp, parseIp } from '#net/ip.ts'
import { labels, type Name } from '../../wire/name.ts'

/** The four bytes as a number; -1 when the text is no IPv4 address in its one form. */
export function ip4(text: string): number {
  let value = 0, octet = -1, dots = 0
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i)
    if (c === 46) {
      if (octet < 0 || ++dots > 3) return -1
      value = value * 256 + octet
      octet = -1
    } else if (c >= 48 && c <= 57 && octet !== 0) {
      octet = (octet < 0 ? 0 : octet * 10) + c - 48
      if (octet > 255) return -1
    } else return -1
  }
  return octet < 0 || dots !== 3 ? -1 : value * 256 + octet
}

export const isIp6 = (text: string): boolean => text.includes(':')

/** IPv4 as it is; IPv6 in its one short form, so that texts can be compared. Not an address: undefined. */
export function canonical(text: string): string | undefined {
  if (!isIp6(text)) return ip4(text) < 0 ? undefined : text
  const ip = parseIp(text)
  return ip && formatIp(ip)
}

/** Record data of A or AAAA, one char a byte; the text is canonical. */
export function ipData(text: string): string {
  if (!isIp6(text)) {
    const value = ip4(text)
    return String.fromCharCode(value >>> 24, value >>> 16 & 255, value >>> 8 & 255, value & 255)
  }
  return Buffer.from(parseIp(text)!.value.toString(16).padStart(32, '0'), 'hex').latin1Slice()
}

const ip4Zone = '\x07in-addr\x04arpa\0', ip6Zone = '\x03ip6\x04arpa\0'
export const isReverse = (name: Name): boolean => name.endsWith(ip4Zone) || name.endsWith(ip6Zone)

/** The address that a folded name of a reverse zone stands for, canonical; undefined when it is not a whole address. */
export function fromReverse(name: Name): string | undefined {
  const parts = labels(name).slice(0, -2).reverse()
  if (name.endsWith(ip4Zone)) return parts.length === 4 ? canonical(parts.join('.')) : undefined
  if (!name.endsWith(ip6Zone) || parts.length !== 32 || !parts.every(part => /^[0-9a-f]$/.test(part))) return undefined
  return formatIp({ family: 6, value: BigInt(`0x${parts.join('')}`) })
}

/** Folded; the text is canonical. */
export function reverseName(ip: string): Name {
  const hex = Buffer.from(ipData(ip), 'latin1').toString('hex')
  const parts = isIp6(ip) ? [...hex] : ip.split('.')
  return parts.reverse().map(part => String.fromCharCode(part.length) + part).join('') + (isIp6(ip) ? ip6Zone : ip4Zone) as Name
}

/** `10-0-0-1`, `2001-db8--1`: the label of an endpoint without a hostname. `2001-db8--` would end in a dash, which no host name may. */
export function dashed(ip: string): string {
  const text = ip.replaceAll(/[.:]/g, '-')
  return text.endsWith('-') ? `${text}0` : text
}

/** The address that a pod's label stands for, canonical (CoreDNS: findPods). */
export const fromDashed = (label: string): string | undefined =>
  canonical(/^\d+-\d+-\d+-\d+$/.test(label) ? label.replaceAll('-', '.') : label.replaceAll('-', ':'))
