// bufsize: the largest answer over UDP, against fragmentation.
import { args, integer, noBlock, once } from '../../corefile/errors.ts'
import type { Plugin } from '../../plugin.ts'

export const plugin: Plugin<number> = {
  name: 'bufsize',
  parse(directives) {
    const directive = once(directives)
    noBlock(directive)
    args(directive, 0, 1)
    return directive.args[0] ? integer(directive.args[0], { min: 512, max: 4096 }) : 1232
  },
  setup: size => ({
    name: 'bufsize',
    serve: next => query => {
      if (query.origin.protocol === 'udp' && query.edns) query.size = Math.max(512, Math.min(query.edns.size, size))
      return next(query)
    },
  }),
}
