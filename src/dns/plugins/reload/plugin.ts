// reload: looks at the Corefile from time to time, and takes a changed one without missing a query.
import { createHash } from 'node:crypto'
import { args, CorefileError, duration, noBlock, once } from '../../corefile/errors.ts'
import type { Plugin } from '../../plugin.ts'

interface Options { readonly interval: number; readonly jitter: number }

export const plugin: Plugin<Options> = {
  name: 'reload',
  parse(directives) {
    const directive = once(directives)
    noBlock(directive)
    args(directive, 0, 2)
    const [every, spread] = directive.args
    const interval = every ? duration(every) : 30_000
    if (interval < 2000) throw new CorefileError(every!, 'interval value must be greater or equal to 2s')
    const jitter = spread ? duration(spread) : Math.min(15_000, interval / 2)
    if (jitter < 1000) throw new CorefileError(spread!, 'jitter value must be greater or equal to 1s')
    return { interval, jitter: Math.min(jitter, interval / 2) }
  },
  setup({ interval, jitter }, env) {
    const failed = env.metrics.counter('coredns_reload_failed_total', 'Counter of the number of failed reload attempts.').with()
    const version = env.metrics.gauge('coredns_reload_version_info', 'A metric with a constant \'1\' value labeled by hash, and value which type of hash generated.', ['hash', 'value'])
    const hash = createHash('sha512').update(env.sources.join('\0')).digest('hex')
    let stop = () => {}, refused = ''
    const wait = () => {
      // Each replica at its own time: a changed ConfigMap must not restart all of them at once.
      stop = env.later(interval + Math.floor(env.random() * jitter), () => {
        env.reload().then(() => { refused = '' }, (error: unknown) => {
          failed.inc()
          const { message } = error as Error
          if (message !== refused) env.log.error('the changed Corefile is not taken; the one before goes on', error)
          refused = message
        }).finally(() => { if (stop !== ended) wait() })
      })
    }
    const ended = () => {}
    return {
      name: 'reload',
      start() { version.with('sha512', hash).set(1); wait() },
      stop() { version.with('sha512', hash).set(0); stop(); stop = ended },
    }
  },
}
