// The kubelet's server on loopback with real certificates: exec and attach over WebSocket, logs, and
// who gets in. The runtime is the fake with sessions of this test's own.
import assert from 'node:assert/strict'
import { appendFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { get } from 'node:https'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { PassThrough } from 'node:stream'
import { after, before, test } from 'node:test'
import { WebSocket } from 'ws'
import type { Pki } from '#apiserver/config.ts'
import { ensurePki } from '#apiserver/pki/apply.ts'
import { resources } from '#api/resources.ts'
import { fakeRuntime, type FakeRuntime } from '#kubelet/runtime/fake.ts'
import type { ExecSession } from '#kubelet/runtime/cri.ts'
import { startKubeletServer, type KubeletServer } from '#kubelet/server.ts'
import { systemClock } from '#lib/clock.ts'
import { silent } from '#lib/log.ts'
import { podOf, testNode, type TestNode } from './cluster.ts'

let pki: Pki, server: KubeletServer, node: TestNode, runtime: FakeRuntime, folder: string
const sizes: [number, number][] = []
let killed = 0

/** `echo`: what comes in goes out; `exit N`: ends so; `stderr`: says something there. */
function scripted(command: readonly string[], stdin: boolean): ExecSession {
  const stdout = new PassThrough(), stderr = new PassThrough(), input = stdin ? new PassThrough() : undefined
  const { promise, resolve } = Promise.withResolvers<number>()
  const end = (code: number) => { stdout.end(); stderr.end(); resolve(code) }
  if (command[0] === 'exit') { stdout.write('bye\n'); stderr.write('oh\n'); end(Number(command[1])) }
  if (command[0] === 'echo') { input!.on('data', chunk => stdout.write(chunk)); input!.on('end', () => end(0)) }
  return { stdin: input, stdout, stderr, resize: (columns, rows) => { sizes.push([columns, rows]) }, kill: () => { killed++; end(137) }, exitCode: promise }
}

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'fairway-pki-'))
  pki = await ensurePki(folder, { serviceIp: '10.96.0.1', advertiseAddress: '127.0.0.1', nodeNames: ['node1'] })
  runtime = fakeRuntime({ clock: systemClock, images: ['web:1'] })
  runtime.exec = async (_, { command, stdin }) => { if (command[0] === 'broken') throw new Error('no such program'); return scripted(command, stdin) }
  node = await testNode(runtime)
  server = await startKubeletServer({ kubelet: node.kubelet, runtime, tls: { ca: pki.ca, ...pki.kubelets.get('node1')! }, host: '127.0.0.1', port: 0, log: silent })
  await node.client.create(resources.pods, 'default', podOf('web', { containers: [{ name: 'c', image: 'web:1' }] }))
  await node.until('web', pod => pod?.status?.phase === 'Running')
})
after(async () => {
  await server.close()
  await node[Symbol.asyncDispose]()
  rmSync(folder, { recursive: true, force: true })
})

const asApiServer = () => ({ ca: pki.ca, cert: pki.apiserverKubeletClient.cert, key: pki.apiserverKubeletClient.key, servername: 'node1' })

interface Talk { readonly socket: WebSocket; readonly out: Buffer[]; readonly err: Buffer[]; readonly status: Promise<{ status: string; reason?: string; details?: { causes: { message: string }[] }; message?: string }> }

async function connect(path: string, protocol: string | string[] = 'v5.channel.k8s.io'): Promise<Talk> {
  const socket = new WebSocket(`wss://127.0.0.1:${server.port}${path}`, protocol, asApiServer())
  const out: Buffer[] = [], err: Buffer[] = []
  const { promise, resolve, reject } = Promise.withResolvers<Awaited<Talk['status']>>()
  promise.catch(() => {})
  socket.on('message', (data: Buffer) => {
    if (data[0] === 1) out.push(data.subarray(1))
    if (data[0] === 2) err.push(data.subarray(1))
    if (data[0] === 3) resolve(JSON.parse(data.subarray(1).toString()))
  })
  socket.on('close', () => reject(new Error('closed without a status')))
  await new Promise((opened, failed) => { socket.once('open', opened); socket.once('error', failed) })
  return { socket, out, err, status: promise }
}
const text = (chunks: Buffer[]) => Buffer.concat(chunks).toString()
const send = (socket: WebSocket, channel: number, data: Uint8Array | string) => socket.send(Buffer.concat([Buffer.from([channel]), Buffer.from(data as never)]))

for (const protocol of ['v5.channel.k8s.io', 'v4.channel.k8s.io']) {
  for (const code of [0, 7]) test(`exec over ${protocol} with exit status ${code}`, async () => {
    const talk = await connect(`/exec/default/web/c?output=1&error=1&command=exit&command=${code}`, protocol)
    const status = await talk.status
    assert.equal(talk.socket.protocol, protocol)
    assert.equal(text(talk.out), 'bye\n')
    assert.equal(text(talk.err), 'oh\n')
    if (code === 0) assert.deepEqual(status, { metadata: {}, status: 'Success' })
    else {
      assert.equal(status.reason, 'NonZeroExitCode')
      assert.equal(status.details!.causes[0]!.message, '7')
    }
  })
}

