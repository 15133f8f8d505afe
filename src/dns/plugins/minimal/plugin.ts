// minimal: leaves out what an answer is whole without: the authority and additional sections.
import { unpack } from '../../answer.ts'
import { args, noBlock, once } from '../../corefile/errors.ts'
import { after, isPacked, type Answer, type Plugin } from '../../plugin.ts'

export const plugin: Plugin<undefined> = {
  name: 'minimal',
  parse(directives) {
    noBlock(once(directives))
    args(directives[0]!, 0)
    return undefined
  },
  setup: () => ({
    name: 'minimal',
    serve: next => query => after(next(query), (answer): Answer => {
      if (isPacked(answer) ? answer.counts[1] + answer.counts[2] === 0 : false) return answer
      const records = unpack(answer, query)
      // Referrals and negative answers mean nothing without their authority section.
      if (records.rcode !== 0 || records.answer.length === 0) return answer
      return { ...records, authority: [], additional: [] }
    }),
  }),
}
