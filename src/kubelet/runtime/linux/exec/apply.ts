// Further processes in a running container, and its own streams for attach.
import { randomBytes } from 'node:crypto'
import { closeSync } from 'node:fs'
import { constants as os } from 'node:os'
import { PassThrough } from 'node:stream'
import { terminal } from '#host/pty.ts'
import type { ExecSession } from '../../cri.ts'
import type { Node } from '../state.ts'
import { pipes } from '../streams/apply.ts'

export interface ExecOptions { readonly command: readonly string[]; readonly tty: boolean; readonly stdin: boolean }

/** Rejects in runc's words when the command cannot be run. */
export async function exec(node: Node, containerId: string, { command, tty, stdin }: ExecOptions): Promise<ExecSession> {
  const record = node.containers.get(containerId)
  if (record?.state !== 'running') throw new Error(`container ${containerId} is not running`)
  if (command.length === 0) throw new Error('you must specify at least one command for the container')
  const id = randomBytes(32).toString('hex')
  const exited = Promise.withResolvers<number>()
  node.thread.onExit(id, exited.resolve)
  const streams = tty ? undefined : pipes({ stdin })
  let started
  try { started = await node.thread.ask<'exec'>({ kind: 'exec', id, containerId, argv: command, stdio: streams?.theirs }) } catch (error) {
    node.thread.forget(id)
    streams?.destroy()
    throw error
  } finally { streams?.handedOver() }
  if ('message' in started) {
    if (started.terminal !== undefined) closeSync(started.terminal)
    streams?.destroy()
    throw Object.assign(new Error(`OCI runtime exec failed: exec failed: unable to start container process: ${started.message}: unknown`), { exitCode: started.exitCode })
  }
  const kill = () => { void node.thread.ask<'signal'>({ kind: 'signal', id, signal: os.signals.SIGKILL }) }
  if (streams) return { stdin: streams.stdin, stdout: streams.stdout, stderr: streams.stderr, resize() {}, kill, exitCode: exited.promise }
  const screen = terminal(started.terminal!)
  return { stdin: stdin ? screen.input : undefined, stdout: screen.output, stderr: undefined, resize: (columns, rows) => screen.resize(columns, rows), kill, exitCode: exited.promise }
}

const maxOutput = 10 << 10
/** For probes and hooks: a rejection on timeout, after the process was killed. */
export async function execSync(node: Node, containerId: string, { command, timeoutMs }: { readonly command: readonly string[]; readonly timeoutMs: number }): Promise<{ exitCode: number; output: string }> {
  const session = await exec(node, containerId, { command, tty: false, stdin: false })
  const chunks: Buffer[] = []
  let size = 0
  const collect = (chunk: Buffer) => { if (size < maxOutput) chunks.push(chunk.subarray(0, maxOutput - size)); size += chunk.length }
  const ends = [session.stdout, session.stderr!].map(stream => new Promise<void>(resolve => stream.on('data', collect).once('close', resolve)))
  const timeout = Promise.withResolvers<never>()
  const timer = timeoutMs > 0 ? setTimeout(() => {
    session.kill()
    timeout.reject(new Error(`command ${JSON.stringify(command)} timed out: context deadline exceeded: it did not end within ${timeoutMs} ms`))
  }, timeoutMs) : undefined
  try {
    const exitCode = await Promise.race([session.exitCode, timeout.promise])
    // What it left running in the background may hold the pipes: the answer does not wait for that.
    await Promise.race([Promise.all(ends), new Promise(resolve => setTimeout(resolve, 100).unref())])
    return { exitCode, output: Buffer.concat(chunks).toString() }
  } finally {
    clearTimeout(timer)
    session.stdout.destroy()
    session.stderr!.destroy()
  }
}

/** A container's own streams from now on. With the end of the session the container goes on. */
export async function attach(node: Node, containerId: string, { stdin }: { readonly stdin: boolean }): Promise<ExecSession> {
  const record = node.containers.get(containerId), live = node.live.get(containerId)
  if (!record || !live) throw new Error(`container ${containerId} is not running`)
  const stdout = new PassThrough(), stderr = record.config.tty ? undefined : new PassThrough()
  const forward = (to: PassThrough) => (chunk: Buffer) => {
    // A reader that stands still loses the session, it must not make the container wait or memory grow.
    if (to.writableLength > maxBehind) to.destroy(new Error('attach: the reader is too slow'))
    else if (to.writable) to.write(chunk)
  }
  const toStdout = forward(stdout), toStderr = stderr && forward(stderr)
  live.output.on('stdout', toStdout)
  if (toStderr) live.output.on('stderr', toStderr)
  const { promise, resolve } = Promise.withResolvers<number>()
  const leave = () => {
    live.output.off('stdout', toStdout)
    if (toStderr) live.output.off('stderr', toStderr)
    stdout.end()
    stderr?.end()
  }
  void live.exited.then(() => { leave(); resolve(record.exitCode ?? 0) })
  return { stdin: stdin ? live.stdin && passing(live.stdin) : undefined, stdout, stderr, resize: (columns, rows) => live.resize?.(columns, rows), kill() { leave(); resolve(0) }, exitCode: promise }
}
const maxBehind = 8 << 20
/** Ending an attach's stdin ends the container's (stdinOnce is not known here), destroying it does not. */
function passing(to: NodeJS.WritableStream): PassThrough {
  const stream = new PassThrough()
  stream.pipe(to)
  return stream
}
