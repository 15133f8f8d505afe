// The options of `log`: which names and classes of answers, and the line's format.
import { CorefileError, unknown } from '../../corefile/errors.ts'
import type { Directive } from '../../corefile/syntax.ts'
import { zonesOf } from '../../corefile/zones.ts'
import type { Name } from '../../wire/name.ts'

export type AnswerClass = 'success' | 'denial' | 'error' | 'all'
export interface Rule { readonly zones: readonly Name[]; readonly format: string; readonly classes: ReadonlySet<AnswerClass> }

const common = '{remote}:{port} - {>id} "{type} {class} {name} {proto} {size} {>do} {>bufsize}" {rcode} {>rflags} {rsize} {duration}'
const combined = `${common} "{>opcode}"`
const known = ['success', 'denial', 'error', 'all'] as const

export function parse(directives: readonly Directive[]): Rule[] {
  return directives.map(directive => {
    const last = directive.args.at(-1)
    // CoreDNS tells the format by its brace; the names come before it.
    const hasFormat = last !== undefined && last.text.includes('{')
    const names = hasFormat ? directive.args.slice(0, -1) : directive.args
    const format = hasFormat ? last.text.replace('{common}', common).replace('{combined}', combined) : common
    return { zones: zonesOf(names, ['\0' as Name]), format, classes: classesOf(directive) }
  })
}

function classesOf({ block = [] }: Directive): ReadonlySet<AnswerClass> {
  const classes = new Set<AnswerClass>()
  for (const option of block) {
    if (option.word.text !== 'class') throw unknown(option, ['class'])
    if (option.args.length === 0) throw new CorefileError(option.word, `class needs one of ${known.join(', ')}`)
    for (const token of option.args) {
      const found = known.find(name => name === token.text)
      if (!found) throw new CorefileError(token, `unknown class '${token.text}' (known: ${known.join(', ')})`)
      classes.add(found)
    }
  }
  return classes.size ? classes : new Set(['all'])
}
