// The options of `file`: each directive one file for one or several zones.
import { args, CorefileError, duration, noBlock, unknown } from '../../corefile/errors.ts'
import type { Directive, Token } from '../../corefile/syntax.ts'
import { zonesOf } from '../../corefile/zones.ts'
import type { ParseContext } from '../../plugin.ts'
import { root as rootName, type Name } from '../../wire/name.ts'

export interface FileOptions {
  readonly file: string
  readonly token: Token
  readonly zones: readonly Name[]
  /** Milliseconds; 0: never. */
  readonly reload: number
  readonly fallthrough: readonly Name[]
}

export function parse(directives: readonly Directive[], { zones, root }: ParseContext): FileOptions[] {
  return directives.map(directive => {
    const [file, ...rest] = directive.args
    if (!file) throw new CorefileError(directive.word, 'file needs the name of a zone file')
    let reload = 60_000, fallthrough: readonly Name[] = []
    for (const option of directive.block ?? []) {
      noBlock(option)
      if (option.word.text === 'reload') { args(option, 1); reload = duration(option.args[0]!) }
      else if (option.word.text === 'fallthrough') fallthrough = zonesOf(option.args, [rootName])
      else throw unknown(option, ['reload', 'fallthrough'])
    }
    return { file: file.text.startsWith('/') ? file.text : `${root.replace(/\/$/, '')}/${file.text}`, token: file, zones: zonesOf(rest, zones), reload, fallthrough }
  })
}
