// The command line of `fairway dns`: CoreDNS's flags in Go's form (`-conf F`, `--conf=F`). Pure.
import { UserError } from '#lib/errors.ts'

export interface Config {
  /** undefined: `Corefile` in the working directory, and without that a server that tells who asks. */
  readonly conf: string | undefined
  /** For server blocks that name no port. */
  readonly port: number
  readonly pidfile: string | undefined
  readonly quiet: boolean
  readonly workers: number
  readonly show: 'version' | 'plugins' | 'help' | undefined
}

const flags = {
  conf: 'value', 'dns.port': 'value', p: 'value', pidfile: 'value', workers: 'value', quiet: 'switch', version: 'switch', plugins: 'switch', help: 'switch', h: 'switch',
} as const
type Flag = keyof typeof flags

export function parseFlags(argv: readonly string[]): Config {
  const values = new Map<Flag, string>()
  for (let i = 0; i < argv.length; i++) {
    const match = /^--?([A-Za-z.]+)(?:=(.*))?$/s.exec(argv[i]!)
    const flag = match?.[1] as Flag
    if (!match || !Object.hasOwn(flags, flag)) throw new UserError(`fairway dns: unknown argument '${argv[i]}' (fairway dns -help lists the flags)`)
    if (flags[flag] === 'switch') { values.set(flag, match[2] ?? 'true'); continue }
    const value = match[2] ?? argv[++i]
    if (value === undefined) throw new UserError(`fairway dns: -${flag} needs a value`)
    values.set(flag, value)
  }
  const isSet = (flag: Flag) => ['true', '1', 't'].includes(values.get(flag) ?? '')
  return Object.freeze({
    conf: values.get('conf'), pidfile: values.get('pidfile'), quiet: isSet('quiet'),
    port: whole('dns.port', values.get('dns.port') ?? values.get('p') ?? '53', 0, 65535),
    workers: whole('workers', values.get('workers') ?? '1', 1, 64),
    show: isSet('help') || isSet('h') ? 'help' : isSet('version') ? 'version' : isSet('plugins') ? 'plugins' : undefined,
  })
}

function whole(flag: string, text: string, min: number, max: number): number {
  const value = /^\d{1,6}$/.test(text) ? Number(text) : NaN
  if (!(value >= min && value <= max)) throw new UserError(`fairway dns: -${flag} must be a whole number from ${min} to ${max}, not '${text}'`)
  return value
}

export const usage = `Usage: fairway dns [flags]

Serves the names of a cluster, and others, as the Corefile says. Flags (CoreDNS's):
  -conf FILE       the Corefile; '-' reads it from stdin (default: Corefile in the working directory)
  -dns.port PORT   for server blocks that name no port (default 53)
  -pidfile FILE    write the process id there
  -plugins         list the plugins, in the order of the chain
  -quiet           say nothing at start
  -version         which version this is
and one that CoreDNS has not:
  -workers N       processes that share each port (SO_REUSEPORT); default 1

Signals: SIGUSR1 reloads the Corefile; SIGTERM ends after the lameduck time; SIGINT ends at once.
`
