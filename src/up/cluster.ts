// `fairway cluster` (internal): process 1 of a cluster's namespaces. Makes the private /run and the
// fabric, then starts the server and the agent and starts them again when they die. It never touches
// the host: all it can see is its own.
import { spawn, type ChildProcess } from 'node:child_process'
import { closeSync, mkdirSync, openSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { mount } from '#host/libc.ts'
import { logger } from '#lib/log.ts'
import { buildFabric, machines, routerIp } from './fabric.ts'
import { ensureClusterPki, writeInsideFiles } from './files.ts'
import { apiSocketFd, isReport, type Order, type Report } from './messages.ts'
import { clusterFiles, nodeArguments } from './paths.ts'
import type { Settings } from './settings.ts'

interface Given { readonly settings: Settings; readonly tools: string | undefined; readonly apiPort: number }

const log = logger('cluster')

export async function main([argument]: string[]): Promise<number> {
  const given = JSON.parse(argument!) as Given
  process.on('disconnect', () => process.exit(0)) // the outer process is gone: so is everything below
  process.on('SIGINT', () => {})
  mountPrivately()
  const built = prepare(given)
  // Loading their code takes the server and the agent longer than the fabric takes to build.
  const children = [startServer(given, built), startAgent(given, built)]
  try { await built } catch (error) {
    log.error('cannot prepare the cluster', error)
    report({ kind: 'failed', reason: error instanceof Error ? error.message : String(error) })
    return 1
  }
  await new Promise<void>(resolve => process.on('message', (order: Order) => { if (order.kind === 'stop') resolve() }))
  await Promise.all(children.map(child => child.stop()))
  return 0 // and with process 1 ends whatever still runs in its PID namespace
}

const report = (message: Report): void => { process.send?.(message) }

function mountPrivately(): void {
  mount({ source: 'proc', target: '/proc', type: 'proc' })
  mount({ source: 'tmpfs', target: '/run', type: 'tmpfs', data: 'mode=755' })
}

async function prepare(given: Given): Promise<void> {
  const { settings, tools } = given
  report({ kind: 'progress', text: 'making the fabric' })
  // The tools that this machine lacks, under the machine's own: what it has stays as it is.
  if (tools) mount({ source: 'overlay', target: '/usr', type: 'overlay', data: `lowerdir=/usr:${tools}` })
  hideResolvers(settings.dataDir)
  const all = machines(settings)
  await Promise.all([ensureClusterPki(settings, all), buildFabric(all)])
  writeInsideFiles(settings, all, { apiPort: given.apiPort })
}

/** No resolver of the host can be reached from in here; asking one would only take time. */
function hideResolvers(dataDir: string): void {
  const file = clusterFiles(dataDir).resolvConf
  writeFileSync(file, '# This cluster has no way out, and so no resolver but its own.\n')
  try { mount({ source: file, target: '/etc/resolv.conf', flags: ['MS_BIND'] }) } catch (error) { log.warn('the nodes see the resolvers of this machine', { err: (error as Error).message }) }
}

/** A child that is started again when it dies, a little later each time. */
function keepRunning(name: string, built: Promise<void>, start: () => ChildProcess): { stop(): Promise<void> } {
  let stopping = false, delay = 100, child: ChildProcess
  const begin = () => {
    const startedAt = Date.now()
    child = start()
    const started = child
    built.then(() => { if (started.connected) started.send({ kind: 'start' } satisfies Order) }, () => {})
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

function startServer({ settings }: Given, built: Promise<void>): { stop(): Promise<void> } {
  const files = clusterFiles(settings.dataDir)
  return keepRunning('server', built, () => child(files.logs, 'server', [
    '--data-dir', settings.dataDir, '--advertise-address', routerIp, '--secure-port', '6443', '--loopback-fd', String(apiSocketFd),
    '--service-cluster-ip-range', settings.serviceCidr, '--service-node-port-range', settings.serviceNodePortRange,
    '--cluster-cidr', settings.clusterCidr, '--proxy-mode', settings.proxyMode, '--nodes', String(settings.nodes), ...(settings.dns ? ['--dns'] : []),
  ], apiSocketFd))
}

function startAgent({ settings }: Given, built: Promise<void>): { stop(): Promise<void> } {
  const files = clusterFiles(settings.dataDir)
  return keepRunning('agent', built, () => child(files.logs, 'agent', ['--config', files.agentConfig]))
}

function child(logs: string, name: string, argv: string[], inherited?: number): ChildProcess {
  mkdirSync(logs, { recursive: true })
  const output = openSync(join(logs, `${name}.log`), 'a', 0o600)
  const started = spawn(process.execPath, [...nodeArguments, name, ...argv], {
    stdio: ['ignore', output, output, 'ipc', ...(inherited === undefined ? [] : [inherited])],
    env: { ...process.env, FAIRWAY_START: 'when told' } })
  closeSync(output)
  // As upstream protects its node agents: the kernel kills pods before what runs them.
  try { writeFileSync(`/proc/${started.pid}/oom_score_adj`, '-999') } catch { /* not ours to lower as an ordinary user */ }
  return started
}
