// The outer process of a cluster: the only one in the host's network. It opens the API's port on
// loopback, passes the listening socket to the namespaces below, and stands for the whole cluster:
// when it ends, however it ends, everything below ends with it.
import { spawn, type ChildProcess } from 'node:child_process'
import { mkdirSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { UserError } from '#lib/errors.ts'
import type { Log } from '#lib/log.ts'
import { startEgress } from './egress.ts'
import { isReport, type Order, type Report } from './messages.ts'
import { clusterFiles, nodeArguments } from './paths.ts'
import { listenOnLoopback, unshareArguments } from './preflight.ts'
import { removeRunFile, startTimeOf, writeRunFile, type RunFile } from './runfile.ts'
import type { Settings } from './settings.ts'
import { sweep } from './sweep.ts'

export interface Outer {
  readonly apiPort: number
  /** True when the usual port was taken and another is used. */
  readonly portInstead: boolean
  /** Settles when the cluster is Ready, rejects when it cannot become so. */
  readonly ready: Promise<void>
  /** Resolves once everything below has ended. */
  readonly ended: Promise<void>
  stop(): Promise<void>
}

export async function startOuter(settings: Settings, options: { tools: string | undefined; log: Log; onReport: (report: Report) => void }): Promise<Outer> {
  const files = clusterFiles(settings.dataDir)
  await sweep(settings.name, settings.dataDir)
  const loopback = await listenOnLoopback(settings.apiPort)
  const egress = startEgress(files.egress, options.log)
  const inner = spawnInner(settings, { tools: options.tools, apiPort: loopback.port, socket: fdOf(loopback.server) })
  loopback.server.close() // the copy below goes on listening
  const run = () => ({ name: settings.name, pid: process.pid, startTime: startTimeOf(process.pid)!, innerPid: onlyChildOf(inner.pid!) ?? inner.pid!,
    apiPort: loopback.port, startedAt: new Date().toISOString() })
  const record = (ready: boolean): RunFile => ({ ...run(), ready })
  writeRunFile(settings.dataDir, record(false))

  const ended = new Promise<void>(resolve => inner.once('exit', () => {
    egress.close()
    void sweep(settings.name, settings.dataDir).finally(() => { removeRunFile(settings.dataDir); resolve() })
  }))
  const ready = new Promise<void>((resolve, reject) => {
    inner.on('message', message => {
      if (!isReport(message)) return
      options.onReport(message)
      if (message.kind === 'ready') { writeRunFile(settings.dataDir, record(true)); resolve() }
      if (message.kind === 'failed') reject(new UserError(message.reason))
    })
    inner.once('exit', (code, signal) => reject(new UserError(
      `the cluster ended before it was Ready (${signal ?? `exit status ${code}`}); its last words are in ${files.logs}: ${lastWords(files.logs)}`)))
  })
  ready.catch(() => {}) // the caller may only be waiting for the end
  return { apiPort: loopback.port, portInstead: loopback.instead, ready, ended, stop: () => stop(inner, ended) }
}

function spawnInner(settings: Settings, given: { tools: string | undefined; apiPort: number; socket: number }): ChildProcess {
  const files = clusterFiles(settings.dataDir)
  for (const folder of [settings.dataDir, files.logs]) mkdirSync(folder, { recursive: true, mode: 0o700 })
  const output = openSync(join(files.logs, 'cluster.log'), 'a', 0o600)
  // Dying with the parent twice over: the kernel's signal, and the closed IPC channel (cluster.ts).
  return spawn('setpriv', ['--pdeathsig', 'KILL', 'unshare', ...unshareArguments(), process.execPath, ...nodeArguments, 'cluster',
    JSON.stringify({ settings, tools: given.tools, apiPort: given.apiPort })], {
    stdio: ['ignore', output, output, 'ipc', given.socket],
    detached: true, // Ctrl-C reaches the outer process alone, which stops the rest in order
  })
}

// Node offers no public way to hand a listening socket to `stdio`; its number is all that is needed.
const fdOf = (server: object): number => (server as { _handle: { fd: number } })._handle.fd

function onlyChildOf(pid: number): number | undefined {
  for (let tries = 0; tries < 200; tries++) {
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim()
    if (children) return Number(children.split(' ')[0])
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1) // unshare forks within a few ms
  }
  return undefined
}

async function stop(inner: ChildProcess, ended: Promise<void>): Promise<void> {
  if (inner.connected) inner.send({ kind: 'stop' } satisfies Order)
  const timer = setTimeout(() => inner.kill('SIGKILL'), 8000)
  await ended
  clearTimeout(timer)
}

/** The newest error line of any log, for a message that says why. */
function lastWords(logs: string): string {
  const lines = ['cluster', 'server', 'agent'].flatMap(name => {
    try { return readFileSync(join(logs, `${name}.log`), 'utf8').trimEnd().split('\n').slice(-40) } catch { return [] }
  })
  return lines.findLast(line => /^E\d{4}|[Ee]rror/.test(line))?.slice(0, 400) ?? 'nothing was logged'
}
