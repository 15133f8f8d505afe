// What a Corefile is once read: server blocks of directives, each word with its place. Types only,
// so that plugins' config.ts need not know the parser.

export interface Token {
  readonly text: string
  readonly file: string
  readonly line: number
  /** It stood in quotes: never a brace, never a comment. */
  readonly quoted: boolean
}

/** A line: its first word, the other words, and the lines in `{ }` behind it. */
export interface Directive {
  readonly word: Token
  readonly args: readonly Token[]
  /** Options of a plugin; undefined when there are no braces. */
  readonly block?: readonly Directive[]
}

export interface ServerBlock {
  /** `.:53`, `tls://example.org`, as written; commas taken off. */
  readonly keys: readonly Token[]
  readonly directives: readonly Directive[]
}
