// any: a short answer to questions for ANY, which are mostly attacks (RFC 8482).
import { args, noBlock, once } from '../../corefile/errors.ts'
import { records, type Plugin } from '../../plugin.ts'
import { flags, types } from '../../wire/types.ts'

const text = Buffer.concat(['ANY obsoleted', 'See RFC 8482'].map(part => Buffer.from(`${String.fromCharCode(part.length)}${part}`)))

export const plugin: Plugin<undefined> = {
  name: 'any',
  parse(directives) {
    noBlock(once(directives))
    args(directives[0]!, 0)
    return undefined
  },
  setup: () => ({
    name: 'any',
    serve: next => query => query.type !== types.ANY ? next(query)
      : records({ flags: flags.AA, answer: [{ name: query.asked, type: types.HINFO, class: 1, ttl: 8482, data: text }] }),
  }),
}
