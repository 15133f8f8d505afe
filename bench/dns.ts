// What a name costs: `fairway dns` with the default Corefile before an API server with Services and
// headless Services, and unbound with the same names as static data, asked by dnsperf in one run:
//   node bench/dns.ts [--services 10000] [--seconds 5] [--workers 2]
// CPU is the server process's own (user and system), a query; queries a second depend on what else
// the machine does. Needs dnsperf and unbound (Debian packages). Nothing leaves loopback.
import { spawn, type ChildProcess } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { ensurePki } from '#apiserver/pki/apply.ts'
import { createApiServer, type ApiServer } from '#apiserver/server.ts'
import { run } from '#host/run.ts'
import { silent } from '#lib/log.ts'
import { Query } from '#dns/query.ts'
import { decode } from '#dns/wire/message.ts'
import { parseName } from '#dns/wire/name.ts'

const { values } = parseArgs({ options: { services: { type: 'string', default: '10000' }, seconds: { type: 'string', default: '5' }, workers: { type: 'string', default: '2' } } })
const services = Number(values.services), headless = Math.max(1, Math.round(services / 50)), seconds = Number(values.seconds)
const dir = mkdtempSync(join(tmpdir(), 'fairway-bench-dns-'))
const endpointsOfOne = 10
const started: ChildProcess[] = []

const zone = 'svc.cluster.local'
const serviceName = (n: number) => `svc-${n}.bench.${zone}`, headlessName = (n: number) => `hl-${n}.bench.${zone}`
const clusterIp = (n: number) => `10.96.${n + 256 >> 8 & 255}.${n & 255}`, podIp = (n: number, k: number) => `10.244.${n & 255}.${k + 1}`

async function fillApi(api: ApiServer): Promise<void> {
  const transport = api.transport({ name: 'bench', groups: ['system:masters'] })
  const post = (path: string, body: object) => transport.request({ method: 'POST', path, body })
  await post('/api/v1/namespaces', { metadata: { name: 'bench' } })
  const ports = [{ name: 'http', port: 80, protocol: 'TCP' }]
  for (let n = 0; n < services; n++) await post('/api/v1/namespaces/bench/services', { metadata: { name: `svc-${n}` }, spec: { clusterIP: clusterIp(n), ports } })
  for (let n = 0; n < headless; n++) await post('/api/v1/namespaces/bench/services', { metadata: { name: `hl-${n}` }, spec: { clusterIP: 'None', ports } })
  for (let n = 0; n < headless; n++) await post('/apis/discovery.k8s.io/v1/namespaces/bench/endpointslices', slice(n))
}
const slice = (n: number) => ({ metadata: { name: `hl-${n}-a`, labels: { 'kubernetes.io/service-name': `hl-${n}` } }, addressType: 'IPv4', ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
  endpoints: Array.from({ length: endpointsOfOne }, (_, k) => ({ addresses: [podIp(n, k)], conditions: { ready: true } })) })

/** A tenth of the time NXDOMAIN and so on: what pods with search domains ask. */
function queryFiles(): { plain: string; mix: string } {
  const plain = join(dir, 'plain.txt'), mix = join(dir, 'mix.txt')
  const some = Array.from({ length: 2000 }, (_, i) => i * 7 % services)
  writeFileSync(plain, some.map(n => `${serviceName(n)} A\n`).join(''))
  writeFileSync(mix, some.map((n, i) => [`${serviceName(n)} A`, `${serviceName(n)} A`, `${serviceName(n)} AAAA`, `nosuch-${i}.bench.${zone} A`, `_http._tcp.${headlessName(n % headless)} SRV`][i % 5] + '\n').join(''))
  return { plain, mix }
}

const pidsOf = (pid: number): number[] => [pid, ...readdirSync('/proc').filter(name => /^\d+$/.test(name)).map(Number).filter(other => {
  try { return readFileSync(`/proc/${other}/stat`, 'utf8').split(') ')[1]!.split(' ')[1] === String(pid) } catch { return false }
})]
const cpu = (pids: number[]) => pids.reduce((sum, pid) => sum + readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ').slice(11, 13).reduce((ticks, part) => ticks + Number(part), 0) * 10_000, 0)
const rss = (pids: number[]) => pids.map(pid => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) / 1024)

interface Server { readonly name: string; readonly pid: number; readonly port: number }

async function dnsperf({ pid, port }: Server, file: string, more: string[] = []): Promise<{ qps: number; us: number; lost: number; average: number }> {
  const pids = pidsOf(pid), before = cpu(pids)
  const { stdout } = await run(['dnsperf', '-s', '127.0.0.1', '-p', String(port), '-d', file, '-l', String(seconds), '-c', '8', '-q', '100', '-e', ...more])
  const number = (pattern: RegExp) => Number(pattern.exec(stdout)?.[1] ?? NaN)
  const completed = number(/Queries completed:\s+(\d+)/)
  return { qps: number(/Queries per second:\s+([\d.]+)/), us: (cpu(pids) - before) / completed, lost: number(/Queries lost:\s+(\d+)/), average: number(/Average Latency \(s\):\s+([\d.]+)/) * 1000 }
}

