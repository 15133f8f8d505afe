// The options of `acl`: rules of action, types and networks.
import { parseCidr, parseIp, bits, type Cidr } from '#net/ip.ts'
import { CorefileError, unknown } from '../../corefile/errors.ts'
import type { Directive, Token } from '../../corefile/syntax.ts'
import { zonesOf } from '../../corefile/zones.ts'
import type { Name } from '../../wire/name.ts'
import { parseType } from '../../wire/types.ts'

export type Action = 'allow' | 'block' | 'filter' | 'drop'
export interface Policy { readonly action: Action; readonly types: ReadonlySet<number> | undefined; readonly nets: readonly Cidr[] | undefined }
export interface Rule { readonly zones: readonly Name[]; readonly policies: readonly Policy[] }

const actions = ['allow', 'block', 'filter', 'drop'] as const

export function parse(directives: readonly Directive[], { zones }: { zones: readonly Name[] }): Rule[] {
  return directives.map(directive => ({ zones: zonesOf(directive.args, zones), policies: (directive.block ?? []).map(policy) }))
}

function policy(option: Directive): Policy {
  const action = actions.find(action => action === option.word.text)
  if (!action) throw unknown(option, actions)
  let into: 'type' | 'net' | undefined
  const types = new Set<number>(), nets: Cidr[] = [], seen = { type: false, net: false }
  for (const token of option.args) {
    if (token.text === 'type' || token.text === 'net') { into = token.text; seen[into] = true }
    else if (into === 'type') { if (token.text !== '*') types.add(typeOf(token)) }
    else if (into === 'net') { if (token.text !== '*') nets.push(netOf(token)) }
    else throw new CorefileError(token, `unexpected token '${token.text}'; expect 'type' or 'net'`)
  }
  return { action, types: types.size ? types : undefined, nets: nets.length ? nets : undefined }
}

function typeOf(token: Token): number {
  const type = parseType(token.text)
  if (type === undefined) throw new CorefileError(token, `unexpected token '${token.text}'; expect legal QTYPE`)
  return type
}
function netOf(token: Token): Cidr {
  const ip = parseIp(token.text)
  const cidr = ip ? { base: ip, prefix: bits(ip.family) } : parseCidr(token.text)
  if (!cidr) throw new CorefileError(token, `illegal CIDR notation '${token.text}'`)
  return cidr
}
