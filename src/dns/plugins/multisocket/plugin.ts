// multisocket: CoreDNS's number of sockets per port, for several cores. Here a process has one thread,
// so more sockets need more processes: `fairway dns -workers N`. The plugin is read, and says so.
import { args, integer, noBlock, once } from '../../corefile/errors.ts'
import type { Plugin } from '../../plugin.ts'

export const plugin: Plugin<number | undefined> = {
  name: 'multisocket',
  parse(directives) {
    const directive = once(directives)
    noBlock(directive)
    args(directive, 0, 1)
    return directive.args[0] && integer(directive.args[0], { min: 1, max: 1024 })
  },
  setup: (sockets, env) => ({
    name: 'multisocket',
    start() { env.log.warn('multisocket has no effect: start `fairway dns -workers N` to use several cores', sockets ? { sockets } : {}) },
  }),
}
