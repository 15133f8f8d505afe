// The options of `errors`.
import { args, CorefileError, duration, once, unknown } from '../../corefile/errors.ts'
import type { Directive } from '../../corefile/syntax.ts'

export interface Consolidation { readonly ms: number; readonly pattern: RegExp; readonly source: string; readonly level: string; readonly showFirst: boolean }
export interface Options { readonly consolidations: readonly Consolidation[] }

const levels = ['debug', 'info', 'warning', 'error'] as const

export function parse(directives: readonly Directive[]): Options {
  const directive = once(directives)
  // `errors stdout` is an old form that CoreDNS still takes.
  if (args(directive, 0, 1)[0] !== undefined && directive.args[0]!.text !== 'stdout') throw new CorefileError(directive.args[0]!, `invalid log file: ${directive.args[0]!.text} (errors go to stdout)`)
  const consolidations: Consolidation[] = []
  for (const option of directive.block ?? []) {
    if (option.word.text === 'stacktrace' || option.word.text === 'panicRecoveryStacktrace') args(option, 0) // exceptions always come with theirs
    else if (option.word.text === 'consolidate') consolidations.push(consolidation(option))
    else throw unknown(option, ['stacktrace', 'consolidate'])
  }
  return { consolidations }
}

function consolidation(option: Directive): Consolidation {
  const [, pattern, ...rest] = args(option, 2, 4)
  const ms = duration(option.args[0]!)
  const showFirst = rest.at(-1) === 'show_first'
  const level = levels.find(level => level === (rest[0] === 'show_first' ? undefined : rest[0])) ?? (rest[0] === undefined || rest[0] === 'show_first' ? 'error' : undefined)
  if (!level || (rest.length === 2 && !showFirst)) throw new CorefileError(option.args[2]!, `unknown level '${rest[0]}' (known: ${levels.join(', ')})`)
  try {
    return { ms, pattern: new RegExp(pattern!), source: pattern!, level, showFirst }
  } catch (error) {
    throw new CorefileError(option.args[1]!, `'${pattern}' is no regular expression: ${(error as Error).message}`)
  }
}
