// The userspace mode's TCP proxy against haproxy in TCP mode (one thread, as ours), and against no proxy:
//   node bench/userspace.ts [--connections 10000] [--rounds 3] [--megabytes 1000] [--open 9500]
// A connection is a request of 100 bytes, an answer of 1,000 and a close, from 50 clients at once. CPU is
// the proxy's own, user and kernel. All on loopback, backends and clients in processes of their own;
// haproxy (Debian package haproxy) is left out where it is not installed. Nothing else should run.
import { fork, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { run } from '#host/run.ts'
import { logger } from '#lib/log.ts'
import type { Endpoint } from '#proxy/endpoints.ts'
import { Balancer } from '#proxy/userspace/balancer.ts'
import { TcpProxySocket } from '#proxy/userspace/tcp/server.ts'

const { values } = parseArgs({ options: {
  connections: { type: 'string', default: '10000' }, rounds: { type: 'string', default: '3' },
  megabytes: { type: 'string', default: '1000' }, open: { type: 'string', default: '9500' } } })
const clients = 50, request = Buffer.alloc(100, 'q'), answer = Buffer.alloc(1000, 'a'), chunk = Buffer.alloc(1 << 20, 'x')

const roles: Record<string, () => Promise<void>> = { backend, proxy }
const role = process.env.BENCH_ROLE
/** Answers a request, floods when the request says so, and keeps silent connections open. */
async function backend(): Promise<void> {
  const server = createServer({ allowHalfOpen: true, noDelay: true }, socket => {
    socket.on('error', () => {})
    socket.once('data', (first: Buffer) => {
      if (first[0] !== 'f'.charCodeAt(0)) { socket.end(answer); return }
      let left = Number(String(first.subarray(1)))
      const flood = (): void => { while (left-- > 0) if (!socket.write(chunk)) { socket.once('drain', flood); return } socket.end() }
      flood()
    })
    socket.on('end', () => socket.end())
  })
  await once(server.listen({ port: 0, host: '127.0.0.1', backlog: 65535 }), 'listening')
  process.send!((server.address() as AddressInfo).port)
  process.on('disconnect', () => process.exit(0))
}

/** Our proxy; the ports of its endpoints are in the environment. */
async function proxy(): Promise<void> {
  const balancer = new Balancer()
  balancer.update(process.env.BENCH_PORTS!.split(',').map(port => ({ ip: '127.0.0.1', port: Number(port), address: `127.0.0.1:${port}` }) as Endpoint), 0)
  const socket = await TcpProxySocket.open({ family: 4, address: '127.0.0.1', balancer, name: 'bench', log: logger('bench') }, 0)
  process.send!(socket.number)
  process.on('disconnect', () => process.exit(0))
}

async function start(name: string, env: Record<string, string> = {}): Promise<{ child: ChildProcess; port: number }> {
  const child = fork(import.meta.filename, { env: { ...process.env, BENCH_ROLE: name, ...env } })
  await raiseFileLimit(child.pid!)
  return { child, port: (await once(child, 'message'))[0] as number }
}

const raiseFileLimit = (pid: number) => run(['prlimit', '--pid', String(pid), '--nofile=100000:100000']).catch(() => {})

async function startHaproxy(ports: readonly number[]): Promise<{ child: ChildProcess; port: number } | undefined> {
  try { await run(['haproxy', '-v']) } catch { return undefined }
  const probe = createServer()
  await once(probe.listen(0, '127.0.0.1'), 'listening')
  const { port } = probe.address() as AddressInfo
  probe.close()
  await once(probe, 'close')
  const folder = mkdtempSync(join(tmpdir(), 'bench-haproxy-')), file = join(folder, 'haproxy.cfg')
  writeFileSync(file, `global
  nbthread 1
  maxconn 9900
defaults
  mode tcp
  timeout connect 1s
  timeout client 1h
  timeout server 1h
listen bench
  bind 127.0.0.1:${port} backlog 65535
  balance roundrobin
${ports.map((each, i) => `  server s${i} 127.0.0.1:${each}`).join('\n')}
`)
  const child = spawn('haproxy', ['-db', '-f', file], { stdio: ['ignore', 'ignore', 'inherit'] })
  await sleep(500)
  rmSync(folder, { recursive: true })
  return { child, port }
}

/** Seconds of CPU that a process has used. */
const cpuOf = (pid: number) => readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ').slice(11, 13).reduce((sum, ticks) => sum + Number(ticks), 0) / 100
const rssOf = (pid: number) => Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) / 1024

function exchange(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    let size = 0
    const socket = connect({ port, host: '127.0.0.1', noDelay: true })
    socket.on('connect', () => socket.write(request))
    socket.on('data', data => { size += data.length })
    socket.on('end', () => size === answer.length ? resolve() : reject(new Error(`${size} bytes came`)))
    socket.on('error', reject)
  })
}

