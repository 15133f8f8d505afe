// timeouts: how long TCP, TLS and HTTPS connections may be idle or slow; the listeners use it.
import { args, CorefileError, duration, once, unknown } from '../../corefile/errors.ts'
import type { ListenSettings, Plugin } from '../../plugin.ts'

type Options = NonNullable<ListenSettings['timeouts']>
const known = ['read', 'write', 'idle'] as const

export const plugin: Plugin<Options> = {
  name: 'timeouts',
  parse(directives) {
    const directive = once(directives)
    args(directive, 0)
    if (!directive.block?.length) throw new CorefileError(directive.word, 'timeouts block must have at least one of read, write, idle')
    const options: { -readonly [key in keyof Options]: Options[key] } = {}
    for (const option of directive.block) {
      const name = known.find(name => name === option.word.text)
      if (!name) throw unknown(option, known)
      args(option, 1)
      // A bare number is seconds here (CoreDNS's ParseDuration of timeouts).
      const token = option.args[0]!
      const ms = /^\d+$/.test(token.text) ? Number(token.text) * 1000 : duration(token)
      if (ms < 1000 || ms > 86_400_000) throw new CorefileError(token, `the timeout must be from 1s to 24h, not '${token.text}'`)
      options[name] = ms
    }
    return options
  },
  listen: timeouts => ({ timeouts }),
  setup: () => ({ name: 'timeouts' }),
}
