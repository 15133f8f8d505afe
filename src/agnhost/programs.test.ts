// The smaller programs, on loopback and as processes.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { mkdir, mkdtemp, rm, symlink, utimes, writeFile } from 'node:fs/promises'
import { createConnection, createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { attempt } from './connect/main.ts'
import { outcome, splitHostPort } from './connect/outcome.ts'
import { firstLine } from './dns/resolv-conf.ts'
import { start as startNginx } from './nginx/server.ts'
import { refuseConfiguration, request, site as nginxSite } from './nginx/site.ts'
import { portsOf } from './porter/ports.ts'
import { start as startPorter } from './porter/server.ts'
import { start as startServeHostname } from './serve-hostname/server.ts'
import { listen } from './server.ts'
import { serveFiles } from './static/apply.ts'
import { normalise, rangeOf } from './static/files.ts'
import { site as testWebserverSite } from './test-webserver/site.ts'
import { start as startTomcat } from './tomcat/server.ts'

let directory = ''
before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'agnhost-'))
  await mkdir(join(directory, 'ROOT/sub'), { recursive: true })
  await mkdir(join(directory, 'app'))
  await writeFile(join(directory, 'ROOT/index.html'), 'welcome')
  await writeFile(join(directory, 'ROOT/a b.txt'), '0123456789')
  await writeFile(join(directory, 'app/index.html'), 'app')
  await symlink('index.html', join(directory, 'ROOT/link'))
  await utimes(join(directory, 'ROOT/index.html'), 1_700_000_000, 1_700_000_000)
})
after(() => rm(directory, { recursive: true }))

const quietly = async <T>(run: () => Promise<T>): Promise<T> => {
  const kept = process.stderr.write
  process.stderr.write = (() => true) as typeof kept
  try { return await run() } finally { process.stderr.write = kept }
}
const get = async (port: number, path: string, headers: Record<string, string> = {}, method = 'GET') => {
  const response = await fetch(`http://127.0.0.1:${port}${path}`, { headers, method, redirect: 'manual' })
  return [response.status, await response.text()]
}
const read = (port: number) => new Promise<string>((resolve, reject) => {
  let text = ''
  createConnection(port, '127.0.0.1').on('data', data => { text += data }).on('end', () => resolve(text)).on('error', reject)
})

test('serve-hostname answers any path with the host name and no newline', () => quietly(async () => {
  const [server] = await startServeHostname({ http: true, tcp: false, udp: false, close: true, port: 0 })
  const response = await fetch(`http://127.0.0.1:${server!.port}/any/path`)
  assert.equal(response.headers.get('connection'), 'close')
  assert.equal(await response.text(), hostname())
  await server!.close(0)
}))

test('serve-hostname over TCP and UDP at once, and not with HTTP', () => quietly(async () => {
  await assert.rejects(startServeHostname({ http: true, tcp: true, udp: false, close: false, port: 0 }), /at the same time/)
  const servers = await startServeHostname({ http: false, tcp: true, udp: true, close: false, port: 0 })
  assert.equal(await read(servers[0]!.port), hostname())
  const client = createSocket('udp4')
  const reply = new Promise(resolve => client.once('message', data => resolve(data.toString())))
  client.send('x', servers[1]!.port, '127.0.0.1')
  assert.equal(await reply, hostname())
  client.close()
  await Promise.all(servers.map(server => server.close(0)))
}))

test('porter reads its ports from the environment', () => {
  assert.deepEqual(portsOf({ SERVE_PORT_80: 'a', SERVE_TCP_PORT_81: 'b', SERVE_UDP_PORT_53: 'c', SERVE_TLS_PORT_443: 'd', SERVE_PORT_0: 'x', SERVE_PORT_x: 'y', HOME: '/' }), {
    ports: [{ protocol: 'tcp', port: 80, value: 'a' }, { protocol: 'tcp', port: 81, value: 'b' }, { protocol: 'udp', port: 53, value: 'c' }, { protocol: 'tls', port: 443, value: 'd' }],
    invalid: ['SERVE_PORT_0', 'SERVE_PORT_x'],
  })
})

