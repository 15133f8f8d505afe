// Flags of the commands for people: parsed strictly, with one sentence for what is wrong.
import { resolve } from 'node:path'
import { parseArgs, type ParseArgsConfig } from 'node:util'
import { UserError } from '#lib/errors.ts'
import { defaultDataDir } from '#up/paths.ts'
import { runningCluster, type RunFile } from '#up/runfile.ts'

type Options = NonNullable<ParseArgsConfig['options']>

/** Every command about a cluster takes these two. */
export const clusterFlags = { 'name': { type: 'string' }, 'data-dir': { type: 'string' } } as const satisfies Options

export interface Parsed { readonly values: Record<string, string | boolean | undefined>; readonly words: string[] }

/** `argv` up to a bare `--` by the given flags; what follows `--` is handed back as `rest`. */
export function parseFlags(command: string, argv: string[], options: Options): Parsed & { rest: string[] } {
  const dashes = argv.indexOf('--')
  const own = dashes < 0 ? argv : argv.slice(0, dashes)
  try {
    const { values, positionals } = parseArgs({ args: own, options, strict: true, allowPositionals: true })
    return { values: values as Parsed['values'], words: positionals, rest: dashes < 0 ? [] : argv.slice(dashes + 1) }
  } catch (error) {
    throw new UserError(`${(error as Error).message.split('. ')[0]}: see fairway ${command} --help`)
  }
}

export const clusterName = (values: Parsed['values']): string => String(values.name ?? 'default')

export const dataDirOf = (values: Parsed['values']): string =>
  values['data-dir'] === undefined ? defaultDataDir(clusterName(values)) : resolve(String(values['data-dir']))

/** The running cluster that the flags mean; throws the sentence that says how to start it. */
export function clusterOf(values: Parsed['values']): { run: RunFile; dataDir: string } {
  const dataDir = dataDirOf(values)
  const run = runningCluster(dataDir)
  if (!run) throw new UserError(`cluster "${clusterName(values)}" does not run: start it with "fairway up${values.name ? ` --name ${String(values.name)}` : ''}"`)
  return { run, dataDir }
}
