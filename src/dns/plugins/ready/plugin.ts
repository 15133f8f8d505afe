// ready: says over HTTP whether all plugins can answer.
import { args, CorefileError, once, unknown } from '../../corefile/errors.ts'
import type { Plugin } from '../../plugin.ts'

interface Options { readonly address: string; readonly continuously: boolean }

export const plugin: Plugin<Options> = {
  name: 'ready',
  parse(directives) {
    const directive = once(directives)
    const [address = ':8181'] = args(directive, 0, 1)
    if (!/:\d{1,5}$/.test(address)) throw new CorefileError(directive.args[0]!, `'${address}' is no address: expected such as ':8181'`)
    let continuously = false
    for (const option of directive.block ?? []) {
      if (option.word.text !== 'monitor') throw unknown(option, ['monitor'])
      const [how] = args(option, 1)
      if (how !== 'until-ready' && how !== 'continuously') throw new CorefileError(option.args[0]!, `monitor is until-ready or continuously, not '${how}'`)
      continuously = how === 'continuously'
    }
    return { address, continuously }
  },
  setup({ address, continuously }, env) {
    let close = () => {}, wasReady = false, isEnding = false
    return {
      name: 'ready',
      async start() {
        close = await env.http(address, '/ready', async () => {
          if (isEnding) return { code: 503, body: 'shutting down' }
          if (wasReady && !continuously) return { code: 200, body: 'OK' }
          const missing = await env.notReady()
          wasReady = missing.length === 0
          return wasReady ? { code: 200, body: 'OK' } : { code: 503, body: missing.join(',') }
        })
      },
      stop() { close() },
      async lameduck() { isEnding = true },
    }
  },
}
