// The options of `rrl`, by the names of CoreDNS's external plugin.
import { args, CorefileError, integer, once, unknown } from '../../corefile/errors.ts'
import type { Directive, Token } from '../../corefile/syntax.ts'
import { zonesOf } from '../../corefile/zones.ts'
import type { Name } from '../../wire/name.ts'

export type Kind = 'responses' | 'nodata' | 'nxdomains' | 'referrals' | 'errors'

export interface Options {
  readonly zones: readonly Name[]
  /** Milliseconds that a debt may last. */
  readonly window: number
  readonly prefix: { readonly 4: number; readonly 6: number }
  /** Per second; 0: no limit. */
  readonly limits: Readonly<Record<Kind, number>>
  readonly requests: number
  readonly tableSize: number
  /** Each so many-th answer over the limit goes out truncated, so that a real asker can come over TCP; 0: none. */
  readonly slip: number
  readonly reportOnly: boolean
}

const kinds: readonly Kind[] = ['responses', 'nodata', 'nxdomains', 'referrals', 'errors']
const known = ['window', 'ipv4-prefix-length', 'ipv6-prefix-length', ...kinds.map(kind => `${kind}-per-second`), 'requests-per-second', 'max-table-size', 'slip-ratio', 'report-only']

export function parse(directives: readonly Directive[], { zones }: { zones: readonly Name[] }): Options {
  const directive = once(directives)
  const values = new Map<string, number>()
  for (const option of directive.block ?? []) {
    const name = option.word.text
    if (!known.includes(name)) throw unknown(option, known)
    if (values.has(name)) throw new CorefileError(option.word, `'${name}' stands twice`)
    args(option, name === 'report-only' ? 0 : 1)
    values.set(name, name === 'report-only' ? 1 : value(name, option.args[0]!))
  }
  const responses = values.get('responses-per-second') ?? 0
  const limit = (kind: Kind) => values.get(`${kind}-per-second`) ?? responses // the others default to it
  return {
    zones: zonesOf(directive.args, zones), window: (values.get('window') ?? 15) * 1000,
    prefix: { 4: values.get('ipv4-prefix-length') ?? 24, 6: values.get('ipv6-prefix-length') ?? 56 },
    limits: { responses, nodata: limit('nodata'), nxdomains: limit('nxdomains'), referrals: limit('referrals'), errors: limit('errors') },
    requests: values.get('requests-per-second') ?? 0, tableSize: values.get('max-table-size') ?? 100_000,
    slip: values.get('slip-ratio') ?? 2, reportOnly: values.has('report-only'),
  }
}

function value(name: string, token: Token): number {
  if (name === 'ipv4-prefix-length') return integer(token, { min: 1, max: 32 })
  if (name === 'ipv6-prefix-length') return integer(token, { min: 1, max: 128 })
  if (name === 'slip-ratio') return integer(token, { max: 10 })
  if (name === 'window') return integer(token, { min: 1, max: 3600 })
  if (name === 'max-table-size') return integer(token, { min: 1, max: 10_000_000 })
  const number = /^\d{1,9}(\.\d{1,6})?$/.test(token.text) ? Number(token.text) : NaN
  if (!(number >= 0)) throw new CorefileError(token, `'${token.text}' is not a number of answers a second`)
  return number
}
