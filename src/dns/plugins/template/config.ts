// The options of `template`: each directive one template.
import { args, CorefileError, integer, noBlock, unknown } from '../../corefile/errors.ts'
import type { Directive, Token } from '../../corefile/syntax.ts'
import { zonesOf } from '../../corefile/zones.ts'
import type { ParseContext } from '../../plugin.ts'
import { root, type Name } from '../../wire/name.ts'
import { classes, parseClass, parseRcode, parseType, types } from '../../wire/types.ts'
import { regexp } from '../rewrite/config.ts'
import { LinearRegExp } from '../rewrite/regexp.ts'
import { compileTemplate, TemplateError, type Data } from './language.ts'

export type Section = 'answer' | 'additional' | 'authority'
export interface RecordTemplate { readonly source: string; readonly section: Section; readonly make: (data: Data) => string }

export interface Template {
  readonly class: number
  readonly type: number
  readonly zones: readonly Name[]
  readonly regexps: readonly LinearRegExp[]
  readonly records: readonly RecordTemplate[]
  readonly rcode: number
  /** An extended error (RFC 8914). */
  readonly error: { readonly code: number; readonly reason: string } | undefined
  readonly fallthrough: readonly Name[]
}

const known = ['match', 'answer', 'additional', 'authority', 'rcode', 'ederror', 'fallthrough']

export function parse(directives: readonly Directive[], { zones }: ParseContext): Template[] {
  return directives.map(directive => {
    const [classToken, typeToken, ...rest] = directive.args
    if (!classToken || !typeToken) throw new CorefileError(directive.word, "template needs a class and a type: 'template IN A example.org { … }'")
    const draft: { -readonly [K in keyof Template]: Template[K] } = {
      class: number(classToken, parseClass, 'class'), type: number(typeToken, parseType, 'type'), zones: zonesOf(rest, zones),
      regexps: [], records: [], rcode: 0, error: undefined, fallthrough: [],
    }
    for (const option of directive.block ?? []) {
      noBlock(option)
      read(draft, option)
    }
    if (draft.regexps.length === 0) draft.regexps = [new LinearRegExp('')]
    return draft
  })
}

function number(token: Token, parse: (text: string) => number | undefined, what: string): number {
  const found = parse(token.text)
  if (found === undefined) throw new CorefileError(token, `invalid RR ${what} ${token.text}`)
  return found
}

function read(draft: { -readonly [K in keyof Template]: Template[K] }, option: Directive): void {
  const { text } = option.word
  switch (text) {
    case 'match': {
      args(option, 1, 100)
      draft.regexps = [...draft.regexps, ...option.args.map(regexp)]
      return
    }
    case 'answer': case 'additional': case 'authority': {
      args(option, 1, 100)
      draft.records = [...draft.records, ...option.args.map(token => ({ source: token.text, section: text, make: compile(token) }))]
      return
    }
    case 'rcode': args(option, 1); draft.rcode = number(option.args[0]!, parseRcode, 'code'); return
    case 'ederror': {
      const [, reason = ''] = args(option, 1, 2)
      draft.error = { code: integer(option.args[0]!, { max: 65535 }), reason }
      return
    }
    case 'fallthrough': draft.fallthrough = zonesOf(option.args, [root]); return
    default: throw unknown(option, known)
  }
}

function compile(token: Token): (data: Data) => string {
  try { return compileTemplate(token.text) } catch (error) {
    if (error instanceof TemplateError) throw new CorefileError(token, `could not compile template: ${error.message}`)
    throw error
  }
}

export const takes = (template: Template, of: { readonly class: number; readonly type: number }): boolean =>
  (template.class === classes.ANY || template.class === of.class) && (template.type === types.ANY || template.type === of.type)
