// The keys of server blocks and the zones of plugins: `tls://example.org:853`, `10.0.0.0/24`.
import { bits, parseCidr } from '#net/ip.ts'
import { fold, fromLabels, parseName, type Name } from '../wire/name.ts'
import { CorefileError } from './errors.ts'
import type { Token } from './syntax.ts'

export type Transport = 'dns' | 'tls' | 'https'
export interface Key { readonly transport: Transport; readonly zones: readonly Name[]; readonly port: number }

const usualPort: Record<Transport, number> = { dns: 53, tls: 853, https: 443 }

/** Folded. A CIDR stands for its reverse zones: several when it does not end at a label's border. undefined: no zone. */
export function parseZones(text: string): Name[] | undefined {
  if (text.includes('/')) {
    const cidr = parseCidr(text)
    return cidr && reverseZones(cidr.base.value, cidr.prefix, cidr.base.family)
  }
  const name = parseName(text.endsWith('.') ? text : `${text}.`)
  return name && [fold(name)]
}

function reverseZones(base: bigint, prefix: number, family: 4 | 6): Name[] {
  const step = family === 4 ? 8 : 4, all = bits(family), whole = Math.ceil(prefix / step)
  const zones: Name[] = []
  for (let n = 0; n < 1 << whole * step - prefix; n++) {
    const value = (base >> BigInt(all - whole * step)) + BigInt(n)
    const parts = Array.from({ length: whole }, (_, i) => (value >> BigInt(i * step) & (1n << BigInt(step)) - 1n).toString(family === 4 ? 10 : 16))
    zones.push(fromLabels([...parts, ...(family === 4 ? ['in-addr', 'arpa'] : ['ip6', 'arpa'])])!)
  }
  return zones
}

/** A plugin's zones: its arguments, or its server block's when it has none. */
export function zonesOf(tokens: readonly Token[], otherwise: readonly Name[]): readonly Name[] {
  if (tokens.length === 0) return otherwise
  return tokens.flatMap(token => parseZones(token.text) ?? (() => { throw new CorefileError(token, `'${token.text}' is no zone`) })())
}

export function parseKey(token: Token, dnsPort = usualPort.dns): Key {
  const match = /^(?:([a-z0-9]+):\/\/)?(.*?)(?::(\d{1,5}))?$/.exec(token.text)!
  const transport = (match[1] ?? 'dns') as Transport
  if (!Object.hasOwn(usualPort, transport)) throw new CorefileError(token, `'${transport}://' is not served here: use dns://, tls:// or https://`)
  const zones = parseZones(match[2] === '' ? '.' : match[2]!)
  if (!zones) throw new CorefileError(token, `'${token.text}' is no zone: expected such as 'example.org:53', 'tls://.' or '10.0.0.0/24'`)
  const port = match[3] === undefined ? (transport === 'dns' ? dnsPort : usualPort[transport]) : Number(match[3])
  if (port > 65535) throw new CorefileError(token, `there is no port ${port}`)
  return { transport, zones, port }
}
