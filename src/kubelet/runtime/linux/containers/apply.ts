// Containers of a node: create, start, stop, remove. Starting hands the sandbox thread a plan and
// streams; the end of a container is known only when its last output is in the log.
import { randomBytes } from 'node:crypto'
import { EventEmitter } from 'node:events'
import { closeSync } from 'node:fs'
import { mkdir, rm } from 'node:fs/promises'
import { constants as os } from 'node:os'
import { join } from 'node:path'
import { createCgroup } from '#host/cgroup.ts'
import type { Cgroup } from '#host/cgroup.ts'
import { terminal } from '#host/pty.ts'
import type { Container, ContainerConfig } from '../../cri.ts'
import { openLog } from '../logs/apply.ts'
import type { ContainerLog } from '../logs/apply.ts'
import { containerView, exitReason } from '../records.ts'
import type { ContainerRecord } from '../records.ts'
import { checkMounts, processPlan, rootPlan } from '../spec.ts'
import type { Live, Node } from '../state.ts'
import { pipes } from '../streams/apply.ts'
import type { Streams } from '../streams/apply.ts'

const directories = ['upper', 'work', 'usr-upper', 'usr-work', 'root']

export async function createContainer(node: Node, sandboxId: string, config: ContainerConfig): Promise<Container> {
  const sandbox = node.sandboxes.get(sandboxId)
  if (!sandbox || sandbox.state !== 'ready' || sandbox.stopping) throw new Error(`sandbox ${sandboxId} is not running`)
  checkMounts(config)
  const { config: image } = await node.options.images.rootfs(config.imageId)
  const name = (await node.options.images.listImages()).find(each => each.id === config.imageId)?.tags[0] ?? config.imageId
  const id = randomBytes(32).toString('hex')
  const directory = join(sandbox.directory, id)
  await Promise.all(directories.map(each => mkdir(join(directory, each), { recursive: true })))
  const record: ContainerRecord = { id, sandbox, config, image: name, stopSignal: image.stopSignal, directory, createdAt: Date.now(), state: 'created' }
  node.containers.set(id, record)
  return containerView(record)
}

function found(node: Node, id: string): ContainerRecord {
  const record = node.containers.get(id)
  if (!record) throw new Error(`container ${id} not found`)
  return record
}

/** Rejects, with runc's words, when the program cannot be run; the container then has exited. */
export async function startContainer(node: Node, id: string): Promise<void> {
  const record = found(node, id)
  if (record.sandbox.stopping) throw new Error(`sandbox ${record.sandbox.id} is not running`)
  if (record.state !== 'created' || record.starting) throw new Error(`container ${id} is in state ${record.state}: only a created container can be started`)
  await (record.starting = start(node, record).finally(() => { delete record.starting }))
}

async function start(node: Node, record: ContainerRecord): Promise<void> {
  const log = await openLog(record.config.logPath, { onError: error => node.warnOnce(`Container log not written: ${error.message}`, { container: record.config.name }) })
  try { await launch(node, record, log) } catch (error) {
    const message = (error as Error).message
    fail(node, record, { message, exitCode: (error as { exitCode?: number }).exitCode ?? 128 })
    throw new Error(`failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: ${message}: unknown`, { cause: error })
  }
}

function fail(node: Node, record: ContainerRecord, { message, exitCode }: { message: string; exitCode: number }): void {
  record.state = 'exited'
  record.startedAt ??= Date.now()
  record.finishedAt = Date.now()
  Object.assign(record, { exitCode, reason: 'ContainerCannotRun', message })
  node.emit(record.sandbox, record.id)
}

async function launch(node: Node, record: ContainerRecord, log: ContainerLog): Promise<void> {
  const { config, sandbox, id } = record, { options, thread } = node
  const image = await options.images.rootfs(config.imageId)
  const cgroup = limited(node, record)
  const streams = config.tty ? undefined : pipes({ stdin: config.stdin })
  const code = Promise.withResolvers<number>()
  thread.onExit(id, code.resolve)
  let started
  try {
    started = await thread.ask<'start'>({
      kind: 'start', id, sandboxId: sandbox.id, hostPid: sandbox.config.hostPid, cgroupProcs: cgroup?.procs ?? [], stdio: streams?.theirs,
      root: rootPlan(config, image, { sandbox: sandbox.directory, container: record.directory, userxattr: options.unprivileged }),
      process: processPlan(config, image.config, sandbox.config.hostname),
    })
  } catch (error) {
    thread.forget(id)
    streams?.handedOver()
    await abandon(streams, cgroup, log)
    throw error
  }
  streams?.handedOver()
  if ('message' in started) {
    if (started.terminal !== undefined) closeSync(started.terminal)
    await abandon(streams, cgroup, log)
    throw Object.assign(new Error(started.message), { exitCode: started.exitCode })
  }
  record.state = 'running'
  record.pid = started.pid
  record.startedAt = Date.now()
  const live = follow({ streams, master: started.terminal, log, cgroup, exitCode: code.promise, exited: (exitCode, oomKills) => finish(node, record, exitCode, oomKills) })
  node.live.set(id, live)
  node.emit(sandbox, id)
}

