// A zone file (RFC 1035 5) to records. Pure: included files come through a function.
import type { Rr } from '../../wire/message.ts'
import { parseName, type Name } from '../../wire/name.ts'
import { parseData, type Word } from '../../wire/rdata.ts'
import { parseClass, parseType, types } from '../../wire/types.ts'

export class ZoneFileError extends Error {
  constructor(file: string, line: number, message: string) { super(`${file}:${line}: ${message}`) }
}

export interface Source {
  readonly text: string
  readonly file: string
  readonly origin: Name
  /** Text of a file that `$INCLUDE` names, relative to the including one. */
  include(path: string, from: string): { readonly text: string; readonly file: string }
}

interface Line { readonly words: readonly Word[]; readonly number: number; /** It begins with a blank: the owner is the one before. */ readonly continues: boolean }

const deepest = 10, mostRecords = 2_000_000

/** Logical lines: parentheses join, `;` begins a comment, quotes hold both. */
function* lines(text: string, file: string): Generator<Line> {
  let words: Word[] = [], number = 1, start = 1, depth = 0, fresh = true, continues = false
  const pattern = /\n|;[^\n]*|"((?:[^"\\\n]|\\[^])*)("?)|[()]|(?:[^\s"();\\]|\\[^])+|[^\S\n]+|\\$/y
  while (pattern.lastIndex < text.length) {
    const match = pattern.exec(text)
    if (!match) throw new ZoneFileError(file, number, 'cannot read this line')
    const word = match[0]
    if (word === '\n') {
      number++
      if (depth > 0) continue
      if (words.length) yield { words, number: start, continues }
      words = []
      fresh = true
      continue
    }
    if (word[0] === ';') continue
    if (fresh) { start = number; continues = /^\s/.test(word); fresh = false }
    if (word === '(') depth++
    else if (word === ')') { if (--depth < 0) throw new ZoneFileError(file, number, "unexpected ')'") }
    else if (word[0] === '"') {
      if (match[2] !== '"') throw new ZoneFileError(file, number, 'a quote is never closed')
      words.push({ text: match[1]!, quoted: true })
    } else if (/\S/.test(word)) words.push({ text: word, quoted: false })
  }
  if (depth > 0) throw new ZoneFileError(file, start, "a ')' is missing")
  if (words.length) yield { words, number: start, continues }
}

const units: Record<string, number> = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 }
/** `3600`, `1h30m` (BIND). */
export function parseTtl(text: string): number | undefined {
  if (/^\d{1,10}$/.test(text)) return Number(text) < 2 ** 31 ? Number(text) : undefined
  if (!/^(\d{1,8}[smhdw])+$/i.test(text)) return undefined
  const sum = [...text.matchAll(/(\d+)([smhdw])/gi)].reduce((sum, [, count, unit]) => sum + Number(count) * units[unit!.toLowerCase()]!, 0)
  return sum < 2 ** 31 ? sum : undefined
}

export function readZoneFile(source: Source): Rr[] {
  const out: Rr[] = []
  new Reader(source, out).read(source, 0)
  return out
}

class Reader {
  readonly #source: Source
  readonly #out: Rr[]
  #ttl: number | undefined
  #lastTtl: number | undefined
  #owner: Name | undefined
  #origin: Name

  constructor(source: Source, out: Rr[]) {
    this.#source = source
    this.#out = out
    this.#origin = source.origin
  }

  read({ text, file }: { text: string; file: string }, depth: number): void {
    if (depth > deepest) throw new ZoneFileError(file, 1, 'too many nested $INCLUDE: do files include each other?')
    for (const line of lines(text, file)) {
      const fail = (message: string): never => { throw new ZoneFileError(file, line.number, message) }
      const [first, ...rest] = line.words
      if (!line.continues && !first!.quoted && first!.text.startsWith('$')) this.#directive(first!.text, rest, { file, depth, fail })
      else this.#record(line, fail)
    }
  }

  #name(text: string, fail: (message: string) => never): Name {
    return text === '@' ? this.#origin : parseName(text, this.#origin) ?? fail(`'${text}' is no name`)
  }

  #directive(word: string, rest: readonly Word[], { file, depth, fail }: { file: string; depth: number; fail: (message: string) => never }): void {
    const argument = rest[0]?.text ?? fail(`${word} needs an argument`)
    switch (word.toUpperCase()) {
      case '$ORIGIN': this.#origin = this.#name(argument, fail); return
      case '$TTL': this.#ttl = parseTtl(argument) ?? fail(`'${argument}' is no TTL`); return
      case '$INCLUDE': {
        const before = this.#origin, owner = this.#owner
        if (rest[1]) this.#origin = this.#name(rest[1].text, fail)
        this.read(this.#source.include(argument, file), depth + 1)
        this.#origin = before
        this.#owner = owner
        return
      }
      default: fail(`${word} is not supported (known: $ORIGIN, $TTL, $INCLUDE)`)
    }
  }

  #record({ words, continues }: Line, fail: (message: string) => never): void {
    const rest = [...words]
    const owner = continues ? this.#owner ?? fail('the first record needs a name') : this.#name(rest.shift()!.text, fail)
    this.#owner = owner
    let ttl: number | undefined, type: number | undefined, number = 1
    while (type === undefined) {
      const { text } = rest.shift() ?? fail('the type is missing')
      const asTtl = ttl === undefined ? parseTtl(text) : undefined, asClass = parseClass(text)
      if (asTtl !== undefined) ttl = asTtl
      else if (asClass !== undefined && text.toUpperCase() !== 'ANY') number = asClass
      else type = parseType(text) ?? fail(`unknown type '${text}'`)
    }
    // The times of a SOA may have units.
    const fitting = type === types.SOA ? rest.map((word, i) => i >= 3 ? { ...word, text: String(parseTtl(word.text) ?? word.text) } : word) : rest
    const data = parseData(type, fitting, this.#origin) ?? fail(`the data of this record does not fit its type`)
    // RFC 2308 4; without $TTL the last one holds (RFC 1035 5.1), and for the first the SOA's own minimum.
    const chosen = ttl ?? this.#ttl ?? this.#lastTtl ?? (type === types.SOA ? data.readUInt32BE(data.length - 4) : fail('a TTL is missing: write $TTL 3600 above'))
    this.#lastTtl = chosen
    if (this.#out.length >= mostRecords) fail('too many records')
    this.#out.push({ name: owner, type, class: number, ttl: chosen, data })
  }
}