async function connections(port: number, count: number): Promise<{ seconds: number; latencies: number[] }> {
  const started = performance.now(), latencies: number[] = []
  let left = count
  await Promise.all(Array.from({ length: clients }, async () => {
    while (left-- > 0) { const at = performance.now(); await exchange(port); latencies.push(performance.now() - at) }
  }))
  return { seconds: (performance.now() - started) / 1000, latencies }
}

/** Megabytes a second of one connection. */
async function transfer(port: number, megabytes: number): Promise<number> {
  const started = performance.now()
  const socket = connect({ port, host: '127.0.0.1', onread: { buffer: Buffer.alloc(1 << 20), callback: size => { received += size; return true } } })
  let received = 0
  socket.write(`f${megabytes}`)
  await once(socket, 'close')
  if (received !== megabytes << 20) throw new Error(`${received} bytes came`)
  return megabytes / (performance.now() - started) * 1000
}

const median = (numbers: readonly number[]) => numbers.toSorted((a, b) => a - b)[numbers.length >> 1]!
const quantile = (numbers: readonly number[], q: number) => numbers.toSorted((a, b) => a - b)[Math.ceil(numbers.length * q) - 1]!

async function openMany(port: number, count: number): Promise<Socket[]> {
  const sockets: Socket[] = []
  for (let i = 0; i < count; i += 500) {
    const batch = Array.from({ length: Math.min(500, count - i) }, () => connect({ port, host: '127.0.0.1' }))
    await Promise.all(batch.map(socket => once(socket, 'connect')))
    sockets.push(...batch)
  }
  await sleep(500)
  return sockets
}

async function main(): Promise<void> {
  await raiseFileLimit(process.pid)
  const backends = [await start('backend'), await start('backend')], ports = backends.map(({ port }) => port)
  const ours = await start('proxy', { BENCH_PORTS: ports.join(',') }), haproxy = await startHaproxy(ports)
  const subjects = [{ name: 'direct', port: ports[0]!, pid: undefined }, { name: 'fairway', port: ours.port, pid: ours.child.pid! },
    ...haproxy ? [{ name: 'haproxy', port: haproxy.port, pid: haproxy.child.pid! }] : []]
  const figures = new Map(subjects.map(({ name }) => [name, { rate: [] as number[], cpu: [] as number[], p50: [] as number[], p99: [] as number[], speed: [] as number[], cpuOfGigabyte: [] as number[], idle: '' }]))
  for (const { port } of subjects) await connections(port, 2000) // warm
  for (const { name, port, pid } of subjects) {
    if (pid === undefined) continue
    const before = rssOf(pid), sockets = await openMany(port, Number(values.open))
    figures.get(name)!.idle = `${((rssOf(pid) - before) / sockets.length * 1024).toFixed(1)} KiB each, ${rssOf(pid).toFixed()} MiB with ${sockets.length}`
    for (const socket of sockets) socket.destroy()
    await sleep(1000)
  }
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const { name, port, pid } of subjects) {
      const to = figures.get(name)!, count = Number(values.connections), megabytes = Number(values.megabytes)
      let before = pid === undefined ? 0 : cpuOf(pid)
      const { seconds, latencies } = await connections(port, count)
      await sleep(100)
      to.rate.push(count / seconds)
      to.p50.push(quantile(latencies, 0.5))
      to.p99.push(quantile(latencies, 0.99))
      if (pid !== undefined) { to.cpu.push((cpuOf(pid) - before) / count * 1e6); before = cpuOf(pid) }
      to.speed.push(await transfer(port, megabytes))
      if (pid !== undefined) to.cpuOfGigabyte.push((cpuOf(pid) - before) / megabytes * 1024)
    }
  }
  console.log('          connections/s  CPU us each  p50 ms  p99 ms    MiB/s  CPU s/GiB  memory of open connections')
  for (const [name, { rate, cpu, p50, p99, speed, cpuOfGigabyte, idle }] of figures) {
    const cell = (numbers: readonly number[], width: number, digits = 0) => (numbers.length > 0 ? median(numbers).toFixed(digits) : '').padStart(width)
    console.log(`${name.padEnd(10)}${cell(rate, 13)}${cell(cpu, 13, 1)}${cell(p50, 8, 2)}${cell(p99, 8, 2)}${cell(speed, 9)}${cell(cpuOfGigabyte, 11, 2)}  ${idle}`)
  }
  for (const { child } of [...backends, ours, ...haproxy ? [haproxy] : []]) child.kill()
  process.exit(0)
}

await (role ? roles[role]! : main)()