test('porter serves the value, as JSON when asked, and goes on when one port fails', () => quietly(async () => {
  const taken = createServer().listen(0, '0.0.0.0')
  await new Promise(resolve => taken.once('listening', resolve))
  const free = await freePort()
  const servers = await startPorter({ [`SERVE_PORT_${free}`]: 'v=1', [`SERVE_PORT_${(taken.address() as AddressInfo).port}`]: 'never' }, true)
  assert.equal(servers.length, 1)
  assert.deepEqual(await get(free, '/x', {}, 'POST'), [200, '{"Method":"POST","Body":"v=1"}'])
  await servers[0]!.close(0)
  taken.close()
}))
const freePort = async () => { const server = createServer().listen(0); await new Promise(resolve => server.once('listening', resolve)); const { port } = server.address() as AddressInfo; await new Promise<void>(resolve => { server.close(() => resolve()) }); return port }

test('connect says how it failed', async () => {
  const closed = await freePort()
  const options = { timeoutMs: 1000, data: 'hostname' }
  const server = createServer(socket => socket.end()).listen(0)
  await new Promise(resolve => server.once('listening', resolve))
  assert.equal(await attempt(`127.0.0.1:${(server.address() as AddressInfo).port}`, 'tcp', options), undefined)
  server.close()
  assert.equal(await attempt(`127.0.0.1:${closed}`, 'tcp', options), 'REFUSED')
  assert.match((await attempt(`127.0.0.1:${closed}`, 'udp', options))!, /^REFUSED: /)
  assert.match((await attempt('nowhere.invalid:80', 'tcp', options))!, /^DNS: /)
  assert.match((await attempt('127.0.0.1', 'tcp', options))!, /^UNKNOWN: /)
  assert.equal(outcome('tcp', { code: 'TIMEOUT', message: '' }), 'TIMEOUT')
  assert.equal(outcome('tcp', { code: 'EHOSTUNREACH', message: 'x' }), 'OTHER: x')
  assert.deepEqual(splitHostPort('[::1]:80'), { host: '::1', port: 80 })
})

test('dns-suffix and dns-server-list take the first line', () => {
  const conf = 'nameserver 10.96.0.10\nsearch a.svc.cluster.local cluster.local\noptions ndots:5\n'
  assert.equal(firstLine(conf, 'search'), 'a.svc.cluster.local,cluster.local')
  assert.equal(firstLine(conf, 'nameserver'), '10.96.0.10')
  assert.throws(() => firstLine('', 'search'), /no search line/)
})

test('paths stay below the root', () => {
  const cases: [string, string | undefined][] = [['/', '/'], ['/a//b/./c/', '/a/b/c/'], ['/a/../b', '/b'], ['/..', undefined], ['/a/../../etc/passwd', undefined], ['/a\0', undefined], ['/a/b/..', '/a/']]
  for (const [path, expected] of cases) assert.equal(normalise(path), expected, path)
})

test('ranges', () => {
  const cases: [string | undefined, unknown][] = [['bytes=0-3', { start: 0, end: 3 }], ['bytes=5-', { start: 5, end: 9 }], ['bytes=-3', { start: 7, end: 9 }], ['bytes=0-99', { start: 0, end: 9 }],
    ['bytes=10-', 'unsatisfiable'], ['bytes=-0', 'unsatisfiable'], ['bytes=3-1', undefined], ['bytes=0-1,3-4', undefined], ['lines=1-2', undefined], [undefined, undefined]]
  for (const [header, expected] of cases) assert.deepEqual(rangeOf(header, 10), expected, header ?? 'no header')
})

