// multisocket: several sockets per port. A process has one thread here, so each socket is another
// process: the same as `fairway dns -workers N`, which main.ts sees to before it starts the server.
import { availableParallelism } from 'node:os'
import { args, integer, noBlock, once } from '../../corefile/errors.ts'
import type { Plugin } from '../../plugin.ts'

export const plugin: Plugin<number> = {
  name: 'multisocket',
  parse(directives) {
    const directive = once(directives)
    noBlock(directive)
    args(directive, 0, 1)
    return directive.args[0] ? integer(directive.args[0], { min: 1, max: 64 }) : availableParallelism()
  },
  listen: sockets => ({ sockets }),
  setup: () => ({ name: 'multisocket' }),
}
