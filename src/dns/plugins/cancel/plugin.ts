// cancel: a query that takes too long gets SERVFAIL; what is under way for it goes on and is thrown away.
import { args, CorefileError, duration, noBlock, once } from '../../corefile/errors.ts'
import { failure, type Answer, type Plugin } from '../../plugin.ts'

export const plugin: Plugin<number> = {
  name: 'cancel',
  parse(directives) {
    const directive = once(directives)
    noBlock(directive)
    args(directive, 0, 1)
    const [time] = directive.args
    const ms = time ? duration(time) : 5001
    if (ms <= 0) throw new CorefileError(time!, `the timeout must be above 0, not '${time!.text}'`)
    return ms
  },
  setup: (ms, env) => ({
    name: 'cancel',
    serve: next => query => {
      const result = next(query)
      if (!(result instanceof Promise)) return result
      return new Promise<Answer>((resolve, reject) => {
        const stop = env.later(ms, () => resolve(failure('plugin/cancel: context deadline exceeded')))
        result.then(resolve, reject).finally(stop)
      })
    },
  }),
}
