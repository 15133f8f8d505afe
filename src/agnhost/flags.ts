// Flags as the Go programs that these stand in for read them (pflag): `--name=value`, `--name value`,
// `--bool`. Pure; every program states its flags as one value.
import { UserError } from '#lib/errors.ts'
import { parseDuration } from './duration.ts'

type Flag<T> = { readonly fallback: T; readonly read: (text: string) => T | undefined; readonly what: string }
type Values<S> = { readonly [Name in keyof S]: S[Name] extends Flag<infer T> ? T : never }

export const int = (fallback: number): Flag<number> =>
  ({ fallback, what: 'an integer', read: text => /^[-+]?\d{1,9}$/.test(text) ? Number(text) : undefined })
export const string = (fallback: string): Flag<string> => ({ fallback, what: 'a string', read: text => text })
export const bool = (fallback: boolean): Flag<boolean> =>
  ({ fallback, what: 'true or false', read: text => /^(1|t|true)$/i.test(text) ? true : /^(0|f|false)$/i.test(text) ? false : undefined })
/** Milliseconds. */
export const duration = (fallback: number): Flag<number> => ({ fallback, what: 'a duration such as 500ms or 2s', read: parseDuration })

/** klog's flags, which manifests pass to any Kubernetes program: accepted, and without effect. */
const ignored = new Set(['v', 'vmodule', 'logtostderr', 'alsologtostderr', 'log-dir', 'log_dir', 'stderrthreshold', 'logging-format'])

/** Throws UserError in pflag's words. `words` are the arguments that are no flags. */
export function parseFlags<S extends Record<string, Flag<unknown>>>(argv: readonly string[], flags: S): { values: Values<S>; words: string[] } {
  const values: Record<string, unknown> = Object.fromEntries(Object.entries(flags).map(([name, flag]) => [name, flag.fallback]))
  const words: string[] = []
  for (let i = 0; i < argv.length; i++) {
    const match = /^--?([A-Za-z][\w-]*)(?:=(.*))?$/s.exec(argv[i]!)
    if (argv[i] === '--') return { values: values as Values<S>, words: [...words, ...argv.slice(i + 1)] }
    if (!match) { words.push(argv[i]!); continue }
    const [, name, inline] = match
    const flag = Object.hasOwn(flags, name!) ? flags[name!]! : undefined
    if (!flag && !ignored.has(name!)) throw new UserError(`unknown flag: --${name}`)
    const isSwitch = !flag || typeof flag.fallback === 'boolean'
    const text = inline ?? (isSwitch ? 'true' : argv[++i])
    if (text === undefined) throw new UserError(`flag needs an argument: --${name}`)
    if (!flag) continue
    const value = flag.read(text)
    if (value === undefined) throw new UserError(`invalid argument ${JSON.stringify(text)} for "--${name}" flag: it takes ${flag.what}`)
    values[name!] = value
  }
  return { values: values as Values<S>, words }
}
