// dns64: for those who have IPv6 only, addresses that a NAT64 translates (RFC 6147).
import { unpack } from '../../answer.ts'
import { after, silence, type Plugin, type Records } from '../../plugin.ts'
import type { Query } from '../../query.ts'
import { readSoa } from '../../wire/rdata.ts'
import { classes, flags, rcodes, types } from '../../wire/types.ts'
import { parse, type Options } from './config.ts'

/** Seconds, when no SOA says for how long there is no AAAA (RFC 6147 5.1.7). */
const longestTtl = 600

/** Bits 64 to 71 stay zero (RFC 6052 2.2). */
export function embed({ prefix, length }: Pick<Options, 'prefix' | 'length'>, address: Buffer): Buffer {
  const out = Buffer.from(prefix)
  let at = length / 8
  for (const byte of address) {
    if (at === 8) at++
    out[at++] = byte
  }
  return out
}

/** ::ffff:0:0/96 is no answer for anybody (RFC 6147 5.1.4). */
const isMapped = (data: Buffer) => data.length === 16 && data.readBigUInt64BE(0) === 0n && data.readUInt32BE(8) === 0xffff

function isEnough(answer: Records, { translateAll }: Options): boolean {
  if (answer.rcode === rcodes.NXDOMAIN) return true
  return answer.rcode === rcodes.NOERROR && !translateAll && answer.answer.some(({ type, data }) => type === types.AAAA && !isMapped(data))
}

function synthesized(four: Records, six: Records, options: Options): Records | undefined {
  if (four.rcode !== rcodes.NOERROR || !four.answer.some(({ type }) => type === types.A)) return undefined
  const soa = six.authority.find(({ type }) => type === types.SOA)
  const most = soa ? Math.min(soa.ttl, readSoa(soa).minimum) : longestTtl
  const answer = four.answer.filter(({ type }) => type !== types.RRSIG).map(record => record.type === types.A
    ? { ...record, type: types.AAAA, ttl: Math.min(record.ttl, most), data: embed(options, record.data) } : record)
  return { ...four, flags: four.flags & ~flags.AD, answer, authority: [], additional: [] }
}

export const plugin: Plugin<Options> = {
  name: 'dns64',
  parse,
  setup(options, env) {
    const translated = env.metrics.counter('coredns_dns64_requests_translated_total', 'Counter of DNS requests translated by dns64.', ['server'])
    const concerns = (query: Query) => query.type === types.AAAA && query.class === classes.IN && (query.origin.family === 6 || options.allowIpv4)
      && !(query.dnssec && query.flags & flags.CD) // they check for themselves (RFC 6147 5.5)
    return {
      name: 'dns64',
      serve: next => query => {
        if (!concerns(query)) return next(query)
        return after(next(query), six => {
          if (six === silence) return six
          const given = unpack(six, query)
          if (isEnough(given, options)) return six
          const asking = query.asking({ type: types.A })
          return after(next(asking), four => {
            const made = four === silence ? undefined : synthesized(unpack(four, asking), given, options)
            if (made) translated.with(query.server).inc()
            return made ?? six
          })
        })
      },
    }
  },
}
