// The expressions of `view`: the part of the expr language (antonmedv/expr) that speaks of queries:
// functions, text, numbers, lists, comparison, `in`, `matches`, and/or/not, arithmetic. Parsed once
// into functions. Bounded in depth; knows no query.

export type Value = string | number | boolean | readonly Value[] | undefined
/** What the functions of an expression are; unknown ones are refused when parsing. */
export type Functions<Context> = Readonly<Record<string, { readonly count: number; call(context: Context, ...args: Value[]): Value }>>
export type Expression<Context> = (context: Context) => Value

export class ExpressionError extends Error {}

const pattern = /\s*(?:(\d+(?:\.\d+)?)|'((?:[^'\\]|\\[^])*)'|"((?:[^"\\]|\\[^])*)"|([A-Za-z_]\w*)|(==|!=|<=|>=|&&|\|\||\*\*|\.\.|[<>!+\-*/%()[\],?:]))/y

interface Word { readonly kind: 'number' | 'text' | 'name' | 'sign'; readonly text: string }

function wordsOf(source: string): Word[] {
  const out: Word[] = []
  const text = source.trimEnd()
  pattern.lastIndex = 0
  while (pattern.lastIndex < text.length) {
    const at = pattern.lastIndex
    const match = pattern.exec(text)
    if (!match) throw new ExpressionError(`cannot read '${text.slice(at, at + 20)}'`)
    const quoted = match[2] ?? match[3]
    if (match[1] !== undefined) out.push({ kind: 'number', text: match[1] })
    else if (quoted !== undefined) out.push({ kind: 'text', text: unescape(quoted) })
    else if (match[4] !== undefined) out.push({ kind: 'name', text: match[4] })
    else out.push({ kind: 'sign', text: match[5]! })
  }
  return out
}
const escapes: Record<string, string> = { n: '\n', t: '\t', r: '\r' }
const unescape = (text: string) => text.replace(/\\([^])/g, (_, c: string) => escapes[c] ?? c)

/** Loosest first; each level is left-associative. */
const levels: readonly (readonly string[])[] = [['||', 'or'], ['&&', 'and'], ['==', '!=', '<', '>', '<=', '>=', 'in', 'matches', 'contains', 'startsWith', 'endsWith', 'not'], ['+', '-'], ['*', '/', '%']]

const number = (value: Value): number => {
  if (typeof value !== 'number') throw new ExpressionError('a number is needed')
  return value
}
const text = (value: Value): string => {
  if (typeof value !== 'string') throw new ExpressionError('text is needed')
  return value
}
const isIn = (value: Value, list: Value): boolean => Array.isArray(list) ? list.includes(value) : false

const operators: Record<string, (a: Value, b: Value) => Value> = {
  '==': (a, b) => a === b, '!=': (a, b) => a !== b, in: isIn, 'not in': (a, b) => !isIn(a, b),
  '<': (a, b) => number(a) < number(b), '>': (a, b) => number(a) > number(b), '<=': (a, b) => number(a) <= number(b), '>=': (a, b) => number(a) >= number(b),
  contains: (a, b) => text(a).includes(text(b)), startsWith: (a, b) => text(a).startsWith(text(b)), endsWith: (a, b) => text(a).endsWith(text(b)),
  '+': (a, b) => typeof a === 'string' ? a + text(b) : number(a) + number(b), '-': (a, b) => number(a) - number(b),
  '*': (a, b) => number(a) * number(b), '/': (a, b) => number(a) / number(b), '%': (a, b) => number(a) % number(b),
}

