// header: sets or clears flags of queries or answers.
import { unpack } from '../../answer.ts'
import { args, CorefileError, once, unknown } from '../../corefile/errors.ts'
import { after, silence, type Plugin } from '../../plugin.ts'
import type { Query } from '../../query.ts'
import { flags } from '../../wire/types.ts'

/** What becomes 1 and what becomes 0, of the header's second word. */
interface Change { readonly set: number; readonly clear: number }
interface Options { readonly query: Change | undefined; readonly response: Change | undefined }

const bits: Record<string, number> = { aa: flags.AA, ra: flags.RA, rd: flags.RD }

export const plugin: Plugin<Options> = {
  name: 'header',
  parse(directives) {
    const directive = once(directives)
    args(directive, 0)
    const changes = { query: { set: 0, clear: 0 }, response: { set: 0, clear: 0 } }, used = new Set<string>()
    for (const option of directive.block ?? []) {
      const selector = option.word.text === 'query' || option.word.text === 'response' ? option.word.text : 'response'
      const [action, ...names] = selector === option.word.text ? option.args : [option.word, ...option.args]
      if (!action || (action.text !== 'set' && action.text !== 'clear')) throw unknown(option, ['set', 'clear', 'query set', 'query clear', 'response set', 'response clear'])
      if (names.length === 0) throw new CorefileError(action, 'no flags provided for setting/clearing header')
      used.add(selector)
      for (const name of names) {
        const bit = bits[name.text.toLowerCase()]
        if (bit === undefined) throw new CorefileError(name, `unknown/unsupported flag '${name.text}' (known: aa, ra, rd)`)
        // The last word on a flag holds.
        changes[selector].set = action.text === 'set' ? changes[selector].set | bit : changes[selector].set & ~bit
        changes[selector].clear = action.text === 'clear' ? changes[selector].clear | bit : changes[selector].clear & ~bit
      }
    }
    if (used.size === 0) throw new CorefileError(directive.word, "header needs a block with such as 'set ra'")
    return { query: used.has('query') ? changes.query : undefined, response: used.has('response') ? changes.response : undefined }
  },
  setup: ({ query: ofQuery, response }) => ({
    name: 'header',
    serve: next => query => {
      const asked = ofQuery ? changed(query, ofQuery) : query
      if (!response) return next(asked)
      return after(next(asked), answer => {
        if (answer === silence) return answer
        const flags = answer.flags & ~response.clear | response.set
        // RD of an answer is an echo of the query's: to clear it, the echo must be told.
        return response.clear === 0 ? { ...answer, flags } : { ...unpack(answer, asked), flags, cleared: response.clear }
      })
    },
  }),
}

function changed(query: Query, { set, clear }: Change): Query {
  const message = Buffer.from(query.message)
  message.writeUInt16BE(message.readUInt16BE(2) & ~clear | set, 2)
  return query.carrying(message)
}