/** One query; milliseconds until the answer. */
function asker(port: number): { ask(name: string, type?: number): Promise<{ ms: number; answer: Buffer }>; close(): void } {
  const socket = createSocket({ type: 'udp4', lookup: ((host: string, _: unknown, done: (error: null, address: string, family: number) => void) => done(null, host, 4)) as never })
  const waiting = new Map<number, (answer: Buffer) => void>()
  socket.on('message', message => waiting.get(message.readUInt16BE(0))?.(message))
  let id = 0
  return {
    ask: (name, type = 1) => new Promise((resolve, reject) => {
      const mine = id = (id + 1) & 0xffff, begun = performance.now()
      const timer = setTimeout(() => { waiting.delete(mine); reject(new Error(`no answer for ${name}`)) }, 2000)
      waiting.set(mine, answer => { clearTimeout(timer); waiting.delete(mine); resolve({ ms: performance.now() - begun, answer }) })
      socket.send(Query.make(parseName(name)!, type, { id: mine }).message, port, '127.0.0.1')
    }),
    close: () => socket.close(),
  }
}
const quantile = (numbers: readonly number[], q: number) => numbers.toSorted((a, b) => a - b)[Math.min(numbers.length - 1, Math.ceil(numbers.length * q) - 1)]!

async function startFairway(kubeconfig: string, port: number, workers: number): Promise<Server & { ready: number }> {
  const conf = join(dir, `Corefile-${port}`)
  // kubeadm's, with Fairway's ttl; no upstream, as in a cluster without a way out.
  writeFileSync(conf, `.:${port} {
    bind 127.0.0.1
    errors
    health 127.0.0.1:${port + 1} {
        lameduck 5s
    }
    ready 127.0.0.1:${port + 2}
    kubernetes cluster.local in-addr.arpa ip6.arpa {
        kubeconfig ${kubeconfig}
        pods insecure
        ttl 30
        fallthrough in-addr.arpa ip6.arpa
    }
    prometheus 127.0.0.1:${port + 3}
    loop
    reload
    loadbalance
}
`)
  const cache = join(dir, 'compile-cache')
  mkdirSync(cache, { recursive: true, mode: 0o700 })
  const begun = performance.now()
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', join(import.meta.dirname, '../src/main.ts'), 'dns', '-quiet', '-conf', conf, '-workers', String(workers)], { stdio: ['ignore', 'inherit', 'inherit'], env: { ...process.env, NODE_COMPILE_CACHE: cache } })
  started.push(child)
  for (;;) {
    try { if ((await fetch(`http://127.0.0.1:${port + 2}/ready`)).ok) break } catch { /* not listening yet */ }
    if (performance.now() - begun > 30_000) throw new Error('fairway dns is not ready within 30 s')
    await new Promise(resolve => setTimeout(resolve, 5))
  }
  return { name: `fairway dns, ${workers} worker${workers > 1 ? 's' : ''}`, pid: child.pid!, port, ready: performance.now() - begun }
}

async function startUnbound(port: number): Promise<Server> {
  const conf = join(dir, 'unbound.conf')
  const data = [...Array.from({ length: services }, (_, n) => `local-data: "${serviceName(n)}. 30 A ${clusterIp(n)}"`),
    ...Array.from({ length: headless }, (_, n) => Array.from({ length: endpointsOfOne }, (_, k) =>
      `local-data: "_http._tcp.${headlessName(n)}. 30 SRV 0 10 8080 ${podIp(n, k).replaceAll('.', '-')}.${headlessName(n)}."\nlocal-data: "${podIp(n, k).replaceAll('.', '-')}.${headlessName(n)}. 30 A ${podIp(n, k)}"`).join('\n'))]
  writeFileSync(conf, `server:\n  interface: 127.0.0.1@${port}\n  num-threads: 1\n  do-daemonize: no\n  use-syslog: no\n  chroot: ""\n  username: ""\n  directory: "${dir}"\n  pidfile: ""\n  local-zone: "cluster.local." static\n  local-data: "cluster.local. 30 SOA ns.cluster.local. h.cluster.local. 1 7200 1800 86400 30"\n  ${data.join('\n').replaceAll('\n', '\n  ')}\nremote-control:\n  control-enable: no\n`)
  const child = spawn('unbound', ['-c', conf], { stdio: ['ignore', 'ignore', 'ignore'] })
  started.push(child)
  const { ask, close } = asker(port)
  for (let tries = 0; ; tries++) {
    try { await ask(serviceName(0)); break } catch (error) { if (tries > 10) throw error }
  }
  close()
  return { name: 'unbound, static data, 1 thread', pid: child.pid!, port }
}

