// loop: finds out whether what we forward comes back to us. CoreDNS ends the process then, which ends
// as a crash loop; here names of the cluster go on being answered, forwarded ones are refused with the
// reason, and the upstream is tried again from time to time.
import { args, noBlock, once } from '../../corefile/errors.ts'
import { zonesOf } from '../../corefile/zones.ts'
import { failure, records, type Plugin } from '../../plugin.ts'
import { ourselves, Query } from '../../query.ts'
import { fromLabels, isBelow, showName, type Name } from '../../wire/name.ts'
import { rcodes, types } from '../../wire/types.ts'

/** How often a loop that was found is looked for again. */
const again = 30_000

export const plugin: Plugin<Name> = {
  name: 'loop',
  parse(directives, { zones }) {
    const directive = once(directives)
    noBlock(directive)
    args(directive, 0, 1)
    return zonesOf(directive.args, zones)[0]!
  },
  setup(zone, env) {
    const label = () => String(Math.floor(env.random() * 2 ** 48))
    // Nobody else asks for this name; seen from outside, it is our own question come back.
    const probe = fromLabels([label(), label()], zone)!
    let why: string | undefined, seen: string | undefined, stop = () => {}
    const look = () => {
      const before = why
      seen = undefined
      Promise.resolve(env.lookup(Query.make(probe, types.HINFO))).then(() => {
        why = seen
        if (why !== undefined && before === undefined) {
          env.log.error(`${why}. Queries for '${showName(zone)}' that would be forwarded are refused until this is mended; cluster names are answered. Let 'forward' name a resolver that does not ask this server: often /etc/resolv.conf names 127.0.0.53 or the cluster's own DNS Service`)
        } else if (why === undefined && before !== undefined) env.log.info('the forwarding loop is gone')
        if (why !== undefined) stop = env.later(again, look)
      }, error => env.log.error('the probe for loops failed', error))
    }
    return {
      name: 'loop',
      start() { stop = env.later(0, look) },
      stop() { stop() },
      serve: next => query => {
        if (query.name === probe && query.type === types.HINFO && query.origin !== ourselves) {
          why = seen = `Loop (${query.origin.address}:${query.origin.port} -> ${env.block.server}) detected for zone '${showName(zone)}'`
          return records({ rcode: rcodes.SERVFAIL })
        }
        if (why !== undefined && query.origin !== ourselves && isBelow(query.name, zone)) return failure(`plugin/loop: ${why}`)
        return next(query)
      },
    }
  },
}
