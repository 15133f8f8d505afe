// The options of `transfer`: which zones go to whom.
import { bits, parseCidr, parseIp, type Cidr } from '#net/ip.ts'
import { args, CorefileError, noBlock, unknown } from '../../corefile/errors.ts'
import type { Directive, Token } from '../../corefile/syntax.ts'
import { zonesOf } from '../../corefile/zones.ts'
import type { ParseContext } from '../../plugin.ts'
import type { Name } from '../../wire/name.ts'

export interface Target { readonly host: string; readonly port: number }
export interface Rule {
  readonly zones: readonly Name[]
  /** Who may fetch; everybody when `any`. */
  readonly any: boolean
  readonly nets: readonly Cidr[]
  /** Who is told of changes. */
  readonly notify: readonly Target[]
}

export function parse(directives: readonly Directive[], { zones }: ParseContext): Rule[] {
  return directives.map(directive => {
    const tokens: Token[] = []
    for (const option of directive.block ?? []) {
      noBlock(option)
      if (option.word.text !== 'to') throw unknown(option, ['to'])
      args(option, 1, 1000)
      tokens.push(...option.args)
    }
    if (tokens.length === 0) throw new CorefileError(directive.word, "'to' is required: who may fetch the zone, as in 'to *' or 'to 192.0.2.1'")
    const found = tokens.filter(({ text }) => text !== '*').map(addressee)
    return { zones: zonesOf(directive.args, zones), any: tokens.some(({ text }) => text === '*'), nets: found.map(({ net }) => net), notify: found.flatMap(({ target }) => target ? [target] : []) }
  })
}

function addressee(token: Token): { net: Cidr; target?: Target } {
  const net = token.text.includes('/') ? parseCidr(token.text) : undefined
  if (net) return { net }
  const match = /^(?:\[([^\]]+)\]|([^:]+))(?::(\d{1,5}))?$/.exec(token.text)
  const [host, port] = parseIp(token.text) ? [token.text, 53] : [match?.[1] ?? match?.[2] ?? '', Number(match?.[3] ?? 53)]
  const ip = parseIp(host)
  if (!ip || port > 65535) throw new CorefileError(token, `'${token.text}' is no '*', address, address with port or network`)
  return { net: { base: ip, prefix: bits(ip.family) }, target: { host, port } }
}