test('the newest common protocol is chosen', async () => {
  const talk = await connect('/exec/default/web/c?output=1&command=exit&command=0', ['v4.channel.k8s.io', 'v5.channel.k8s.io'])
  assert.equal(talk.socket.protocol, 'v5.channel.k8s.io')
  await talk.status
})

test('input, its end (v5), and the size of the terminal arrive', async () => {
  const talk = await connect('/exec/default/web/c?input=1&output=1&command=echo')
  const big = Buffer.alloc(1 << 20, 'x')
  send(talk.socket, 4, '{"Width":80,"Height":24}')
  send(talk.socket, 0, 'hello ')
  send(talk.socket, 0, big)
  send(talk.socket, 255, Buffer.from([0]))
  assert.equal((await talk.status).status, 'Success')
  assert.equal(text(talk.out), `hello ${big}`)
  assert.deepEqual(sizes.at(-1), [80, 24])
})

test('a client that leaves ends what it started', async () => {
  const talk = await connect('/exec/default/web/c?input=1&output=1&command=echo')
  const before = killed
  talk.socket.terminate()
  await node.settled(() => killed === before + 1)
})

test('a command that cannot be started is an error on the error channel', async () => {
  const { status } = await connect('/exec/default/web/c?output=1&command=broken')
  assert.equal((await status).message, 'no such program')
})

for (const [what, path, protocol, code] of [
  ['an unknown pod', '/exec/default/nobody/c?command=x', 'v5.channel.k8s.io', 404],
  ['an unknown subprotocol', '/exec/default/web/c?command=x', 'v9.channel.k8s.io', 400],
  ['no command', '/exec/default/web/c', 'v5.channel.k8s.io', 400],
] as const) test(`${what} is refused with ${code}`, async () => {
  await assert.rejects(connect(path, protocol), new RegExp(`Unexpected server response: ${code}`))
})

/** Body so far, as it comes. */
function fetchLog(path: string, tls: object = asApiServer(), headers: Record<string, string> = {}): Promise<{ code: number; body: () => string; ended: Promise<void> }> {
  return new Promise((resolve, reject) => {
    get({ host: '127.0.0.1', port: server.port, path, headers, agent: false, ...tls }, response => {
      let body = ''
      const ended = new Promise<void>(done => response.on('end', done))
      response.on('data', chunk => { body += chunk })
      resolve({ code: response.statusCode!, body: () => body, ended })
    }).on('error', reject)
  })
}

test('SPDY is refused with words that help', async () => {
  const { code, body, ended } = await fetchLog('/exec/default/web/c?command=x', asApiServer(), { connection: 'Upgrade', upgrade: 'SPDY/3.1' })
  await ended
  assert.equal(code, 400)
  assert.match(body(), /SPDY is not supported: use kubectl 1\.31 or later/)
})

test('only the API server gets in', async () => {
  const stranger = await fetchLog('/pods', { ca: pki.ca, servername: 'node1' })
  assert.equal(stranger.code, 401)
  const kubelet = await fetchLog('/pods', { ca: pki.ca, ...pki.kubelets.get('node1')!, servername: 'node1' })
  assert.equal(kubelet.code, 403)
  assert.equal((await fetchLog('/pods', { ca: pki.ca, ...pki.admin, servername: 'node1' })).code, 200)
  const healthz = await fetchLog('/healthz')
  await healthz.ended
  assert.equal(healthz.body(), 'ok')
})

test('logs: the tail, then line by line as they come, until the container ends', async () => {
  await node.client.create(resources.pods, 'default', podOf('talks', { restartPolicy: 'Never', containers: [{ name: 'c', image: 'web:1' }] }))
  await node.until('talks', pod => pod?.status?.phase === 'Running')
  const running = runtime.listContainers().find(container => container.logPath.includes('_talks_'))!
  mkdirSync(dirname(running.logPath), { recursive: true })
  writeFileSync(running.logPath, '2026-01-01T00:00:01.5Z stdout F one\n2026-01-01T00:00:02.5Z stderr F two\n')
  const log = await fetchLog('/containerLogs/default/talks/c?follow=true&tailLines=1')
  await node.settled(() => log.body() === 'two\n')
  appendFileSync(running.logPath, '2026-01-01T00:00:03.5Z stdout F three\n')
  await node.settled(() => log.body() === 'two\nthree\n', 500)
  appendFileSync(running.logPath, '2026-01-01T00:00:04.5Z stdout F four\n')
  runtime.exit(running.id, 0)
  await log.ended
  assert.equal(log.body(), 'two\nthree\nfour\n')
  const stamped = await fetchLog('/containerLogs/default/talks/c?timestamps=true&sinceTime=2026-01-01T00:00:03Z&limitBytes=30')
  await stamped.ended
  assert.equal(stamped.body(), '2026-01-01T00:00:03.5Z three\n2')
  const previous = await fetchLog('/containerLogs/default/talks/c?previous=true')
  await previous.ended
  assert.equal(previous.code, 400)
  assert.equal(previous.body(), 'previous terminated container "c" in pod "talks" not found\n')
})
