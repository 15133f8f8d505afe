// metadata: asks the plugins of the block for what they know of a query before the chain begins, so
// that log and rewrite can use it as {/kubernetes/namespace}.
import { noBlock, once } from '../../corefile/errors.ts'
import { zonesOf } from '../../corefile/zones.ts'
import type { Plugin } from '../../plugin.ts'
import { longestZone, type Name } from '../../wire/name.ts'

export const plugin: Plugin<readonly Name[]> = {
  name: 'metadata',
  parse(directives, { zones }) {
    noBlock(once(directives))
    return zonesOf(directives[0]!.args, zones)
  },
  setup: (zones, env) => ({
    name: 'metadata',
    serve: next => query => {
      if (longestZone(query.name, zones)) {
        for (const peer of env.peers()) for (const [label, value] of peer.metadata?.(query) ?? []) query.addMetadata(label, value)
      }
      return next(query)
    },
  }),
}
