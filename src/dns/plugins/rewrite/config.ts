// The rules of `rewrite`: read once into what they match and what they put in its place.
import { CorefileError } from '../../corefile/errors.ts'
import type { Directive, Token } from '../../corefile/syntax.ts'
import { parseName } from '../../wire/name.ts'
import { parseClass, parseRcode, parseType } from '../../wire/types.ts'
import { parseEdns, type EdnsRule } from './edns.ts'
import { LinearRegExp, RegExpError } from './regexp.ts'
import { Words } from './words.ts'

/** Names are texts here: lower case with the last dot, as CoreDNS matches them. */
export type Matcher =
  | { readonly kind: 'exact' | 'prefix' | 'suffix' | 'substring'; readonly from: string }
  | { readonly kind: 'regex'; readonly from: LinearRegExp }

/** What happens to names of the answer, of owners or in data. */
export interface Replacement { readonly pattern: LinearRegExp; readonly to: string }

export type Change =
  | { readonly field: 'type' | 'class'; readonly from: number; readonly to: number }
  | { readonly field: 'name'; readonly match: Matcher; readonly to: string; readonly auto: boolean; readonly names: readonly Replacement[]; readonly values: readonly Replacement[] }
  | { readonly field: 'ttl'; readonly match: Matcher; readonly least: number; readonly most: number }
  | { readonly field: 'rcode'; readonly match: Matcher; readonly from: number; readonly to: number }
  | { readonly field: 'edns0'; readonly rule: EdnsRule }
export interface Rule { readonly mode: 'continue' | 'stop'; readonly change: Change }

const fields = ['type', 'class', 'name', 'ttl', 'rcode', 'edns0'] as const
const kinds = ['exact', 'prefix', 'suffix', 'substring', 'regex'] as const

export function parse(directives: readonly Directive[]): Rule[] { return directives.map(parseRule) }

function parseRule(directive: Directive): Rule {
  const words = new Words(directive)
  const first = words.peek()?.text
  const mode = first === 'continue' || first === 'stop' ? words.take('').text as Rule['mode'] : 'stop'
  const token = words.take('what to rewrite')
  const field = fields.find(field => field === token.text)
  if (!field) throw new CorefileError(token, `invalid rule type '${token.text}' (known: ${fields.join(', ')})`)
  const change = changes[field](words)
  words.end()
  return { mode, change }
}

const number = (words: Words, what: string, parse: (text: string) => number | undefined): number => {
  const token = words.take(what)
  const found = parse(token.text)
  if (found === undefined) throw new CorefileError(token, `'${token.text}' is no ${what}`)
  return found
}

const changes: Record<(typeof fields)[number], (words: Words) => Change> = {
  type: words => ({ field: 'type', from: number(words, 'type', parseType), to: number(words, 'type', parseType) }),
  class: words => ({ field: 'class', from: number(words, 'class', parseClass), to: number(words, 'class', parseClass) }),
  name: words => {
    const match = matcher(words), { kind } = match
    const to = words.take('the new name')
    return { field: 'name', match, to: kind === 'exact' || kind === 'suffix' || kind === 'regex' ? absolute(to) : to.text.toLowerCase(), ...answers(words, match) }
  },
  ttl: words => ({ field: 'ttl', match: matcher(words), ...seconds(words.take('the TTL')) }),
  rcode: words => ({ field: 'rcode', match: matcher(words), from: number(words, 'rcode', parseRcodeOrNumber), to: number(words, 'rcode', parseRcodeOrNumber) }),
  edns0: words => ({ field: 'edns0', rule: parseEdns(words) }),
}
const parseRcodeOrNumber = (text: string) => parseRcode(text) ?? (/^\d{1,4}$/.test(text) && Number(text) < 4096 ? Number(text) : undefined)

const dotted = (text: string) => text.endsWith('.') ? text : `${text}.`
/** With the last dot; placeholders are no names yet. */
function absolute(token: Token): string {
  const text = dotted(token.text.toLowerCase())
  if (!text.includes('{') && parseName(text.replace(/^\./, '')) === undefined) throw new CorefileError(token, `'${token.text}' is no name`)
  return text
}

function matcher(words: Words): Matcher {
  const kind = kinds.find(kind => kind === words.peek()?.text)
  // `rewrite name exact example.org`: a name that looks like a kind of match.
  if (kind === undefined || words.rest < 3) return { kind: 'exact', from: absolute(words.take('a name')) }
  words.take('')
  const token = words.take('what to match')
  if (kind === 'regex') return { kind, from: regexp(token) }
  return { kind, from: kind === 'exact' || kind === 'suffix' ? absolute(token) : token.text.toLowerCase() }
}

export function regexp(token: Token): LinearRegExp {
  try { return new LinearRegExp(token.text) } catch (error) {
    if (error instanceof RegExpError) throw new CorefileError(token, `invalid regex pattern: ${error.message}`)
    throw error
  }
}

function answers(words: Words, match: Matcher): { auto: boolean; names: Replacement[]; values: Replacement[] } {
  const out = { auto: false, names: [] as Replacement[], values: [] as Replacement[] }
  while (words.rest > 0) {
    const token = words.take('')
    if (token.text !== 'answer') throw new CorefileError(token, `unexpected '${token.text}': after the names there may be 'answer auto', 'answer name RE TO' or 'answer value RE TO'`)
    const what = words.take("auto, name or value behind 'answer'")
    if (what.text === 'auto') {
      if (match.kind === 'substring' || match.kind === 'regex') throw new CorefileError(what, `'answer auto' cannot be told from a ${match.kind}: use 'answer name RE TO'`)
      out.auto = true
    } else if (what.text === 'name' || what.text === 'value') {
      const replacement = { pattern: regexp(words.take('a pattern')), to: dotted(words.take('the new name').text.toLowerCase()) }
      ;(what.text === 'name' ? out.names : out.values).push(replacement)
    } else throw new CorefileError(what, `invalid answer rule '${what.text}' (known: auto, name, value)`)
  }
  return out
}

/** `15`, or a range: `10-20`, `10-`, `-20`. */
function seconds(token: Token): { least: number; most: number } {
  const match = /^(\d{0,10})(-)?(\d{0,10})$/.exec(token.text)
  const highest = 2 ** 31 - 1
  const least = match?.[1] ? Number(match[1]) : 0, most = match?.[3] ? Number(match[3]) : match?.[2] ? highest : least
  if (!match || token.text === '' || token.text === '-' || (!match[2] && match[3]) || least > most || most > highest) throw new CorefileError(token, `'${token.text}' is no TTL such as 15, 10-60, 10- or -60`)
  return { least, most }
}
