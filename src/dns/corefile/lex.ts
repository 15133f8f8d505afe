// The words of a Corefile, as Caddy's lexer splits them: blanks part words, quotes hold them together,
// `#` begins a comment.
import { CorefileError } from './errors.ts'
import type { Token } from './syntax.ts'

export interface Lexeme extends Token {
  /** The first word of its line. */
  readonly first: boolean
}

/** `{$VAR}` and `{%VAR%}`; an unset variable is empty, as in CoreDNS. */
const expand = (text: string, env: (name: string) => string | undefined): string =>
  text.includes('{') ? text.replace(/\{\$([^{}\s]+)\}|\{%([^{}%\s]+)%\}/g, (_, unix: string | undefined, windows: string | undefined) => env(unix ?? windows!) ?? '') : text

export function lex(text: string, { file, env }: { file: string; env: (name: string) => string | undefined }): Lexeme[] {
  const out: Lexeme[] = []
  let line = 1, first = true
  // A word: quoted, or anything up to a blank or a comment. The alternatives begin differently, so no input makes this slow.
  const pattern = /\n|#[^\n]*|"(?:[^"\\]|\\[^])*("?)|[^\s#"][^\s#]*|[^\S\n]+/y
  while (pattern.lastIndex < text.length) {
    const match = pattern.exec(text)!
    const word = match[0]
    if (word === '\n') { line++; first = true; continue }
    if (word[0] === '#' || /^\s/.test(word)) continue
    if (word[0] === '"') {
      if (match[1] !== '"') throw new CorefileError({ file, line }, 'a quote is never closed')
      // Only quotes are escaped: other backslashes are the plugin's (regular expressions).
      out.push({ text: expand(word.slice(1, -1).replaceAll('\\"', '"'), env), file, line, quoted: true, first })
      line += word.split('\n').length - 1
    } else out.push({ text: expand(word, env), file, line, quoted: false, first })
    first = false
  }
  return out
}