async function abandon(streams: Streams | undefined, cgroup: Cgroup | undefined, log: ContainerLog): Promise<void> {
  streams?.destroy()
  await Promise.all([cgroup?.remove(), log.close()])
}

function limited(node: Node, { id, config: { resources: { memoryLimitBytes, cpuLimitMilli, cpuRequestMilli, pidsLimit }, name } }: ContainerRecord): Cgroup | undefined {
  const limits = { ...(memoryLimitBytes !== undefined && { memoryBytes: memoryLimitBytes }), ...(cpuLimitMilli !== undefined && { cpuMilli: cpuLimitMilli }),
    ...(cpuRequestMilli !== undefined && { cpuRequestMilli }), ...(pidsLimit !== undefined && { pids: pidsLimit }) }
  if (Object.keys(limits).length === 0) return undefined
  const cgroup = createCgroup(`${node.cgroups}/${id}`, limits)
  for (const line of cgroup.missing) node.warnOnce(line, { container: name })
  return cgroup
}

interface Followed {
  readonly streams: Streams | undefined
  readonly master: number | undefined
  readonly log: ContainerLog
  readonly cgroup: Cgroup | undefined
  readonly exitCode: Promise<number>
  exited(exitCode: number, oomKills: number): void
}

// A process outside of the container's pid namespace (hostPID) may keep its output open for ever.
const outputGraceMs = 2000

function follow({ streams, master, log, cgroup, exitCode, exited }: Followed): Live {
  const output = new EventEmitter().setMaxListeners(0)
  const screen = master === undefined ? undefined : terminal(master)
  const sources = screen ? [{ from: screen.output, name: 'stdout' as const }] : [{ from: streams!.stdout, name: 'stdout' as const }, { from: streams!.stderr, name: 'stderr' as const }]
  const copied = Promise.allSettled(sources.map(({ from, name }) => log.copy(from, name, chunk => output.emit(name, chunk))))
  const end = async () => {
    const code = await exitCode
    const timer = setTimeout(() => sources.forEach(({ from }) => from.destroy()), outputGraceMs)
    await copied
    clearTimeout(timer)
    streams?.stdin?.destroy()
    await log.close().catch(() => {})
    const oomKills = cgroup?.oomKills() ?? 0
    await cgroup?.remove().catch(() => {})
    output.emit('exit')
    exited(code, oomKills)
  }
  return { stdin: screen?.input ?? streams?.stdin, output, resize: screen && ((columns, rows) => screen.resize(columns, rows)), exited: end() }
}

function finish(node: Node, record: ContainerRecord, exitCode: number, oomKills: number): void {
  record.state = 'exited'
  record.finishedAt = Date.now()
  record.exitCode = exitCode
  record.reason = exitReason(exitCode, oomKills)
  node.live.delete(record.id)
  node.emit(record.sandbox, record.id)
}

export async function stopContainer(node: Node, id: string, graceSeconds: number): Promise<void> {
  const record = node.containers.get(id)
  await record?.starting?.catch(() => {})
  const live = node.live.get(id)
  if (!record || !live) return
  if (graceSeconds > 0) {
    await node.thread.ask<'signal'>({ kind: 'signal', id, signal: signalNumber(record.stopSignal) })
    if (await within(live.exited, graceSeconds * 1000)) return
  }
  await killContainer(node, record)
}

/** SIGKILL for pid 1 takes the whole pid namespace with it. */
export async function killContainer(node: Node, record: ContainerRecord): Promise<void> {
  await record.starting?.catch(() => {})
  const { id } = record, live = node.live.get(id)
  if (!live) return
  await node.thread.ask<'signal'>({ kind: 'signal', id, signal: os.signals.SIGKILL })
  await live.exited
}

/** `SIGQUIT`, `QUIT` or a number; what it cannot read is SIGTERM, as with an image that says nothing. */
function signalNumber(name: string): number {
  const upper = name.toUpperCase()
  return os.signals[(upper.startsWith('SIG') ? upper : `SIG${upper}`) as NodeJS.Signals] ?? (Number(name) || os.signals.SIGTERM)
}

async function within(done: Promise<void>, milliseconds: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const timer = setTimeout(() => resolve(false), milliseconds)
  try { return await Promise.race([done.then(() => true), promise]) } finally { clearTimeout(timer) }
}

export async function removeContainer(node: Node, id: string): Promise<void> {
  const record = node.containers.get(id)
  if (!record) return
  await killContainer(node, record)
  await rm(record.directory, { recursive: true, force: true })
  node.containers.delete(id)
}
