// The numbers of DNS with their names (IANA dns-parameters), and the layout of each record type's
// data: one table from which decompression, compression, case folding, printing and parsing of
// records follow.

export const types = {
  A: 1, NS: 2, CNAME: 5, SOA: 6, NULL: 10, PTR: 12, HINFO: 13, MX: 15, TXT: 16, RP: 17, AFSDB: 18, RT: 21, SIG: 24, KEY: 25, AAAA: 28, LOC: 29, NXT: 30,
  SRV: 33, NAPTR: 35, KX: 36, CERT: 37, DNAME: 39, OPT: 41, DS: 43, SSHFP: 44, RRSIG: 46, NSEC: 47, DNSKEY: 48, DHCID: 49, NSEC3: 50, NSEC3PARAM: 51,
  TLSA: 52, SMIMEA: 53, CDS: 59, CDNSKEY: 60, OPENPGPKEY: 61, CSYNC: 62, ZONEMD: 63, SVCB: 64, HTTPS: 65, SPF: 99, EUI48: 108, EUI64: 109,
  TKEY: 249, TSIG: 250, IXFR: 251, AXFR: 252, MAILB: 253, MAILA: 254, ANY: 255, URI: 256, CAA: 257,
} as const

export const classes = { IN: 1, CH: 3, HS: 4, NONE: 254, ANY: 255 } as const
export const opcodes = { QUERY: 0, IQUERY: 1, STATUS: 2, NOTIFY: 4, UPDATE: 5 } as const
export const rcodes = { NOERROR: 0, FORMERR: 1, SERVFAIL: 2, NXDOMAIN: 3, NOTIMP: 4, REFUSED: 5, YXDOMAIN: 6, YXRRSET: 7, NXRRSET: 8, NOTAUTH: 9, NOTZONE: 10, BADVERS: 16, BADKEY: 17, BADTIME: 18, BADMODE: 19, BADNAME: 20, BADALG: 21, BADTRUNC: 22, BADCOOKIE: 23 } as const
/** Bits of the header's second word. */
export const flags = { QR: 0x8000, AA: 0x0400, TC: 0x0200, RD: 0x0100, RA: 0x0080, Z: 0x0040, AD: 0x0020, CD: 0x0010 } as const

const turned = (table: Record<string, number>) => new Map(Object.entries(table).map(([name, number]) => [number, name]))
const typeNames = turned(types), classNames = turned(classes), rcodeNames = turned(rcodes), opcodeNames = turned(opcodes)

/** `AAAA`; unknown ones `TYPE65280` (RFC 3597 5). */
export const typeName = (type: number): string => typeNames.get(type) ?? `TYPE${type}`
export const className = (number: number): string => classNames.get(number) ?? `CLASS${number}`
export const rcodeName = (rcode: number): string => rcodeNames.get(rcode) ?? `RCODE${rcode}`
export const opcodeName = (opcode: number): string => opcodeNames.get(opcode) ?? `OPCODE${opcode}`
const numbered = (table: Record<string, number>, prefix: string) => (text: string): number | undefined => {
  const upper = text.toUpperCase()
  if (Object.hasOwn(table, upper)) return table[upper]
  const number = upper.startsWith(prefix) && /^\d{1,5}$/.test(upper.slice(prefix.length)) ? Number(upper.slice(prefix.length)) : NaN
  return number <= 65535 ? number : undefined
}
export const parseType = numbered(types, 'TYPE')
export const parseClass = numbered(classes, 'CLASS')
export const parseRcode = numbered(rcodes, 'RCODE')

/**
 * How a field of record data is written: on the wire and, in the same order, in a zone file.
 * `name` may be compressed by us and by others (RFC 3597 4: the types of RFC 1035 only); `plain` is
 * never compressed by us but decompressed when others did. The last six take all that is left.
 */
export type Field = 'name' | 'plain' | 'u8' | 'u16' | 'u32' | 'ip4' | 'ip6' | 'string' | 'type' | 'time'
  | 'strings' | 'hex' | 'base64' | 'bitmap' | 'text' | 'opaque' | 'salt' | 'hash'

export const layouts: ReadonlyMap<number, readonly Field[]> = new Map<number, readonly Field[]>([
  [types.A, ['ip4']], [types.AAAA, ['ip6']],
  [types.NS, ['name']], [types.CNAME, ['name']], [types.PTR, ['name']], [types.DNAME, ['plain']],
  [types.SOA, ['name', 'name', 'u32', 'u32', 'u32', 'u32', 'u32']],
  [types.MX, ['u16', 'name']], [types.RP, ['plain', 'plain']], [types.AFSDB, ['u16', 'plain']], [types.RT, ['u16', 'plain']], [types.KX, ['u16', 'plain']],
  [types.HINFO, ['string', 'string']], [types.TXT, ['strings']], [types.SPF, ['strings']],
  [types.SRV, ['u16', 'u16', 'u16', 'plain']],
  [types.NAPTR, ['u16', 'u16', 'string', 'string', 'string', 'plain']],
  [types.DS, ['u16', 'u8', 'u8', 'hex']], [types.CDS, ['u16', 'u8', 'u8', 'hex']],
  [types.SSHFP, ['u8', 'u8', 'hex']], [types.TLSA, ['u8', 'u8', 'u8', 'hex']], [types.SMIMEA, ['u8', 'u8', 'u8', 'hex']],
  [types.RRSIG, ['type', 'u8', 'u8', 'u32', 'time', 'time', 'u16', 'plain', 'base64']],
  [types.NSEC, ['plain', 'bitmap']], [types.DNSKEY, ['u16', 'u8', 'u8', 'base64']], [types.CDNSKEY, ['u16', 'u8', 'u8', 'base64']],
  [types.NSEC3, ['u8', 'u8', 'u16', 'salt', 'hash', 'bitmap']], [types.NSEC3PARAM, ['u8', 'u8', 'u16', 'salt']],
  [types.URI, ['u16', 'u16', 'text']], [types.CAA, ['u8', 'string', 'text']],
])
