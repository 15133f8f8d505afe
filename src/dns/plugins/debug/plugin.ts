// debug: says more in the log; other plugins see it as `block.debug`.
import { args, noBlock, once } from '../../corefile/errors.ts'
import type { Plugin } from '../../plugin.ts'

export const plugin: Plugin<undefined> = {
  name: 'debug',
  parse(directives) {
    noBlock(once(directives))
    args(directives[0]!, 0)
    return undefined
  },
  setup: () => ({ name: 'debug' }),
}
