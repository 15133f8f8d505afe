// nsid: names this server in the answer when the asker wants to know (RFC 5001).
import { hostname } from 'node:os'
import { unpack } from '../../answer.ts'
import { noBlock, once } from '../../corefile/errors.ts'
import { after, silence, type Plugin } from '../../plugin.ts'

const code = 3

export const plugin: Plugin<string> = {
  name: 'nsid',
  parse(directives) {
    noBlock(once(directives))
    return directives[0]!.args.map(({ text }) => text).join(' ') || hostname()
  },
  setup(text) {
    const option = { code, data: Buffer.from(text) }
    return {
      name: 'nsid',
      serve: next => query => {
        if (!query.edns?.options.some(asked => asked.code === code)) return next(query)
        return after(next(query), answer => {
          if (answer === silence) return answer
          const records = unpack(answer, query)
          return { ...records, options: [...records.options ?? [], option] }
        })
      },
    }
  },
}
