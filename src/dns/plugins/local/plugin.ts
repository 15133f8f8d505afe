// local: localhost and the reverse zones of 0, 127 and 255, which should not trouble an upstream
// (RFC 6303, RFC 6761).
import { args, noBlock, once } from '../../corefile/errors.ts'
import { records, type Plugin, type Records } from '../../plugin.ts'
import type { Query } from '../../query.ts'
import { isBelow, longestZone, parseName, type Name } from '../../wire/name.ts'
import { address, ns, ptr, soa } from '../../wire/rdata.ts'
import { rcodes, types } from '../../wire/types.ts'

const name = (text: string) => parseName(text)!
const localhost = name('localhost.'), loopback = name('1.0.0.127.in-addr.arpa.')
const zones = [localhost, name('0.in-addr.arpa.'), name('127.in-addr.arpa.'), name('255.in-addr.arpa.')]
const ttl = 604_800
const authority = (owner: Name) => soa(owner, ttl, { mname: localhost, rname: name('root.localhost.'), serial: 1, refresh: 0, retry: 0, expire: 0, minimum: ttl })
const noData = (owner: Name): Records => records({ authority: [authority(owner)] })

function addresses({ type, asked }: Query): Records {
  if (type === types.A) return records({ answer: [address(asked, ttl, '127.0.0.1')] })
  if (type === types.AAAA) return records({ answer: [address(asked, ttl, '::1')] })
  return noData(asked)
}

function ofZone(query: Query, zone: Name): Records {
  const { asked, type } = query
  if (query.name === zone) {
    if (type === types.SOA) return records({ answer: [authority(asked)] })
    if (type === types.NS) return records({ answer: [ns(asked, ttl, localhost)] })
    return zone === localhost ? addresses(query) : noData(asked)
  }
  if (query.name === loopback) return type === types.PTR ? records({ answer: [ptr(asked, ttl, localhost)] }) : noData(zone)
  return records({ rcode: rcodes.NXDOMAIN, authority: [authority(zone)] })
}

export const plugin: Plugin<undefined> = {
  name: 'local',
  parse(directives) {
    noBlock(once(directives))
    args(directives[0]!, 0)
    return undefined
  },
  setup(_, env) {
    const count = env.metrics.counter('coredns_local_localhost_requests_total', 'Counter of localhost.<domain> requests.').with()
    return {
      name: 'local',
      serve: next => query => {
        // `localhost.` behind a search domain, and names below localhost, are this machine too.
        const isPrefixed = query.name.startsWith('\tlocalhost') && query.name !== localhost
        if (isPrefixed || (query.name !== localhost && isBelow(query.name, localhost))) { count.inc(); return addresses(query) }
        const zone = longestZone(query.name, zones)
        return zone ? ofZone(query, zone) : next(query)
      },
    }
  },
}
