// What is wrong in a Corefile, with the place: the one error that plugins' config.ts throw.
import { UserError } from '#lib/errors.ts'
import type { Directive, Token } from './syntax.ts'

/** `Corefile:12 - Error during parsing: unknown property 'ttk'`: CoreDNS's form. main.ts prints it and exits 1. */
export class CorefileError extends UserError {
  constructor(at: { readonly file: string; readonly line: number }, message: string) {
    super(`${at.file}:${at.line} - Error during parsing: ${message}`)
    this.name = 'CorefileError'
  }
}

/** The only directive; a second one is an error. */
export function once(directives: readonly Directive[]): Directive {
  if (directives[1]) throw new CorefileError(directives[1].word, `plugin '${directives[1].word.text}' may stand only once in a server block`)
  return directives[0]!
}

/** The arguments' texts when there are `min` to `max` of them; else the error that CoreDNS gives. */
export function args(directive: Directive, min: number, max = min): string[] {
  const { args, word } = directive
  if (args.length < min || args.length > max) throw new CorefileError(args[max] ?? word, `wrong argument count or unexpected line ending after '${(args.at(-1) ?? word).text}'`)
  return args.map(token => token.text)
}

/** For an option nobody knows: refused by name, with what there is. */
export const unknown = (option: Directive, known: readonly string[]): CorefileError =>
  new CorefileError(option.word, `unknown property '${option.word.text}' (known: ${known.join(', ')})`)

/** No block `{ }` allowed here. */
export function noBlock(directive: Directive): void {
  if (directive.block) throw new CorefileError(directive.word, `'${directive.word.text}' takes no block`)
}

/** A whole number from `min` to `max`. */
export function integer(token: Token, { min = 0, max = Number.MAX_SAFE_INTEGER }: { min?: number; max?: number } = {}): number {
  const value = /^-?\d{1,15}$/.test(token.text) ? Number(token.text) : NaN
  if (!(value >= min && value <= max)) throw new CorefileError(token, `'${token.text}' is not a whole number from ${min} to ${max}`)
  return value
}

const units: Record<string, number> = { ns: 1e-6, us: 1e-3, 'µs': 1e-3, ms: 1, s: 1000, m: 60_000, h: 3_600_000 }
/** Go's durations (`1m30s`, `500ms`, `0`), in milliseconds. */
export function duration(token: Token): number {
  if (token.text === '0') return 0
  if (!/^(\d+(\.\d+)?(ns|us|µs|ms|s|m|h))+$/.test(token.text)) throw new CorefileError(token, `'${token.text}' is not a duration such as 500ms, 5s or 1m30s`)
  return [...token.text.matchAll(/(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)/g)].reduce((sum, [, number, unit]) => sum + Number(number) * units[unit!]!, 0)
}
