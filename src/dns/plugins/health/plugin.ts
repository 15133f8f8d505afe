// health: says over HTTP that the process lives, and keeps answering for a while before it ends.
import { args, CorefileError, duration, once, unknown } from '../../corefile/errors.ts'
import type { Plugin } from '../../plugin.ts'
import { probe } from './apply.ts'

interface Options { readonly address: string; readonly lameduck: number }

export const plugin: Plugin<Options> = {
  name: 'health',
  parse(directives) {
    const directive = once(directives)
    const [address = ':8080'] = args(directive, 0, 1)
    let lameduck = 0
    for (const option of directive.block ?? []) {
      if (option.word.text !== 'lameduck') throw unknown(option, ['lameduck'])
      args(option, 1)
      lameduck = duration(option.args[0]!)
    }
    if (!/:\d{1,5}$/.test(address)) throw new CorefileError(directive.args[0]!, `'${address}' is no address: expected such as ':8080'`)
    return { address, lameduck }
  },
  setup({ address, lameduck }, env) {
    const seconds = env.metrics.histogram('coredns_health_request_duration_seconds', 'Histogram of the time (in seconds) each request took.', [], Array.from({ length: 6 }, (_, i) => 0.00025 * 10 ** i)).with()
    const failures = env.metrics.counter('coredns_health_request_failures_total', 'The number of times the health check failed.').with()
    let close = () => {}, stopProbe = () => {}
    return {
      name: 'health',
      async start() {
        close = await env.http(address, '/health', () => ({ code: 200, body: 'OK' }))
        if (env.worker > 0 || address.endsWith(':0')) return
        // An overloaded process is slow to answer itself: the histogram shows it.
        stopProbe = env.every(1000, () => void probe(address).then(ms => seconds.observe(ms / 1000), () => failures.inc()))
      },
      stop() { stopProbe(); close() },
      async lameduck() {
        if (lameduck === 0) return
        env.log.info('going into lameduck mode', { seconds: lameduck / 1000 })
        await new Promise<void>(resolve => { env.later(lameduck, resolve) })
      },
    }
  },
}