async function changes(api: ApiServer, { port }: Server): Promise<number[]> {
  const transport = api.transport({ name: 'bench', groups: ['system:masters'] })
  const { ask, close } = asker(port), times: number[] = []
  for (let i = 0; i < 100; i++) {
    const n = i % headless, address = `10.250.${i >> 8}.${i & 255}`
    const begun = performance.now()
    await transport.request({ method: 'PATCH', path: `/apis/discovery.k8s.io/v1/namespaces/bench/endpointslices/hl-${n}-a`, contentType: 'application/merge-patch+json', body: { endpoints: [{ addresses: [address], conditions: { ready: true } }] } })
    for (;;) {
      const { answer } = await ask(headlessName(n))
      if (decode(answer).answer.some(({ data }) => [...data].join('.') === address)) break
    }
    times.push(performance.now() - begun)
  }
  close()
  return times
}

/** Waiting times of single queries while dnsperf asks at half of what the server can. */
async function underLoad(server: Server, file: string, qps: number): Promise<number[]> {
  const { ask, close } = asker(server.port), times: number[] = []
  const load = dnsperf(server, file, ['-Q', String(Math.round(qps / 2))])
  let isOver = false
  void load.finally(() => { isOver = true })
  while (!isOver) {
    times.push((await ask(serviceName(times.length % services))).ms)
    await new Promise(resolve => setTimeout(resolve, 2))
  }
  close()
  return times
}

async function measure(server: Server, files: { plain: string; mix: string }): Promise<number> {
  await dnsperf(server, files.mix, ['-l', '2']) // warm
  let best = 0
  for (const [what, file] of Object.entries(files)) {
    const { qps, us, lost } = await dnsperf(server, file)
    best = qps
    console.log(`${server.name.padEnd(34)} ${what.padEnd(6)} ${us.toFixed(1).padStart(6)} us CPU a query ${String(Math.round(qps)).padStart(8)} q/s  lost ${lost}  RSS ${rss(pidsOf(server.pid)).map(Math.round).join('+')} MB`)
  }
  return best
}

async function main(): Promise<void> {
  const pki = await ensurePki(join(dir, 'pki'), { serviceIp: '10.96.0.1', advertiseAddress: '127.0.0.1', nodeNames: [] })
  const api = await createApiServer({ pki }, { log: silent })
  await fillApi(api)
  const { port } = await api.listen({ host: '127.0.0.1', port: 0 })
  const base64 = (text: string) => Buffer.from(text).toString('base64')
  const kubeconfig = join(dir, 'kubeconfig')
  writeFileSync(kubeconfig, JSON.stringify({ apiVersion: 'v1', kind: 'Config', 'current-context': 'c', contexts: [{ name: 'c', context: { cluster: 'c', user: 'u' } }],
    clusters: [{ name: 'c', cluster: { server: `https://127.0.0.1:${port}`, 'certificate-authority-data': base64(pki.ca) } }],
    users: [{ name: 'u', user: { 'client-certificate-data': base64(pki.admin.cert), 'client-key-data': base64(pki.admin.key) } }] }), { mode: 0o600 })
  console.log(`${services} Services, ${headless} headless with ${endpointsOfOne} endpoints each`)
  const files = queryFiles()
  await measure(await startUnbound(5301), files)
  const cold = await startFairway(kubeconfig, 5310, 1)
  process.kill(cold.pid, 'SIGKILL')
  const warm = await startFairway(kubeconfig, 5320, 1)
  console.log(`start to ready: ${cold.ready.toFixed(0)} ms with a cold compile cache, ${warm.ready.toFixed(0)} ms warm; RSS then ${rss([warm.pid]).map(Math.round)} MB`)
  const best = await measure(warm, files)
  const waits = await underLoad(warm, files.mix, best)
  console.log(`at half of that: p50 ${quantile(waits, 0.5).toFixed(2)} ms, p99 ${quantile(waits, 0.99).toFixed(2)} ms (${waits.length} queries)`)
  const times = await changes(api, warm)
  console.log(`EndpointSlice changed to answer changed: p50 ${quantile(times, 0.5).toFixed(1)} ms, p99 ${quantile(times, 0.99).toFixed(1)} ms`)
  process.kill(warm.pid, 'SIGKILL')
  const many = await measure(await startFairway(kubeconfig, 5330, Number(values.workers)), files)
  console.log(`${values.workers} workers: ${(many / best).toFixed(2)} times the queries of one`)
  for (const child of started) child.kill('SIGKILL')
  await api.close()
}

try { await main() } finally {
  for (const child of started) child.kill('SIGKILL')
  rmSync(dir, { recursive: true, force: true })
}
process.exit()
