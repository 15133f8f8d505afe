// root: the folder that relative file names of this server block are below. blocks.ts reads it, as
// other plugins need it before they are parsed.
import { args, noBlock, once } from '../../corefile/errors.ts'
import type { Plugin } from '../../plugin.ts'

export const plugin: Plugin<string> = {
  name: 'root',
  parse(directives) {
    noBlock(once(directives))
    return args(directives[0]!, 1)[0]!
  },
  setup: () => ({ name: 'root' }),
}
