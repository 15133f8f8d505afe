// view: a condition on queries for a server block: split DNS.
import { bits, parseCidr, parseIp } from '#net/ip.ts'
import { args, CorefileError, unknown } from '../../corefile/errors.ts'
import type { Plugin } from '../../plugin.ts'
import type { Query } from '../../query.ts'
import { showName } from '../../wire/name.ts'
import { ExpressionError, parseExpression, type Expression, type Functions, type Value } from './expr.ts'

interface Options { readonly name: string; readonly conditions: readonly Expression<Query>[] }

const bracketed = (address: string) => address.includes(':') ? `[${address}]` : address
const of = (call: (query: Query) => Value) => ({ count: 0, call })

function isInCidr(address: Value, network: Value): boolean {
  const ip = parseIp(String(address).replace(/^\[(.*)\]$/, '$1')), cidr = parseCidr(String(network))
  if (!ip || !cidr || ip.family !== cidr.base.family) return false
  const shift = BigInt(bits(ip.family) - cidr.prefix)
  return ip.value >> shift === cidr.base.value >> shift
}

const functions: Functions<Query> = {
  bufsize: of(query => query.edns?.size ?? 512), class: of(query => query.className), client_ip: of(query => bracketed(query.origin.address)),
  do: of(query => query.dnssec), id: of(query => query.id), name: of(query => showName(query.name)), opcode: of(query => query.flags >> 11 & 15),
  port: of(query => String(query.origin.port)), proto: of(query => query.origin.protocol), server_ip: of(query => bracketed(query.origin.local.address)),
  server_port: of(query => String(query.origin.local.port)), size: of(query => query.message.length), type: of(query => query.typeName),
  incidr: { count: 2, call: (_, address, network) => isInCidr(address, network) },
  metadata: { count: 1, call: (query, label) => query.metadata(String(label)) ?? '' },
}

export const plugin: Plugin<Options> = {
  name: 'view',
  parse(directives) {
    const conditions = directives.flatMap(directive => {
      args(directive, 1)
      return (directive.block ?? []).map(option => {
        if (option.word.text !== 'expr') throw unknown(option, ['expr'])
        const source = option.args.map(({ text, quoted }) => quoted ? `"${text.replace(/["\\]/g, '\\$&')}"` : text).join(' ')
        try { return parseExpression(source, functions) } catch (error) {
          if (error instanceof ExpressionError) throw new CorefileError(option.word, `expr '${source}': ${error.message}`)
          throw error
        }
      })
    })
    if (conditions.length === 0) throw new CorefileError(directives[0]!.word, "view needs an 'expr EXPRESSION'")
    return { name: directives[0]!.args[0]!.text, conditions }
  },
  setup: ({ name, conditions }, env) => ({
    name: 'view',
    takes(query) {
      try { return conditions.every(condition => condition(query) === true) } catch (error) {
        if (!(error instanceof ExpressionError)) throw error
        env.log.warn(`view ${name}: ${error.message}`)
        return false
      }
    },
    metadata: () => [['view/name', () => name]],
  }),
}
