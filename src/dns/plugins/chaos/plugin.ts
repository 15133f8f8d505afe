// chaos: version.bind, authors.bind and hostname.bind of class CH.
import { hostname } from 'node:os'
import { noBlock, once } from '../../corefile/errors.ts'
import { records, type Plugin } from '../../plugin.ts'
import { showName } from '../../wire/name.ts'
import { txt } from '../../wire/rdata.ts'
import { classes, flags, types } from '../../wire/types.ts'

interface Options { readonly version: string; readonly authors: readonly string[] }

export const plugin: Plugin<Options> = {
  name: 'chaos',
  parse(directives) {
    noBlock(once(directives))
    const [version, ...authors] = directives[0]!.args.map(({ text }) => text)
    return { version: version ?? 'Fairway', authors: authors.length ? authors : ['Fairway'] }
  },
  listen: () => ({ chaos: true }),
  setup: ({ version, authors }) => {
    const answers: Record<string, readonly string[]> = {
      'version.bind.': [version], 'version.server.': [version], 'hostname.bind.': [hostname()], 'id.server.': [hostname()], 'authors.bind.': authors,
    }
    return {
      name: 'chaos',
      serve: next => query => {
        const texts = query.class === classes.CH && query.type === types.TXT ? answers[showName(query.name)] : undefined
        if (!texts) return next(query)
        return records({ flags: flags.AA, answer: texts.map(text => ({ ...txt(query.asked, 0, text), class: classes.CH })) })
      },
    }
  },
}
