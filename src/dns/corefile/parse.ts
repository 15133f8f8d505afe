// The Corefile's grammar (Caddy's): server blocks of directives, snippets `(name)`, `import`. Pure:
// files and variables come as functions. Knows no plugin.
import { CorefileError } from './errors.ts'
import { lex, type Lexeme } from './lex.ts'
import type { Directive, ServerBlock, Token } from './syntax.ts'

export interface Outside {
  readonly file: string
  env(name: string): string | undefined
  /** The files of an import's pattern, relative to the importing file; empty when there are none. */
  files(pattern: string, from: string): readonly { readonly file: string; readonly text: string }[]
}

/** Nested imports and braces beyond these are a loop or an attack, not a configuration. */
const deepest = 20, mostWords = 200_000

export function parseCorefile(text: string, outside: Outside): ServerBlock[] {
  return new Parser(lex(text, outside), outside).blocks()
}

class Parser {
  #words: Lexeme[]
  #at = 0
  readonly #outside: Outside
  readonly #snippets = new Map<string, Lexeme[]>()
  #imports = 0

  constructor(words: Lexeme[], outside: Outside) {
    this.#words = words
    this.#outside = outside
  }

  blocks(): ServerBlock[] {
    const out: ServerBlock[] = []
    while (this.#peek()) {
      if (this.#isImport()) { this.#import(); continue }
      const keys = this.#keys()
      const name = /^\((.+)\)$/.exec(keys[0]!.text)?.[1]
      if (name) this.#snippet(name, keys)
      else out.push({ keys, directives: this.#body() })
    }
    return out
  }

  #peek(): Lexeme | undefined { return this.#words[this.#at] }
  #isBrace(brace: '{' | '}'): boolean { const word = this.#peek(); return word !== undefined && !word.quoted && word.text === brace }
  #isImport(): boolean { const word = this.#peek(); return word !== undefined && word.first && !word.quoted && word.text === 'import' }
  #end(): Token { return this.#words.at(-1) ?? { text: '', file: this.#outside.file, line: 1, quoted: false } }

  /** Up to the `{`, or to the end of the line when the whole file is one block without braces. */
  #keys(): Token[] {
    const keys: Token[] = []
    let more = true // a comma goes on to the next line
    while (this.#peek() && !this.#isBrace('{')) {
      const word = this.#peek()!
      if (word.first && !more) break
      if (this.#isBrace('}')) throw new CorefileError(word, "unexpected '}': no server block is open")
      this.#at++
      const text = word.text.replace(/,$/, '')
      more = text !== word.text
      for (const part of text.split(',')) if (part !== '') keys.push({ ...word, text: part })
    }
    if (keys.length === 0) throw new CorefileError(this.#peek() ?? this.#end(), "a server block must begin with its zones, such as '.:53 {'")
    if (more) throw new CorefileError(keys.at(-1)!, "a zone is missing behind the ','")
    return keys
  }

  #body(): Directive[] {
    if (!this.#isBrace('{')) return this.#lines(0, false)
    this.#at++
    return this.#lines(1, true)
  }

  #lines(depth: number, closed: boolean): Directive[] {
    if (depth > deepest) throw new CorefileError(this.#peek() ?? this.#end(), 'blocks are nested too deep')
    const out: Directive[] = []
    while (this.#peek()) {
      if (this.#isBrace('}')) {
        if (!closed) throw new CorefileError(this.#peek()!, "unexpected '}': no block is open")
        this.#at++
        const next = this.#peek()
        if (next && !next.first && !this.#isBrace('}')) throw new CorefileError(next, `unexpected '${next.text}' behind '}'`)
        return out
      }
      if (this.#isImport()) this.#import()
      else out.push(this.#line(depth))
    }
    if (closed) throw new CorefileError(this.#end(), "unexpected end of file: a '}' is missing")
    return out
  }

  #line(depth: number): Directive {
    if (this.#isBrace('{')) throw new CorefileError(this.#peek()!, "unexpected '{': a plugin's name must come first")
    const word = this.#words[this.#at++]!
    const args: Token[] = []
    for (let next = this.#peek(); next && !next.first; next = this.#peek()) {
      if (this.#isBrace('}')) break // `cache { disable success }` on one line
      this.#at++
      if (next.quoted || next.text !== '{') { args.push(next); continue }
      return { word, args, block: this.#lines(depth + 1, true) }
    }
    return { word, args }
  }

  #snippet(name: string, keys: readonly Token[]): void {
    if (keys[1]) throw new CorefileError(keys[1], `a snippet has one name: '(${name})'`)
    if (this.#snippets.has(name)) throw new CorefileError(keys[0]!, `the snippet '${name}' is defined twice`)
    if (!this.#isBrace('{')) throw new CorefileError(keys[0]!, `the snippet '${name}' needs a body in '{ }'`)
    const from = ++this.#at
    for (let depth = 1; depth > 0; this.#at++) {
      if (!this.#peek()) throw new CorefileError(keys[0]!, `the snippet '${name}' is never closed`)
      depth += this.#isBrace('{') ? 1 : this.#isBrace('}') ? -1 : 0
    }
    this.#snippets.set(name, this.#words.slice(from, this.#at - 1))
  }

  /** Puts what is imported in the import's place. */
  #import(): void {
    const word = this.#words[this.#at]!, what = this.#words[this.#at + 1], extra = this.#words[this.#at + 2]
    if (!what || what.first) throw new CorefileError(word, 'import needs the name of a snippet or a file')
    if (extra && !extra.first && extra.text !== '}') throw new CorefileError(extra, `import takes one name, not '${extra.text}' too`)
    if (++this.#imports > 1000) throw new CorefileError(word, 'too many imports: do they import each other?')
    const words = this.#snippets.get(what.text) ?? this.#files(what)
    this.#words = [...words, ...this.#words.slice(this.#at + 2)]
    this.#at = 0
    if (this.#words.length > mostWords) throw new CorefileError(word, 'too much is imported: do files import each other?')
  }

  #files(what: Token): Lexeme[] {
    const found = this.#outside.files(what.text, what.file)
    // A pattern may match nothing (kubernetes: `import custom/*.override`); a plain name must exist.
    if (found.length === 0 && !/[*?[]/.test(what.text)) throw new CorefileError(what, `there is no snippet and no file '${what.text}' to import`)
    return found.flatMap(({ file, text }) => lex(text, { ...this.#outside, file }))
  }
}
