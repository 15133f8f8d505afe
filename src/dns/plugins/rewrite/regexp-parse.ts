// Go's syntax of regular expressions (regexp/syntax) to a tree. What RE2 has not (backreferences,
// looking around) is refused by name.

export class RegExpError extends Error {}

export type Node =
  | { readonly kind: 'empty' }
  | { readonly kind: 'char'; readonly has: (code: number) => boolean }
  | { readonly kind: 'assert'; readonly holds: (text: string, at: number) => boolean }
  | { readonly kind: 'group'; readonly number: number; readonly body: Node }
  | { readonly kind: 'sequence' | 'choice'; readonly parts: readonly Node[] }
  | { readonly kind: 'repeat'; readonly body: Node; readonly min: number; readonly max: number; readonly lazy: boolean }

type Has = (code: number) => boolean
const between = (from: string, to: string): Has => code => code >= from.charCodeAt(0) && code <= to.charCodeAt(0)
const any = (...all: Has[]): Has => code => all.some(has => has(code))
const not = (has: Has): Has => code => !has(code)
const one = (c: string): Has => code => code === c.charCodeAt(0)

const digit = between('0', '9'), lower = between('a', 'z'), upper = between('A', 'Z'), alpha = any(lower, upper)
const word = any(alpha, digit, one('_')), space = any(between('\t', '\n'), between('\f', '\r'), one(' '))
const escapes: Record<string, Has> = { d: digit, D: not(digit), w: word, W: not(word), s: space, S: not(space) }
const controls: Record<string, string> = { n: '\n', t: '\t', r: '\r', f: '\f', v: '\v', a: '\x07' }
const posix: Record<string, Has> = {
  alnum: any(alpha, digit), alpha, ascii: between('\0', '\x7f'), blank: any(one(' '), one('\t')), cntrl: any(between('\0', '\x1f'), one('\x7f')), digit,
  graph: between('!', '~'), lower, print: between(' ', '~'), punct: any(between('!', '/'), between(':', '@'), between('[', '`'), between('{', '~')), space: any(space, one('\v')), upper, word, xdigit: any(digit, between('a', 'f'), between('A', 'F')),
}
const isWordAt = (text: string, at: number) => at >= 0 && at < text.length && word(text.charCodeAt(at))
const isBoundary = (text: string, at: number) => isWordAt(text, at - 1) !== isWordAt(text, at)
const starts = (_: string, at: number) => at === 0, ends = (text: string, at: number) => at === text.length

const deepest = 100, mostRepeats = 1000 // Go's limit of a counted repetition

export function parseRegExp(source: string): { node: Node; groupCount: number; names: ReadonlyMap<string, number> } {
  return new Parser(source).all()
}

interface Flags { readonly fold: boolean; readonly dotAll: boolean; readonly lines: boolean }

class Parser {
  readonly #source: string
  #at = 0
  #groups = 0
  #depth = 0
  readonly #names = new Map<string, number>()
  #flags: Flags = { fold: false, dotAll: false, lines: false }

