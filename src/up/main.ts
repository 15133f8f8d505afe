// `fairway up`: checks first, then makes; in the foreground until Ctrl-C, or detached once Ready.
import { spawn } from 'node:child_process'
import { closeSync, copyFileSync, existsSync, mkdirSync, openSync, rmSync, statSync, writeFileSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { UserError } from '#lib/errors.ts'
import { logger } from '#lib/log.ts'
import { isReport, type Report } from './messages.ts'
import { startOuter, type Outer } from './outer.ts'
import { ensureTools } from './packages.ts'
import { clusterFiles, nodeArguments } from './paths.ts'
import { checkNamespaces, limitsOfThisUser } from './preflight.ts'
import { progressLine } from './progress.ts'
import { runningCluster, startTimeOf } from './runfile.ts'
import { settingsFrom, upHelp, type Settings } from './settings.ts'

/** A cluster that is not Ready by then is taken down again, with the reason. */
const readyWithinMs = 60_000

export async function main(argv: string[]): Promise<number> {
  const startedAt = performance.now()
  const settings = settingsFrom(argv)
  if (settings === 'help') { process.stdout.write(upHelp); return 0 }
  const running = runningCluster(settings.dataDir)
  if (running) {
    process.stdout.write(`cluster "${running.name}" runs already (process ${running.pid}, API https://127.0.0.1:${running.apiPort}): ` +
      `export KUBECONFIG=${clusterFiles(settings.dataDir).kubeconfig}\n`)
    return 0
  }
  const progress = progressLine(process.stderr)
  try {
    checkDataDir(settings.dataDir)
    checkKeptSettings(settings)
    await checkNamespaces()
    const tools = await ensureTools({ install: settings.install, tell: progress.line })
    const given = { settings, tools }
    return settings.detach ? await detached(given, progress, startedAt) : await foreground(given, progress, startedAt)
  } finally { progress.end() }
}

interface Given { readonly settings: Settings; readonly tools: string | undefined }
type Progress = ReturnType<typeof progressLine>

// One folder at a time: below /proc, mkdir's own recursion never ends.
function makeFolder(path: string): void {
  if (existsSync(path)) return
  if (!existsSync(dirname(path))) makeFolder(dirname(path))
  mkdirSync(path, { mode: 0o700 })
}

function checkDataDir(dataDir: string): void {
  try { makeFolder(dataDir) } catch (error) {
    throw new UserError(`cannot make ${dataDir}: ${(error as NodeJS.ErrnoException).code}; choose another with --data-dir`)
  }
  // sun_path holds 108 bytes (unix(7)), and two sockets live in there.
  if (dataDir.length > 80) throw new UserError(`--data-dir ${dataDir}: the path is longer than 80 characters, too long for a socket in it`)
  if (process.getuid && statSync(dataDir).uid !== process.getuid()) throw new UserError(`${dataDir} belongs to another user: choose another with --data-dir`)
}

/** Addresses that objects already hold cannot be moved: the ranges of a kept cluster stay as they were. */
function checkKeptSettings(settings: Settings): void {
  const file = clusterFiles(settings.dataDir).settings
  const ranges = { clusterCidr: settings.clusterCidr, serviceCidr: settings.serviceCidr }
  if (!existsSync(file)) { writeFileSync(file, JSON.stringify(ranges) + '\n', { mode: 0o600 }); return }
  const kept = JSON.parse(readFileSync(file, 'utf8')) as typeof ranges
  for (const [key, flag] of [['clusterCidr', '--cluster-cidr'], ['serviceCidr', '--service-cidr']] as const) {
    if (kept[key] !== ranges[key]) throw new UserError(`${flag} ${ranges[key]}: the cluster in ${settings.dataDir} was made with ${kept[key]}; ` +
      `use that, or remove its objects with "fairway down${settings.name === 'default' ? '' : ` --name ${settings.name}`} --purge"`)
  }
}

const inTime = (ready: Promise<void>, last: () => string): Promise<void> => {
  let timer: NodeJS.Timeout
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new UserError(`the cluster was not Ready within ${readyWithinMs / 1000} s (${last()}); it was taken down again`)), readyWithinMs)
  })
  return Promise.race([ready, late]).finally(() => clearTimeout(timer))
}

async function foreground(given: Given, progress: Progress, startedAt: number): Promise<number> {
  const { settings } = given
  const outer = await startLocked(given, report => { if (report.kind === 'progress') progress.show(report.text) })
  let asked = 0
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {
    if (++asked > 1) process.exit(130) // the second Ctrl-C: everything below dies with this process
    progress.show('stopping')
    void outer.stop()
  })
  try { await inTime(outer.ready, () => progress.last()) } catch (error) {
    await outer.stop()
    if (asked) return 0
    throw error
  }
  progress.end()
  announce(settings, { apiPort: outer.apiPort, portInstead: outer.portInstead, seconds: (performance.now() - startedAt) / 1000 })
  process.stdout.write('\nCtrl-C stops the cluster; its objects stay in ' + settings.dataDir + '\n')
  await outer.ended
  if (asked) return 0
  throw new UserError(`the cluster ended by itself: see ${clusterFiles(settings.dataDir).logs}`)
}

