// log: a line for each query, in CoreDNS's format.
import { isPacked, type Answer, type Plugin } from '../../plugin.ts'
import type { Query } from '../../query.ts'
import { longestZone, showName } from '../../wire/name.ts'
import { flags, rcodeName, rcodes, types } from '../../wire/types.ts'
import { parse, type AnswerClass, type Rule } from './config.ts'

interface Sent { readonly bytes: number; readonly ms: number }
type Part = string | ((query: Query, answer: Answer, sent: Sent) => string)

const bracketed = (address: string) => address.includes(':') ? `[${address}]` : address

/** QR and the query's RD, as the server sets them, with the answer's own. */
function showFlags(query: Query, answer: Answer): string {
  const all = flags.QR | query.flags & (flags.RD | flags.CD) | answer.flags
  return (['QR', 'AA', 'TC', 'RD', 'RA', 'Z', 'AD', 'CD'] as const).filter(name => all & flags[name]).map(name => name.toLowerCase()).join(',')
}

const values: Record<string, Exclude<Part, string>> = {
  type: query => query.typeName, name: query => showName(query.name), class: query => query.className, proto: query => query.origin.protocol,
  remote: query => bracketed(query.origin.address), local: query => bracketed(query.origin.local.address), port: query => String(query.origin.port),
  size: query => String(query.message.length), rcode: (_, answer) => rcodeName(answer.rcode), rsize: (_, __, { bytes }) => String(bytes),
  duration: (_, __, { ms }) => `${(ms / 1000).toFixed(9).replace(/0+$/, '').replace(/\.$/, '')}s`,
  '>rflags': showFlags, '>id': query => String(query.id), '>opcode': query => String(query.flags >> 11 & 15),
  '>do': query => String(query.dnssec), '>bufsize': query => String(query.origin.protocol === 'tcp' ? 65535 : Math.max(512, query.edns?.size ?? 512)),
}

/** The format cut once; an unknown placeholder is `-`, as a missing value is. */
function compile(format: string): Part[] {
  return format.split(/(\{[^{}]*\})/).filter(Boolean).map(part => {
    if (!/^\{.*\}$/.test(part)) return part
    const key = part.slice(1, -1)
    if (key.startsWith('/')) return query => query.metadata(key.slice(1)) || '-'
    return values[key] ?? (() => '-')
  })
}

/** CoreDNS's response.Classify: denial is NXDOMAIN or an empty answer with SOA. */
function classOf(answer: Answer): AnswerClass {
  if (answer.rcode === rcodes.NXDOMAIN) return 'denial'
  if (answer.rcode !== rcodes.NOERROR) return 'error'
  if (isPacked(answer)) return answer.counts[0] === 0 && answer.counts[1] > 0 ? 'denial' : 'success'
  return answer.answer.length === 0 && answer.authority.some(({ type }) => type === types.SOA) ? 'denial' : 'success'
}

export const plugin: Plugin<readonly Rule[]> = {
  name: 'log',
  parse,
  setup(rules, env) {
    const compiled = rules.map(rule => ({ ...rule, parts: compile(rule.format) }))
    return {
      name: 'log',
      observe(query, answer, sent) {
        const rule = compiled.find(({ zones }) => longestZone(query.name, zones) !== undefined)
        if (!rule || !(rule.classes.has('all') || rule.classes.has(classOf(answer)))) return
        env.print(`[INFO] ${rule.parts.map(part => typeof part === 'string' ? part : part(query, answer, sent)).join('')}`)
      },
    }
  },
}
