// The command as people run it: processes, signals, flags.
import assert from 'node:assert/strict'
import { spawn, type ChildProcess } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { parseFlags } from './config.ts'
import { Query } from './query.ts'
import { decode } from './wire/message.ts'
import { parseName } from './wire/name.ts'

const dir = mkdtempSync(join(tmpdir(), 'fairway-dns-'))
const running: ChildProcess[] = []
after(() => { for (const child of running) child.kill('SIGKILL'); rmSync(dir, { recursive: true, force: true }) })

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  return port
}
async function fairway(...args: string[]): Promise<{ child: ChildProcess; out: () => string; ended: Promise<number> }> {
  const child = spawn(process.execPath, [join(import.meta.dirname, '../main.ts'), 'dns', ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  running.push(child)
  let text = ''
  for (const stream of [child.stdout!, child.stderr!]) stream.on('data', piece => { text += piece })
  const ended = once(child, 'exit').then(([code]) => code as number)
  await Promise.race([ended, new Promise<void>(resolve => { const timer = setInterval(() => { if (/Fairway DNS/.test(text)) { clearInterval(timer); resolve() } }, 10); void ended.finally(() => clearInterval(timer)) })])
  return { child, out: () => text, ended }
}

/** The rcode, or undefined when nothing came in time. A new socket each time: another worker may get it. */
async function ask(port: number, ms = 1000): Promise<number | undefined> {
  const socket = createSocket('udp4')
  socket.on('error', () => {})
  try {
    socket.send(Query.make(parseName('localhost')!, 1).message, port, '127.0.0.1')
    return decode((await once(socket, 'message', { signal: AbortSignal.timeout(ms) }))[0] as Buffer).rcode
  } catch { return undefined } finally { socket.close() }
}
const page = async (port: number, path: string) => { const response = await fetch(`http://127.0.0.1:${port}${path}`); return { code: response.status, text: await response.text() } }

test('flags', () => {
  assert.deepEqual(parseFlags([]), { conf: undefined, port: 53, pidfile: undefined, quiet: false, workers: 1, show: undefined })
  assert.deepEqual(parseFlags(['-conf', 'F', '--dns.port=1053', '-quiet', '-pidfile', 'P', '-workers', '2']), { conf: 'F', port: 1053, pidfile: 'P', quiet: true, workers: 2, show: undefined })
  for (const argv of [['x'], ['-nosuch'], ['-conf'], ['-dns.port', '70000'], ['-workers', '0']]) assert.throws(() => parseFlags(argv), /fairway dns/)
})

test('a wrong Corefile: one line, exit code 1', async () => {
  const conf = join(dir, 'wrong')
  writeFileSync(conf, '.:0 {\n  nosuch\n}\n')
  const { ended, out } = await fairway('-conf', conf)
  assert.equal(await ended, 1)
  assert.match(out(), /^error: .*wrong:2 - Error during parsing: unknown plugin 'nosuch'/m)
})

test('three processes: all answer, their metrics are one sum, a dead one comes back; reload; SIGTERM loses no query', async () => {
  const [port, web] = [await freePort(), await freePort()]
  const conf = join(dir, 'Corefile'), pidfile = join(dir, 'pid')
  const corefile = (more: string) => `.:${port} {\n  bind 127.0.0.1\n  health 127.0.0.1:${web} {\n    lameduck 500ms\n  }\n  ready 127.0.0.1:${web}\n  prometheus 127.0.0.1:${web}\n  multisocket 3\n  ${more}\n}\n`
  writeFileSync(conf, corefile('local'))
  const { child, ended, out } = await fairway('-conf', conf, '-pidfile', pidfile)
  assert.equal(readFileSync(pidfile, 'utf8').trim(), String(child.pid))
  const rcodes = await Promise.all(Array.from({ length: 60 }, () => ask(port)))
  assert.deepEqual(new Set(rcodes), new Set([0]))
  const { text } = await page(web, '/metrics')
  assert.match(text, /^coredns_dns_requests_total\{server="dns:\/\/127\.0\.0\.1:\d+",zone="\.",view="",proto="udp",family="1",type="A"\} 60$/m)
  assert.deepEqual(await page(web, '/ready'), { code: 200, text: 'OK' })

  const worker = Number(readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8').trim().split(' ')[0])
  process.kill(worker, 'SIGKILL')
  const children = () => readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8').trim().split(' ').map(Number)
  for (let i = 0; i < 200 && (children().includes(worker) || children().length < 2); i++) await new Promise(resolve => setTimeout(resolve, 50))
  assert.match(out(), /a worker ended and is started again/)
  assert.equal(children().length, 2)

  writeFileSync(conf, corefile('acl {\n    block\n  }\n  whoami'))
  child.kill('SIGUSR1')
  for (let i = 0; i < 100 && (await Promise.all(Array.from({ length: 20 }, () => ask(port)))).some(rcode => rcode !== 5); i++) await new Promise(resolve => setTimeout(resolve, 20))
  assert.deepEqual(new Set(await Promise.all(Array.from({ length: 20 }, () => ask(port)))), new Set([5]))

  child.kill('SIGTERM')
  const asked = Date.now()
  let lost = 0
  while (Date.now() - asked < 350) if (await ask(port, 300) === undefined) lost++
  assert.equal(lost, 0, 'in lameduck')
  assert.equal((await page(web, '/health')).code, 200)
  assert.equal((await page(web, '/ready')).code, 503)
  assert.equal(await ended, 0)
  assert.equal(await ask(port, 200), undefined)
})