class Parser<Context> {
  readonly #words: readonly Word[]
  readonly #functions: Functions<Context>
  #at = 0
  #depth = 0
  constructor(words: readonly Word[], functions: Functions<Context>) { this.#words = words; this.#functions = functions }

  all(): Expression<Context> {
    const expression = this.#choice()
    if (this.#words[this.#at]) throw new ExpressionError(`unexpected '${this.#words[this.#at]!.text}'`)
    return expression
  }
  #is(...texts: string[]): boolean {
    const word = this.#words[this.#at]
    return word !== undefined && word.kind !== 'text' && texts.includes(word.text)
  }
  #take(sign: string): void {
    if (!this.#is(sign)) throw new ExpressionError(`'${sign}' expected${this.#words[this.#at] ? ` before '${this.#words[this.#at]!.text}'` : ' at the end'}`)
    this.#at++
  }

  #choice(): Expression<Context> {
    if (++this.#depth > 50) throw new ExpressionError('nested too deep')
    const condition = this.#level(0)
    this.#depth--
    if (!this.#is('?')) return condition
    this.#at++
    const yes = this.#choice()
    this.#take(':')
    const no = this.#choice()
    return context => condition(context) ? yes(context) : no(context)
  }
  #level(index: number): Expression<Context> {
    const signs = levels[index]
    if (!signs) return this.#unary()
    let left = this.#level(index + 1)
    while (this.#is(...signs)) {
      let sign = this.#words[this.#at++]!.text
      if (sign === 'not') { this.#take('in'); sign = 'not in' }
      left = this.#combine(sign, left, index)
    }
    return left
  }
  #combine(sign: string, a: Expression<Context>, index: number): Expression<Context> {
    if (sign === 'matches') {
      const word = this.#words[this.#at++]
      if (word?.kind !== 'text') throw new ExpressionError('matches needs a regular expression in quotes')
      let regexp: RegExp
      try { regexp = new RegExp(word.text) } catch (error) { throw new ExpressionError((error as Error).message) }
      return context => regexp.test(text(a(context)))
    }
    const b = this.#level(index + 1)
    if (sign === '||' || sign === 'or') return context => Boolean(a(context)) || Boolean(b(context))
    if (sign === '&&' || sign === 'and') return context => Boolean(a(context)) && Boolean(b(context))
    const operator = operators[sign]!
    return context => operator(a(context), b(context))
  }
  #unary(): Expression<Context> {
    if (!this.#is('!', 'not', '-')) return this.#primary()
    if (++this.#depth > 50) throw new ExpressionError('nested too deep')
    const sign = this.#words[this.#at++]!.text
    const of = this.#unary()
    this.#depth--
    return sign === '-' ? context => -number(of(context)) : context => !of(context)
  }
  #primary(): Expression<Context> {
    const word = this.#words[this.#at++]
    if (!word) throw new ExpressionError('something is missing at the end')
    if (word.kind === 'number') { const value = Number(word.text); return () => value }
    if (word.kind === 'text') return () => word.text
    if (word.kind === 'name') return this.#named(word.text)
    if (word.text === '(') {
      const inner = this.#choice()
      this.#take(')')
      return inner
    }
    if (word.text === '[') {
      const items = this.#list(']')
      return context => items.map(item => item(context))
    }
    throw new ExpressionError(`unexpected '${word.text}'`)
  }
  #list(end: string): Expression<Context>[] {
    const items: Expression<Context>[] = []
    while (!this.#is(end)) {
      if (items.length) this.#take(',')
      items.push(this.#choice())
    }
    this.#at++
    return items
  }
  #named(name: string): Expression<Context> {
    if (name === 'true' || name === 'false') return () => name === 'true'
    if (name === 'nil') return () => undefined
    const known = Object.hasOwn(this.#functions, name) ? this.#functions[name] : undefined
    if (!known) throw new ExpressionError(`unknown name '${name}' (known: ${Object.keys(this.#functions).join(', ')})`)
    this.#take('(')
    const args = this.#list(')')
    if (args.length !== known.count) throw new ExpressionError(`${name} takes ${known.count} arguments, not ${args.length}`)
    return context => known.call(context, ...args.map(arg => arg(context)))
  }
}

export function parseExpression<Context>(source: string, functions: Functions<Context>): Expression<Context> {
  return new Parser(wordsOf(source), functions).all()
}
