// `fairway cluster` (internal): process 1 of a cluster's namespaces. Makes the private /run and the
// fabric, then starts the server and the agent and starts them again when they die. It never touches
// the host: all it can see is its own.
import { spawn, type ChildProcess } from 'node:child_process'
import { closeSync, mkdirSync, openSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { run } from '#host/run.ts'
import { logger } from '#lib/log.ts'
import { buildFabric, machines, routerIp } from './fabric.ts'
import { ensureClusterPki, writeInsideFiles } from './files.ts'
import { isReport, type Order, type Report } from './messages.ts'
import { apiSocketFd } from './outer.ts'
import { clusterFiles, nodeArguments } from './paths.ts'
import type { Settings } from './settings.ts'

interface Given { readonly settings: Settings; readonly tools: string | undefined; readonly apiPort: number }

const log = logger('cluster')

export async function main([argument]: string[]): Promise<number> {
  const given = JSON.parse(argument!) as Given
  process.on('disconnect', () => process.exit(0)) // the outer process is gone: so is everything below
  process.on('SIGINT', () => {})
  try {
    await prepare(given)
  } catch (error) {
    log.error('cannot prepare the cluster', error)
    report({ kind: 'failed', reason: error instanceof Error ? error.message : String(error) })
    return 1
  }
  const children = [startServer(given), startAgent(given)]
  await new Promise<void>(resolve => process.on('message', (order: Order) => { if (order.kind === 'stop') resolve() }))
  await Promise.all(children.map(child => child.stop()))
  process.exit(0) // ends the PID namespace, and with it whatever still runs
}

const report = (message: Report): void => { process.send?.(message) }

async function prepare(given: Given): Promise<void> {
  const { settings } = given
  report({ kind: 'progress', text: 'making the fabric' })
  await mountPrivately(given.tools)
  const all = machines(settings)
  await Promise.all([ensureClusterPki(settings, all), buildFabric(all)])
  writeInsideFiles(settings, all, { apiPort: given.apiPort })
}

async function mountPrivately(tools: string | undefined): Promise<void> {
  await run(['mount', '-t', 'proc', 'proc', '/proc'])
  await run(['mount', '-t', 'tmpfs', '-o', 'mode=755', 'tmpfs', '/run'])
  if (!tools) return
  // The tools that this machine lacks, under the machine's own: what it has stays as it is.
  await run(['mount', '-t', 'overlay', 'overlay', '-o', `lowerdir=/usr:${tools}`, '/usr'])
}

/** A child that is started again when it dies, a little later each time. */
function keepRunning(name: string, start: () => ChildProcess): { stop(): Promise<void> } {
  let stopping = false, delay = 100, child: ChildProcess
  const begin = () => {
    const startedAt = Date.now()
    child = start()
    child.on('message', message => { if (isReport(message)) report(message) })
    child.once('exit', (code, signal) => {
      if (stopping) return
      delay = Date.now() - startedAt > 60_000 ? 100 : Math.min(delay * 2, 10_000)
      log.error(`${name} ended and is started again`, undefined, { code: code ?? signal ?? '', delayMs: delay })
      setTimeout(() => { if (!stopping) begin() }, delay)
    })
  }
  begin()
  return {
    stop: () => new Promise(resolve => {
      stopping = true
      if (child.exitCode !== null || child.signalCode !== null) return resolve()
      child.once('exit', () => resolve())
      child.kill('SIGTERM')
      setTimeout(() => child.kill('SIGKILL'), 5000).unref()
    }),
  }
}

function startServer({ settings }: Given): { stop(): Promise<void> } {
  const files = clusterFiles(settings.dataDir)
  return keepRunning('server', () => child(files.logs, 'server', [
    '--data-dir', settings.dataDir, '--advertise-address', routerIp, '--secure-port', '6443', '--loopback-fd', String(apiSocketFd),
    '--service-cluster-ip-range', settings.serviceCidr, '--service-node-port-range', settings.serviceNodePortRange,
    '--cluster-cidr', settings.clusterCidr, '--proxy-mode', settings.proxyMode, '--nodes', String(settings.nodes),
  ], apiSocketFd))
}

function startAgent({ settings }: Given): { stop(): Promise<void> } {
  const files = clusterFiles(settings.dataDir)
  return keepRunning('agent', () => child(files.logs, 'agent', ['--config', files.agentConfig]))
}

function child(logs: string, name: string, argv: string[], inherited?: number): ChildProcess {
  mkdirSync(logs, { recursive: true })
  const output = openSync(join(logs, `${name}.log`), 'a', 0o600)
  const started = spawn(process.execPath, [...nodeArguments, name, ...argv], {
    stdio: ['ignore', output, output, 'ipc', ...(inherited === undefined ? [] : [inherited])] })
  closeSync(output)
  // As upstream protects its node agents: the kernel kills pods before what runs them.
  try { writeFileSync(`/proc/${started.pid}/oom_score_adj`, '-999') } catch { /* not ours to lower as an ordinary user */ }
  return started
}
