// The part of Go's template language that records need: fields, calls, pipelines, if. Read once into a
// function. Loops and variables are refused by name, so that a template ends.

export class TemplateError extends Error {}

export type Value = string | number | boolean | undefined | readonly (string | undefined)[] | { readonly [field: string]: Value } | ((argument: string) => string)
/** The dot. */
export type Data = { readonly [field: string]: Value }
type Expression = (data: Data) => Value
type Piece = (data: Data) => string

const number = (value: Value): number => {
  if (typeof value !== 'number') throw new TemplateError(`a number is needed, not ${show(value)}`)
  return value
}
/** As Go prints it. */
export function show(value: Value): string {
  if (value === undefined) return ''
  if (typeof value === 'object') return Array.isArray(value) ? `[${value.map(one => show(one as Value)).join(' ')}]` : `map[${Object.entries(value).map(([key, one]) => `${key}:${show(one as Value)}`).join(' ')}]`
  return String(value)
}
const isTrue = (value: Value): boolean => Array.isArray(value) ? value.length > 0 : value !== undefined && value !== '' && value !== 0 && value !== false

const functions: Record<string, (...args: Value[]) => Value> = {
  index: (list, ...keys) => keys.reduce<Value>((value, key) => {
    if (Array.isArray(value)) {
      if (!(number(key) >= 0 && number(key) < value.length)) throw new TemplateError(`index out of range: ${show(key)}`)
      return value[number(key)] as Value
    }
    if (typeof value === 'object') return Object.hasOwn(value, show(key)) ? (value as Data)[show(key)] : ''
    throw new TemplateError(`cannot index ${show(value)}`)
  }, list),
  // strconv.ParseUint
  parseInt: (text, base = 10, bits = 64) => {
    const digits = show(text).toLowerCase(), radix = number(base)
    if (!(radix >= 2 && radix <= 36) || !/^[0-9a-z]+$/.test(digits) || [...digits].some(digit => Number.isNaN(parseInt(digit, radix)))) throw new TemplateError(`parseInt: '${show(text)}' is no number of base ${radix}`)
    const value = parseInt(digits, radix)
    if (value >= 2 ** number(bits) || value > Number.MAX_SAFE_INTEGER) throw new TemplateError(`parseInt: '${show(text)}' has more than ${show(bits)} bits`)
    return value
  },
  printf: (format, ...args) => printf(show(format), args),
  print: (...args) => args.map(show).join(''),
  len: value => typeof value === 'string' || Array.isArray(value) ? value.length : Object.keys(value as Data).length,
  eq: (first, ...rest) => rest.some(value => show(value) === show(first)), ne: (a, b) => show(a) !== show(b),
  lt: (a, b) => number(a) < number(b), le: (a, b) => number(a) <= number(b), gt: (a, b) => number(a) > number(b), ge: (a, b) => number(a) >= number(b),
  not: value => !isTrue(value), and: (...all) => all.find(value => !isTrue(value)) ?? all.at(-1), or: (...all) => all.find(isTrue) ?? all.at(-1),
}

function printf(format: string, args: readonly Value[]): string {
  let at = 0
  return format.replace(/%(0?)(\d*)([sdvxXq%])/g, (_, zero: string, width: string, verb: string) => {
    if (verb === '%') return '%'
    const value = args[at++]
    const hex = () => typeof value === 'number' ? value.toString(16) : Buffer.from(show(value)).toString('hex')
    const text = verb === 'x' ? hex() : verb === 'X' ? hex().toUpperCase() : verb === 'q' ? JSON.stringify(show(value)) : show(value)
    return text.padStart(Math.min(Number(width || 0), 255), zero ? '0' : ' ')
  })
}

export function compileTemplate(source: string): Piece {
  const reader = new Reader(source)
  const piece = reader.pieces(false)
  return piece
}

const deepest = 50

class Reader {
  readonly #parts: { readonly text: string; readonly isAction: boolean }[]
  #at = 0
  #depth = 0

