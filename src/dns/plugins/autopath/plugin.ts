// autopath: walks the search path of the asker on its behalf, so that a name outside the cluster
// costs a pod one query and not four.
import { after, type Answer, type Plugin, type Result, type Serve } from '../../plugin.ts'
import type { Query } from '../../query.ts'
import { isBelow, longestZone, type Name } from '../../wire/name.ts'
import { rcodes } from '../../wire/types.ts'
import { readResolvConf } from './apply.ts'
import { parse, searchOf, type AutopathOptions } from './config.ts'
import { Strangers } from './strangers.ts'
import { walk } from './walk.ts'

export const plugin: Plugin<AutopathOptions> = {
  name: 'autopath',
  parse,
  setup({ zones, from }, env) {
    let fixed: readonly Name[] = []
    const strangers = new Strangers(env)
    const successes = env.metrics.counter('coredns_autopath_success_total', 'Counter of requests that did autopath.', ['server']).with(env.block.server)
    const success = () => successes.inc()
    const knower = 'plugin' in from ? from.plugin : undefined
    const pathOf = (query: Query) => knower === undefined ? fixed : env.peer(knower)?.searchPath?.(query)
    /** The name must have something before the first element: that is what the walk goes on with. */
    const fits = (query: Query, path: readonly Name[]) => path.length > 1 && query.name.length > path[0]!.length && isBelow(query.name, path[0]!)

    const walking = new WeakSet<Query>()
    /** The cluster's own names are asked for down the chain; all others are this whole server's, with its other blocks and what `cache` keeps. */
    const asker = (next: Serve): Serve => query => env.peers().some(peer => peer.owns?.(query)) ? next(query) : env.lookup(query)
    const start = (query: Query, path: readonly Name[], { first, next }: { first: Answer; next: Serve }): Result => {
      walking.add(query)
      return walk(query, path, { first, next: asker(next), success })
    }

    const serve = (next: Serve): Serve => query => {
      if (longestZone(query.name, zones) === undefined || (query.from && walking.has(query.from))) return next(query)
      const path = pathOf(query)
      if (path) return fits(query, path) ? after(next(query), first => start(query, path, { first, next })) : next(query)
      const { address } = query.origin
      if (knower === undefined || !env.peer(knower)?.searchPath || !strangers.mayArrive(address)) return next(query)
      return after(next(query), first => first.rcode !== rcodes.NXDOMAIN ? first
        : strangers.wait(address, () => pathOf(query)).then(found => found && fits(query, found) ? start(query, found, { first, next }) : first))
    }
    return {
      name: 'autopath',
      serve,
      async start() {
        if ('file' in from) fixed = searchOf(await readResolvConf(from.file))
        else if (!env.peer(from.plugin)?.searchPath) env.log.warn(`autopath does nothing: ${from.plugin} knows no askers (kubernetes does with 'pods verified')`)
      },
    }
  },
}