/** Only one `up` at a time may work on a data directory. */
async function startLocked(given: Given, onReport: (report: Report) => void): Promise<Outer> {
  const { lock } = clusterFiles(given.settings.dataDir)
  takeLock(lock)
  const outer = await startOuter(given.settings, { tools: given.tools, log: logger('outer'), onReport }).catch((error: unknown) => { rmSync(lock, { force: true }); throw error })
  void outer.ended.then(() => rmSync(lock, { force: true }))
  return outer
}

function takeLock(lock: string): void {
  const mine = `${process.pid} ${startTimeOf(process.pid)}`
  for (const again of [true, false]) {
    try { writeFileSync(lock, mine, { flag: 'wx', mode: 0o600 }); return } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw new UserError(`cannot write ${lock}: ${(error as Error).message}`)
    }
    const [pid, startTime] = readFileSync(lock, 'utf8').split(' ')
    if (startTimeOf(Number(pid)) === startTime || !again) break
    rmSync(lock, { force: true }) // left by a killed one
  }
  throw new UserError('another "fairway up" is starting this cluster right now: wait for it, or see "fairway status"')
}

/** Starts the outer process on its own, waits until it says Ready, and leaves it running. */
async function detached(given: Given, progress: Progress, startedAt: number): Promise<number> {
  const { settings } = given
  const logs = clusterFiles(settings.dataDir).logs
  mkdirSync(logs, { recursive: true, mode: 0o700 })
  const log = openSync(join(logs, 'outer.log'), 'a', 0o600)
  const child = spawn(process.execPath, [...nodeArguments, 'outer', JSON.stringify(given)], { detached: true, stdio: ['ignore', log, log, 'ipc'] })
  closeSync(log)
  let opened: { apiPort: number; portInstead: boolean } | undefined
  const ready = new Promise<void>((resolve, reject) => {
    child.on('message', (message: Report | { kind: 'opened'; apiPort: number; portInstead: boolean }) => {
      if (message.kind === 'opened') opened = message
      if (!isReport(message)) return
      if (message.kind === 'progress') progress.show(message.text)
      if (message.kind === 'ready') resolve()
      if (message.kind === 'failed') reject(new UserError(message.reason))
    })
    child.once('exit', code => reject(new UserError(`the cluster ended before it was Ready (exit status ${code}): see ${logs}`)))
  })
  const interrupted = () => { child.kill('SIGTERM') }
  process.once('SIGINT', interrupted)
  try { await inTime(ready, () => progress.last()) } catch (error) {
    const gone = new Promise(resolve => child.once('exit', resolve))
    if (child.exitCode === null && child.signalCode === null) { child.kill('SIGTERM'); await gone }
    throw error
  }
  process.off('SIGINT', interrupted)
  child.disconnect()
  child.unref()
  progress.end()
  announce(settings, { ...opened!, seconds: (performance.now() - startedAt) / 1000 })
  return 0
}

/** `fairway outer` (internal): what a detached `up` leaves behind. */
export async function outerMain([argument]: string[]): Promise<number> {
  const given = JSON.parse(argument!) as Given
  const tell = (message: object) => { if (process.connected) process.send!(message) }
  try {
    const outer = await startLocked(given, report => { if (report.kind !== 'ready') tell(report) })
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => void outer.stop())
    tell({ kind: 'opened', apiPort: outer.apiPort, portInstead: outer.portInstead })
    outer.ready.then(() => tell({ kind: 'ready' }), (error: Error) => tell({ kind: 'failed', reason: error.message }))
    await outer.ended
    return 0
  } catch (error) {
    tell({ kind: 'failed', reason: error instanceof Error ? error.message : String(error) })
    return 1
  }
}

function announce(settings: Settings, made: { apiPort: number; portInstead: boolean; seconds: number }): void {
  const files = clusterFiles(settings.dataDir)
  if (settings.kubeconfig) {
    mkdirSync(dirname(settings.kubeconfig), { recursive: true })
    copyFileSync(files.kubeconfig, settings.kubeconfig)
  }
  const file = settings.kubeconfig ?? files.kubeconfig
  const name = settings.name === 'default' ? '' : ` --name ${settings.name}`
  const lines = [
    `Cluster "${settings.name}" is ready after ${made.seconds.toFixed(1)} s: ${settings.nodes} node${settings.nodes > 1 ? 's' : ''}, API https://127.0.0.1:${made.apiPort}`,
    ...(made.portInstead ? ['(port 6443 is taken, so another one is used)'] : []),
    ...limitsOfThisUser(),
    '',
    `  export KUBECONFIG=${file}`,
    '',
    'Try:',
    '  kubectl get nodes -o wide',
    '  kubectl create deployment web --image=nginx --replicas=3 && kubectl expose deployment web --port=80',
    `  ./fairway shell${name} k8s-master01 -- sh -c 'curl -s $(kubectl get service web -o jsonpath={.spec.clusterIP})'`,
  ]
  process.stdout.write(lines.join('\n') + '\n')
}
