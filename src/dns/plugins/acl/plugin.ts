// acl: who may ask what: the first rule that fits decides.
import { bits, parseIp, type Cidr, type Ip } from '#net/ip.ts'
import { records, refused, silence, type Plugin, type Result, type Serve } from '../../plugin.ts'
import type { Query } from '../../query.ts'
import { longestZone, showName } from '../../wire/name.ts'
import { rcodes } from '../../wire/types.ts'
import { parse, type Action, type Policy, type Rule } from './config.ts'

const holds = ({ base, prefix }: Cidr, ip: Ip): boolean => {
  const shift = BigInt(bits(base.family) - prefix)
  return base.family === ip.family && base.value >> shift === ip.value >> shift
}

function actionOf(policies: readonly Policy[], query: Query, asker: Ip | undefined): Action | undefined {
  return policies.find(({ types, nets }) => (!types || types.has(query.type)) && (!nets || (asker && nets.some(net => holds(net, asker)))))?.action
}

/** Extended errors (RFC 8914): 15 Blocked, 17 Filtered. */
const why = (code: number) => [{ code: 15, data: Buffer.from([0, code]) }]

const answers: Record<Exclude<Action, 'allow'>, Result> = {
  block: { ...records({ rcode: rcodes.REFUSED }), options: why(15) },
  filter: { ...records({}), options: why(17) },
  drop: silence,
}

export const plugin: Plugin<readonly Rule[]> = {
  name: 'acl',
  parse,
  setup(rules, env) {
    const counter = (what: string, verb: string) => env.metrics.counter(`coredns_acl_${what}_requests_total`, `Counter of DNS requests being ${verb}.`, ['server', 'zone', 'view'])
    const counters = { block: counter('blocked', 'blocked'), filter: counter('filtered', 'filtered'), drop: counter('dropped', 'dropped'), allow: counter('allowed', 'allowed') }
    return {
      name: 'acl',
      serve: (next: Serve) => query => {
        const asker = parseIp(query.origin.address)
        for (const { zones, policies } of rules) {
          const zone = longestZone(query.name, zones)
          const action = zone === undefined ? undefined : actionOf(policies, query, asker)
          if (!action) continue
          counters[action].with(query.server, showName(zone!), env.block.view).inc()
          return action === 'allow' ? next(query) : answers[action] ?? refused
        }
        counters.allow.with(query.server, showName(query.zone), env.block.view).inc()
        return next(query)
      },
    }
  },
}
