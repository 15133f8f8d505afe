// `rewrite edns0`: options put into a query's OPT record on its way.
import { CorefileError } from '../../corefile/errors.ts'
import type { Token } from '../../corefile/syntax.ts'
import type { Query } from '../../query.ts'
import type { EdnsOption } from '../../wire/edns.ts'
import { optRecord, Writer } from '../../wire/message.ts'
import { showName } from '../../wire/name.ts'
import { addressBytes } from '../../wire/rdata.ts'
import type { Words } from './words.ts'

const actions = ['set', 'append', 'replace', 'unset'] as const
export interface EdnsRule {
  readonly action: (typeof actions)[number]
  readonly code: number
  data(query: Query): Buffer | undefined
}

const local = 0, nsid = 3, subnet = 8

export function parseEdns(words: Words): EdnsRule {
  const kind = words.take('local, nsid or subnet')
  if (kind.text !== 'local' && kind.text !== 'nsid' && kind.text !== 'subnet') throw new CorefileError(kind, `invalid option type '${kind.text}' (known: local, nsid, subnet)`)
  const token = words.take(actions.join(', '))
  const action = actions.find(action => action === token.text)
  if (!action) throw new CorefileError(token, `invalid action: '${token.text}' (known: ${actions.join(', ')})`)
  if (kind.text === 'nsid') return { action, code: nsid, data: () => Buffer.alloc(0) }
  if (kind.text === 'subnet') {
    if (action === 'unset') return { action, code: subnet, data: () => undefined }
    const [four, six] = [bits(words.take('a length for IPv4'), 32), bits(words.take('a length for IPv6'), 128)]
    return { action, code: subnet, data: query => subnetOf(query, query.origin.family === 4 ? four : six) }
  }
  const code = words.take('the code of the option')
  const value = /^(0x[0-9a-fA-F]{1,4}|\d{1,5})$/.test(code.text) ? Number(code.text) : NaN
  if (!(value > local && value < 65536)) throw new CorefileError(code, `'${code.text}' is no code such as 0xffee`)
  return { action, code: value, data: action === 'unset' ? () => undefined : dataOf(words.take('data')) }
}

function bits(token: Token, most: number): number {
  const value = /^\d{1,3}$/.test(token.text) ? Number(token.text) : NaN
  if (!(value <= most)) throw new CorefileError(token, `'${token.text}' is not a length from 0 to ${most}`)
  return value
}

const u16 = (value: number) => Buffer.from([value >> 8, value & 255])
const variables: Record<string, (query: Query) => Buffer | undefined> = {
  qname: query => Buffer.from(showName(query.name)), qtype: query => u16(query.type), protocol: query => Buffer.from(query.origin.protocol),
  client_ip: query => addressBytes(query.origin.address), client_port: query => u16(query.origin.port),
  server_ip: query => addressBytes(query.origin.local.address), server_port: query => u16(query.origin.local.port),
}

/** `0x61626364`, `{client_ip}`, `{plugin/label}`, or text. */
function dataOf(token: Token): EdnsRule['data'] {
  const { text } = token
  const name = /^\{(.*)\}$/.exec(text)?.[1]
  if (name !== undefined) {
    if (Object.hasOwn(variables, name)) return variables[name]!
    if (/^[^/]+\/.+$/.test(name)) return query => Buffer.from(query.metadata(name) ?? '')
    throw new CorefileError(token, `unsupported variable '${text}' (known: ${Object.keys(variables).map(name => `{${name}}`).join(', ')})`)
  }
  if (!text.startsWith('0x')) { const data = Buffer.from(text); return () => data }
  if (!/^0x([0-9a-fA-F]{2})*$/.test(text)) throw new CorefileError(token, `'${text}' is not written in hexadecimal`)
  const data = Buffer.from(text.slice(2), 'hex')
  return () => data
}

/** RFC 7871 6. */
function subnetOf({ origin }: Query, length: number): Buffer | undefined {
  const address = addressBytes(origin.address)
  if (!address) return undefined
  const cut = Buffer.from(address.subarray(0, Math.ceil(length / 8)))
  if (length % 8) cut[cut.length - 1]! &= 0xff << 8 - length % 8
  return Buffer.concat([Buffer.from([0, origin.family === 4 ? 1 : 2, length, 0]), cut])
}

/** The query with the option, or undefined when the rule does not concern it. */
export function withOption(query: Query, { action, code, data }: EdnsRule): Query | undefined {
  const { edns } = query
  const options = edns?.options ?? [], has = options.some(option => option.code === code)
  const rest = options.filter(option => option.code !== code)
  if (action === 'unset') return has ? carrying(query, rest) : undefined
  if ((action === 'replace' && !has) || (action === 'append' && has)) return undefined
  const bytes = data(query)
  return bytes && carrying(query, [...rest, { code, data: bytes }])
}

function carrying(query: Query, options: readonly EdnsOption[]): Query {
  const writer = new Writer()
  writer.bytes(query.message.subarray(0, query.end))
  writer.record(optRecord({ size: query.edns?.size ?? 1232, dnssec: query.dnssec, options }))
  const message = Buffer.from(writer.take())
  message.writeUInt32BE(0, 6)
  message.writeUInt16BE(1, 10)
  return query.carrying(message)
}