test('the nginx stand-in serves files as nginx does', async () => {
  const lines: string[] = []
  const server = await listen(0, serveFiles(nginxSite(join(directory, 'ROOT')), line => lines.push(line)))
  const { port } = server
  assert.deepEqual(await get(port, '/'), [200, 'welcome'])
  assert.deepEqual(await get(port, '/a%20b.txt', { range: 'bytes=2-4' }), [206, '234'])
  assert.equal((await get(port, '/a%20b.txt', { range: 'bytes=20-' }))[0], 416)
  assert.deepEqual(await get(port, '/', { 'if-modified-since': 'Tue, 14 Nov 2023 22:13:20 GMT' }), [304, ''])
  assert.deepEqual(await get(port, '/', { 'if-none-match': '"6553f100-7"' }), [304, ''])
  assert.deepEqual(await get(port, '/link'), [200, 'welcome'])
  assert.equal((await get(port, '/missing'))[0], 404)
  assert.equal((await get(port, '/sub/'))[0], 403)
  assert.equal((await get(port, '/sub'))[0], 301)
  assert.equal((await get(port, '/', {}, 'POST'))[0], 405)
  assert.equal((await get(port, '/%zz'))[0], 400)
  assert.deepEqual(await get(port, '/', {}, 'HEAD'), [200, ''])
  assert.match(lines[0]!, /^127\.0\.0\.1 - - \[\d\d\/\w{3}\/\d{4}:\d\d:\d\d:\d\d \+0000\] "GET \/ HTTP\/1\.1" 200 7 "-" "node" "-"$/)
  await server.close(0)
})

test('the nginx stand-in refuses what it cannot do', async () => {
  assert.deepEqual(request(['-g', 'daemon off;']), { kind: 'serve' })
  assert.equal(request(['-v']).kind, 'print')
  assert.equal(request(['-c', '/my.conf']).kind, 'refuse')
  assert.equal(request(['-s', 'reload']).kind, 'refuse')
  assert.equal(refuseConfiguration([]), undefined)
  await writeFile(join(directory, 'app/x.conf'), 'server { listen 81; }')
  await assert.rejects(startNginx(0, directory, join(directory, 'app')), /x\.conf needs the real nginx/)
})

test('the tomcat stand-in maps applications', async () => {
  const server = await startTomcat(0, directory, '8.5')
  assert.deepEqual(await get(server.port, '/'), [200, 'welcome'])
  assert.deepEqual(await get(server.port, '/app/'), [200, 'app'])
  const [status, body] = await get(server.port, '/no<pe')
  assert.equal(status, 404)
  assert.match(String(body), /HTTP Status 404 – Not Found.*\[\/no&#60;pe\].*Apache Tomcat\/8\.5/)
  assert.equal((await get(server.port, '/WEB-INF/web.xml'))[0], 404)
  await server.close(0)
})

test('test-webserver lists directories and never answers 304', async () => {
  const server = await listen(0, serveFiles(testWebserverSite(directory)))
  assert.match(String((await get(server.port, '/'))[1]), /<a href="ROOT\/">ROOT\/<\/a>\n<a href="app\/">/)
  assert.deepEqual(await get(server.port, '/ROOT/', { 'if-modified-since': new Date(Date.now() + 1000).toUTCString() }), [200, 'welcome'])
  assert.deepEqual(await get(server.port, '/nope'), [404, '404 page not found\n'])
  await server.close(0)
})

const main = join(import.meta.dirname, '../main.ts')
test('as a process: pause ends on SIGTERM with 2, an unknown name says what there is', async () => {
  const paused = spawn(process.execPath, [main, 'agnhost', 'pause'], { stdio: ['ignore', 'pipe', 'inherit'] })
  const text = await new Promise<string>(resolve => paused.stdout.once('data', data => resolve(String(data))))
  assert.equal(text, 'Paused\n')
  paused.kill('SIGTERM')
  assert.equal(await new Promise(resolve => paused.once('close', resolve)), 2)
  const unknown = spawn(process.execPath, [main, 'agnhost', 'nope'], { stdio: ['ignore', 'ignore', 'pipe'] })
  let errors = ''
  unknown.stderr.on('data', data => { errors += data })
  assert.equal(await new Promise(resolve => unknown.once('close', resolve)), 1)
  assert.match(errors, /unknown command "nope".*\n.*connect/)
})