  constructor(source: string) {
    this.#parts = []
    let rest = source
    for (;;) {
      const open = rest.indexOf('{{')
      if (open < 0) break
      const match = /^\{\{(- )?((?:[^"`}]|"(?:[^"\\]|\\[^])*"|`[^`]*`|\}(?!\}))*?)( -)?\}\}/.exec(rest.slice(open))
      if (!match) throw new TemplateError(`an action is not closed: '${rest.slice(open, open + 30)}'`)
      const before = rest.slice(0, open)
      this.#parts.push({ text: match[1] ? before.trimEnd() : before, isAction: false }, { text: match[2]!.trim(), isAction: true })
      rest = rest.slice(open + match[0].length)
      if (match[3]) rest = rest.trimStart()
    }
    this.#parts.push({ text: rest, isAction: false })
  }

  /** Up to `end` or `else` when inside an `if`. */
  pieces(inside: boolean): Piece {
    if (++this.#depth > deepest) throw new TemplateError('nested too deep')
    const all: Piece[] = []
    for (let part = this.#parts[this.#at]; part; part = this.#parts[this.#at]) {
      const { text, isAction } = part
      if (isAction && /^(end|else)\b/.test(text)) {
        if (!inside) throw new TemplateError(`unexpected {{${text}}}`)
        this.#depth--
        return data => all.map(piece => piece(data)).join('')
      }
      this.#at++
      if (!isAction) { if (text) all.push(() => text) } else if (!text.startsWith('/*')) all.push(this.#action(text))
    }
    if (inside) throw new TemplateError('an {{end}} is missing')
    this.#depth--
    return data => all.map(piece => piece(data)).join('')
  }

  #action(text: string): Piece {
    const keyword = /^(range|with|define|template|block|break|continue)\b/.exec(text)?.[1]
    if (keyword) throw new TemplateError(`{{${keyword}}} is not supported`)
    if (text.startsWith('$') || /:=/.test(text)) throw new TemplateError('variables are not supported')
    const condition = /^if\s+([^]*)$/.exec(text)?.[1]
    if (condition === undefined) {
      const value = expression(text)
      return data => show(value(data))
    }
    return this.#if(expression(condition))
  }
  #if(condition: Expression): Piece {
    const then = this.pieces(true)
    const { text } = this.#parts[this.#at++]!
    const otherwise = /^else\s+if\s+([^]*)$/.exec(text)?.[1]
    if (otherwise !== undefined) {
      const other = this.#if(expression(otherwise))
      return data => isTrue(condition(data)) ? then(data) : other(data)
    }
    if (text === 'end') return data => isTrue(condition(data)) ? then(data) : ''
    if (text !== 'else') throw new TemplateError(`cannot read {{${text}}}`)
    const other = this.pieces(true)
    if (this.#parts[this.#at++]!.text !== 'end') throw new TemplateError('an {{end}} is missing')
    return data => isTrue(condition(data)) ? then(data) : other(data)
  }
}

const tokens = /\s*(?:("(?:[^"\\]|\\[^])*")|`([^`]*)`|(-?\d+)|((?:\.[A-Za-z_]\w*)+|\.)|([A-Za-z_]\w*)|([()|]))/y

interface Token { readonly kind: 'text' | 'number' | 'field' | 'name' | 'sign'; readonly text: string }

function expression(source: string): Expression {
  const all: Token[] = []
  const text = source.trimEnd()
  tokens.lastIndex = 0
  while (tokens.lastIndex < text.length) {
    const at = tokens.lastIndex, match = tokens.exec(text)
    if (!match) throw new TemplateError(`cannot read '${text.slice(at)}'`)
    if (match[1] !== undefined) all.push({ kind: 'text', text: unquote(match[1]) })
    else if (match[2] !== undefined) all.push({ kind: 'text', text: match[2] })
    else if (match[3] !== undefined) all.push({ kind: 'number', text: match[3] })
    else if (match[4] !== undefined) all.push({ kind: 'field', text: match[4] })
    else if (match[5] !== undefined) all.push({ kind: 'name', text: match[5] })
    else all.push({ kind: 'sign', text: match[6]! })
  }
  const result = pipeline(all, 0)
  if (all.length > 0) throw new TemplateError(`unexpected '${all[0]!.text}'`)
  return result
}
const unquote = (text: string): string => {
  try { return JSON.parse(text) as string } catch { throw new TemplateError(`cannot read the text ${text}`) }
}

/** Takes its tokens off the list. */
function pipeline(all: Token[], depth: number): Expression {
  if (depth > deepest) throw new TemplateError('nested too deep')
  let value = command(all, undefined, depth)
  while (all[0]?.kind === 'sign' && all[0].text === '|') {
    all.shift()
    value = command(all, value, depth)
  }
  return value
}

/** A value, or a function with its arguments; what was piped in is the last of them. */
function command(all: Token[], piped: Expression | undefined, depth: number): Expression {
  const first = all[0]
  if (!first) throw new TemplateError('a value is missing')
  const args: Expression[] = []
  const isName = first.kind === 'name' && first.text !== 'true' && first.text !== 'false'
  const name = isName ? all.shift()!.text : undefined
  while (all[0] && !(all[0].kind === 'sign' && (all[0].text === '|' || all[0].text === ')'))) args.push(operand(all, depth))
  if (piped) args.push(piped)
  if (name !== undefined) {
    const called = Object.hasOwn(functions, name) ? functions[name]! : undefined
    if (!called) throw new TemplateError(`function '${name}' is not defined (known: ${Object.keys(functions).join(', ')})`)
    return data => called(...args.map(arg => arg(data)))
  }
  const [value, ...rest] = args
  // A field that is a function takes an argument: `.Meta "kubernetes/namespace"`.
  return data => {
    const found = value!(data)
    if (typeof found === 'function') return found(rest.map(arg => show(arg(data))).join(''))
    if (rest.length) throw new TemplateError('only functions take arguments')
    return found
  }
}

function operand(all: Token[], depth: number): Expression {
  const { kind, text } = all.shift()!
  switch (kind) {
    case 'text': return () => text
    case 'number': { const value = Number(text); return () => value }
    case 'field': { const path = text.split('.').filter(Boolean); return data => field(data, path) }
    case 'name': if (text === 'true' || text === 'false') return () => text === 'true'; throw new TemplateError(`'${text}' must stand in parentheses here`)
    case 'sign': {
      if (text !== '(') throw new TemplateError(`unexpected '${text}'`)
      const value = pipeline(all, depth + 1)
      if (all.shift()?.text !== ')') throw new TemplateError("a ')' is missing")
      return value
    }
  }
}

function field(data: Data, path: readonly string[]): Value {
  let value: Value = data
  for (const [i, name] of path.entries()) {
    if (typeof value !== 'object' || Array.isArray(value)) throw new TemplateError(`there is no field '${name}'`)
    // A key that a map has not is empty; a field that the dot has not is a mistake.
    if (!Object.hasOwn(value, name) && i === 0) throw new TemplateError(`there is no field '.${name}'`)
    value = (value as Data)[name] ?? ''
  }
  return value
}