  constructor(source: string) { this.#source = source }

  all(): { node: Node; groupCount: number; names: ReadonlyMap<string, number> } {
    const node = this.#choice()
    if (this.#at < this.#source.length) this.#fail("unexpected ')'")
    return { node, groupCount: this.#groups, names: this.#names }
  }

  #fail(what: string): never { throw new RegExpError(`${what} at ${this.#at + 1} in '${this.#source}'`) }
  #peek(): string | undefined { return this.#source[this.#at] }
  #take(text: string): boolean {
    if (!this.#source.startsWith(text, this.#at)) return false
    this.#at += text.length
    return true
  }
  #takeMatch(pattern: RegExp): RegExpExecArray | null {
    const match = pattern.exec(this.#source.slice(this.#at))
    if (match) this.#at += match[0].length
    return match
  }

  #choice(): Node {
    if (++this.#depth > deepest) this.#fail('too many nested groups')
    const parts = [this.#sequence()]
    while (this.#take('|')) parts.push(this.#sequence())
    this.#depth--
    return parts.length === 1 ? parts[0]! : { kind: 'choice', parts }
  }
  #sequence(): Node {
    const parts: Node[] = []
    for (let c = this.#peek(); c !== undefined && c !== '|' && c !== ')'; c = this.#peek()) parts.push(this.#repeated(this.#atom()))
    return { kind: 'sequence', parts }
  }

  #repeated(body: Node): Node {
    const match = this.#takeMatch(/^(?:[*+?]|\{(\d{1,5})(?:(,)(\d{1,5})?)?\})/)
    if (!match) return body
    const [min, max] = match[0] === '*' ? [0, Infinity] : match[0] === '+' ? [1, Infinity] : match[0] === '?' ? [0, 1]
      : [Number(match[1]), match[2] === undefined ? Number(match[1]) : match[3] === undefined ? Infinity : Number(match[3])]
    if (min > max || min > mostRepeats || (max !== Infinity && max > mostRepeats)) this.#fail('invalid repeat count')
    const lazy = this.#take('?')
    if (/^[*+?]/.test(this.#peek() ?? '')) this.#fail('invalid nested repetition operator')
    return { kind: 'repeat', body, min, max, lazy }
  }

  #atom(): Node {
    const c = this.#source[this.#at++]!
    switch (c) {
      case '(': return this.#group()
      case '[': return { kind: 'char', has: this.#class() }
      case '.': { const { dotAll } = this.#flags; return { kind: 'char', has: dotAll ? () => true : not(one('\n')) } }
      case '^': return { kind: 'assert', holds: this.#flags.lines ? (text, at) => at === 0 || text[at - 1] === '\n' : starts }
      case '$': return { kind: 'assert', holds: this.#flags.lines ? (text, at) => at === text.length || text[at] === '\n' : ends }
      case '*': case '+': case '?': this.#at--; return this.#fail(`nothing before '${c}' to repeat`)
      case '\\': return this.#escape()
      default: return { kind: 'char', has: this.#literal(c) }
    }
  }
  #literal(c: string): Has { return this.#flags.fold && c.toLowerCase() !== c.toUpperCase() ? any(one(c.toLowerCase()), one(c.toUpperCase())) : one(c) }

  #group(): Node {
    const before = this.#flags
    const name = this.#takeMatch(/^\?P?<([A-Za-z_]\w*)>/)?.[1]
    if (name === undefined && this.#peek() === '?') {
      const match = this.#takeMatch(/^\?([imsU]*)(?:-([imsU]+))?([:)])/)
      if (!match) this.#fail("'(?' with something that is not supported: there are (?:…), (?P<name>…) and (?ims-ims)")
      const on = match[1]!, off = match[2] ?? ''
      if (`${on}${off}`.includes('U')) this.#fail('the flag U is not supported: write *? for *')
      const flag = (letter: string, old: boolean) => on.includes(letter) || (old && !off.includes(letter))
      this.#flags = { fold: flag('i', before.fold), dotAll: flag('s', before.dotAll), lines: flag('m', before.lines) }
      if (match[3] === ')') return { kind: 'empty' } // to the end of the group around it
      const body = this.#choice()
      this.#close(before)
      return body
    }
    const number = ++this.#groups
    if (name !== undefined) {
      if (this.#names.has(name)) this.#fail(`the group '${name}' is there twice`)
      this.#names.set(name, number)
    }
    const body = this.#choice()
    this.#close(before)
    return { kind: 'group', number, body }
  }
  #close(flags: Flags): void {
    if (!this.#take(')')) this.#fail("a ')' is missing")
    this.#flags = flags
  }

  #escape(): Node {
    const c = this.#source[this.#at++]
    if (c === undefined) this.#fail("a '\\' at the end")
    if (c === 'b') return { kind: 'assert', holds: isBoundary }
    if (c === 'B') return { kind: 'assert', holds: (text, at) => !isBoundary(text, at) }
    if (c === 'A') return { kind: 'assert', holds: starts }
    if (c === 'z') return { kind: 'assert', holds: ends }
    if (escapes[c]) return { kind: 'char', has: escapes[c] }
    this.#at--
    return { kind: 'char', has: this.#literal(this.#escaped()) }
  }
  /** The character that is written behind a backslash. */
  #escaped(): string {
    const hex = this.#takeMatch(/^x(?:([0-9a-fA-F]{2})|\{([0-9a-fA-F]{1,4})\})/)
    if (hex) return String.fromCharCode(parseInt((hex[1] ?? hex[2])!, 16))
    const c = this.#source[this.#at++] ?? this.#fail("a '\\' at the end")
    if (controls[c]) return controls[c]
    if (/[0-9A-Za-z]/.test(c)) this.#fail(/[1-9]/.test(c) ? 'backreferences are not supported' : `unknown escape '\\${c}'`)
    return c
  }

  #class(): Has {
    const negated = this.#take('^'), all: Has[] = []
    for (let first = true; first || this.#peek() !== ']'; first = false) {
      if (this.#peek() === undefined) this.#fail("a ']' is missing")
      const named = this.#takeMatch(/^\[:(\^?)(\w+):\]/)
      if (named) {
        const has = posix[named[2]!] ?? this.#fail(`unknown class '${named[2]}'`)
        all.push(named[1] ? not(has) : has)
        continue
      }
      const set = this.#takeMatch(/^\\([dDwWsS])/)
      if (set) { all.push(escapes[set[1]!]!); continue }
      all.push(this.#range())
    }
    this.#at++
    const has = any(...all)
    const folded: Has = this.#flags.fold ? code => { const c = String.fromCharCode(code); return has(c.toLowerCase().charCodeAt(0)) || has(c.toUpperCase().charCodeAt(0)) } : has
    return negated ? not(folded) : folded
  }
  #range(): Has {
    const from = this.#member()
    if (this.#peek() !== '-' || this.#source[this.#at + 1] === ']' || this.#source[this.#at + 1] === undefined) return one(from)
    this.#at++
    const to = this.#member()
    if (to < from) this.#fail(`the range ${from}-${to} is the wrong way round`)
    return between(from, to)
  }
  #member(): string {
    if (this.#take('\\')) return this.#escaped()
    return this.#source[this.#at++] ?? this.#fail("a ']' is missing")
  }
}
