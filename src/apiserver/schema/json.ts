// A JSON parser that also reports duplicate fields with their path, which JSON.parse cannot, words
// its syntax errors as Go's encoding/json does, and bounds the depth. RFC 8259.
import { StatusError } from '#lib/errors.ts'

/** Deeper bodies are refused: what walks objects later recurses. */
export const maxDepth = 1000
/** As upstream's strict decoder, which stops counting there. */
const maxDuplicates = 100

export interface ParsedJson {
  readonly value: unknown
  /** `duplicate field "spec.replicas"`, in the order of the text; the last value of a field counts. */
  readonly duplicates: string[]
}

/** Sets an own property, also where the key is `__proto__`. */
export function put(object: Record<string, unknown>, key: string, value: unknown): void {
  if (key === '__proto__') Object.defineProperty(object, key, { value, writable: true, enumerable: true, configurable: true })
  else object[key] = value
}

const quote = (character: string): string =>
  character === "'" ? "'\\''" : character === '"' ? "'\"'" : `'${JSON.stringify(character).slice(1, -1)}'`

const escapes: Record<string, string> = { '"': '"', '\\': '\\', '/': '/', b: '\b', f: '\f', n: '\n', r: '\r', t: '\t' }

class Parser {
  readonly #text: string
  #at = 0
  #depth = 0
  readonly #path: (string | number)[] = []
  readonly duplicates: string[] = []
  constructor(text: string) { this.#text = text }

  document(): unknown {
    this.#skipBlank()
    const value = this.#value()
    this.#skipBlank()
    if (this.#at < this.#text.length) this.#fail('after top-level value')
    return value
  }

  #fail(where: string): never {
    const message = this.#at >= this.#text.length ? 'unexpected end of JSON input'
      : `invalid character ${quote(String.fromCodePoint(this.#text.codePointAt(this.#at)!))} ${where}`
    throw new StatusError(400, 'BadRequest', message)
  }

  #skipBlank(): void {
    for (;;) {
      const code = this.#text.charCodeAt(this.#at)
      if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return
      this.#at++
    }
  }

  #value(): unknown {
    switch (this.#text.charCodeAt(this.#at)) {
      case 0x7b: return this.#nested(() => this.#object())
      case 0x5b: return this.#nested(() => this.#array())
      case 0x22: return this.#string()
      case 0x74: return this.#literal('true', true)
      case 0x66: return this.#literal('false', false)
      case 0x6e: return this.#literal('null', null)
      default: return this.#number()
    }
  }

  #nested<T>(parse: () => T): T {
    if (++this.#depth > maxDepth) throw new StatusError(400, 'BadRequest', `exceeded max depth of ${maxDepth}`)
    this.#at++
    this.#skipBlank()
    const value = parse()
    this.#depth--
    return value
  }

  #object(): Record<string, unknown> {
    const object: Record<string, unknown> = {}
    if (this.#text.charCodeAt(this.#at) === 0x7d) { this.#at++; return object }
    for (;;) {
      if (this.#text.charCodeAt(this.#at) !== 0x22) this.#fail('looking for beginning of object key string')
      const key = this.#string()
      this.#skipBlank()
      if (this.#text.charCodeAt(this.#at) !== 0x3a) this.#fail('after object key')
      this.#at++
      this.#skipBlank()
      this.#path.push(key)
      if (Object.hasOwn(object, key)) this.#noteDuplicate()
      put(object, key, this.#value())
      this.#path.pop()
      this.#skipBlank()
      const code = this.#text.charCodeAt(this.#at)
      if (code === 0x7d) { this.#at++; return object }
      if (code !== 0x2c) this.#fail('after object key:value pair')
      this.#at++
      this.#skipBlank()
    }
  }

  #array(): unknown[] {
    const array: unknown[] = []
    if (this.#text.charCodeAt(this.#at) === 0x5d) { this.#at++; return array }
    for (;;) {
      this.#path.push(array.length)
      array.push(this.#value())
      this.#path.pop()
      this.#skipBlank()
      const code = this.#text.charCodeAt(this.#at)
      if (code === 0x5d) { this.#at++; return array }
      if (code !== 0x2c) this.#fail('after array element')
      this.#at++
      this.#skipBlank()
    }
  }

  #noteDuplicate(): void {
    if (this.duplicates.length >= maxDuplicates) return
    const found = `duplicate field ${JSON.stringify(pathText(this.#path))}`
    if (!this.duplicates.includes(found)) this.duplicates.push(found)
  }

  #string(): string {
    const start = ++this.#at
    for (;;) {
      const code = this.#text.charCodeAt(this.#at)
      if (code === 0x22) return this.#text.slice(start, this.#at++)
      if (code === 0x5c) return this.#stringWithEscapes(start)
      if (!(code >= 0x20)) this.#fail('in string literal')
      this.#at++
    }
  }

  #stringWithEscapes(start: number): string {
    const parts: string[] = []
    for (;;) {
      const code = this.#text.charCodeAt(this.#at)
      if (code === 0x22) {
        parts.push(this.#text.slice(start, this.#at++))
        return parts.join('').toWellFormed() // a lone surrogate becomes U+FFFD, as in Go
      }
      if (code === 0x5c) {
        parts.push(this.#text.slice(start, this.#at), this.#escape())
        start = this.#at
      } else if (code >= 0x20) this.#at++
      else this.#fail('in string literal')
    }
  }

  #escape(): string {
    const character = this.#text[++this.#at] ?? ''
    if (character !== 'u') {
      if (!Object.hasOwn(escapes, character)) this.#fail('in string escape code')
      this.#at++
      return escapes[character]!
    }
    const start = ++this.#at
    while (this.#at < start + 4) {
      if (!/[0-9a-fA-F]/.test(this.#text[this.#at] ?? '')) this.#fail('in \\u hexadecimal character escape')
      this.#at++
    }
    return String.fromCharCode(parseInt(this.#text.slice(start, this.#at), 16))
  }

  #literal<T>(word: string, value: T): T {
    for (let i = 0; i < word.length; i++, this.#at++) {
      if (this.#text[this.#at] !== word[i]) this.#fail(`in literal ${word} (expecting ${quote(word[i]!)})`)
    }
    return value
  }

  #digits(where: string): void {
    const start = this.#at
    for (;;) {
      const code = this.#text.charCodeAt(this.#at)
      if (!(code >= 0x30 && code <= 0x39)) break
      this.#at++
    }
    if (this.#at === start) this.#fail(where)
  }

  #number(): number {
    const start = this.#at
    if (this.#text[this.#at] === '-') this.#at++
    if (this.#text[this.#at] === '0') this.#at++
    else this.#digits(this.#at === start ? 'looking for beginning of value' : 'in numeric literal')
    if (this.#text[this.#at] === '.') { this.#at++; this.#digits('after decimal point in numeric literal') }
    if (this.#text[this.#at] === 'e' || this.#text[this.#at] === 'E') {
      this.#at++
      if (this.#text[this.#at] === '+' || this.#text[this.#at] === '-') this.#at++
      this.#digits('in exponent of numeric literal')
    }
    return Number(this.#text.slice(start, this.#at))
  }
}

/** `spec.ports[0].name` */
export function pathText(path: readonly (string | number)[]): string {
  let text = ''
  for (const part of path) text += typeof part === 'number' ? `[${part}]` : text === '' ? part : `.${part}`
  return text
}

/** Throws StatusError 400 whose message is Go's syntax error: `invalid character '}' looking for beginning of value`. */
export function parseJson(text: string): ParsedJson {
  const parser = new Parser(text)
  return { value: parser.document(), duplicates: parser.duplicates }
}
