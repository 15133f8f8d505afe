// Runs a program of the machine to its end: never synchronously (that would deadlock a server
// against itself), output bounded, a non-zero exit status thrown. Long-running programs are not for here.
import { spawn } from 'node:child_process'
import { constants } from 'node:os'
import { CommandError } from '#lib/errors.ts'

export interface RunOptions {
  readonly input?: string | Buffer
  /** Replaces the whole environment; PATH with the sbin directories is added when it has none. */
  readonly env?: Readonly<Record<string, string | undefined>>
  /** SIGKILL after this long; the error then has exit status 137. */
  readonly timeoutMs?: number
  /** A network namespace's path (`/run/netns/NAME`) to run it in. */
  readonly netns?: string
  readonly cwd?: string
  /** Bytes of stdout kept at most; more is an error. 256 MiB unless told. */
  readonly maxOutput?: number
}

const systemPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
/** The environment for the machine's tools: sbin is not in an ordinary user's PATH, messages are in English. */
export const toolEnv = (env: Readonly<Record<string, string | undefined>> = process.env): Record<string, string | undefined> =>
  ({ ...env, PATH: env.PATH ? `${env.PATH}:${systemPath}` : systemPath, LC_ALL: 'C' })

const maxStderr = 64 << 10

export interface Finished { readonly stdout: string; readonly stderr: string }

/** Throws CommandError: exit status 127 when the program was not found, 128 + n when signal n ended it. */
export function run(argv: readonly string[], options: RunOptions = {}): Promise<Finished> {
  const command = options.netns ? ['nsenter', `--net=${options.netns}`, '--', ...argv] : [...argv]
  const { promise, resolve, reject } = Promise.withResolvers<Finished>()
  const child = spawn(command[0]!, command.slice(1), { env: toolEnv(options.env), cwd: options.cwd, stdio: ['pipe', 'pipe', 'pipe'] })
  const stdout: Buffer[] = [], stderr: Buffer[] = []
  let size = 0, errorSize = 0, why = ''
  const end = (reason: string) => { why ||= reason; child.kill('SIGKILL') }
  const timer = options.timeoutMs === undefined ? undefined : setTimeout(() => end(`no answer within ${options.timeoutMs} ms`), options.timeoutMs)
  child.stdout.on('data', (chunk: Buffer) => {
    size += chunk.length
    if (size > (options.maxOutput ?? 256 << 20)) end(`more than ${options.maxOutput ?? 256 << 20} bytes of output`)
    else stdout.push(chunk)
  })
  child.stderr.on('data', (chunk: Buffer) => { if ((errorSize += chunk.length) <= maxStderr) stderr.push(chunk) })
  child.stdin.on('error', () => {}) // it ended without reading its input: the exit status tells
  child.stdin.end(options.input ?? '')
  child.on('error', error => {
    clearTimeout(timer)
    reject(new CommandError(argv, 127, (error as NodeJS.ErrnoException).code === 'ENOENT' ? `${command[0]}: command not found` : error.message))
  })
  child.on('close', (code, signal) => {
    clearTimeout(timer)
    const exitCode = code ?? 128 + (constants.signals[signal!] ?? 0)
    const errors = Buffer.concat(stderr).toString()
    if (exitCode !== 0 || why) reject(new CommandError(argv, exitCode, why || errors))
    else resolve({ stdout: Buffer.concat(stdout).toString(), stderr: errors })
  })
  return promise
}
