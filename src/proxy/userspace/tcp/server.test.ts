// The TCP proxy with real sockets on loopback.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { test, type TestContext } from 'node:test'
import { silent } from '#lib/log.ts'
import type { Endpoint } from '../../endpoints.ts'
import { Balancer } from '../balancer.ts'
import { TcpProxySocket } from './server.ts'

const endpoint = (port: number, ip = '127.0.0.1'): Endpoint => ({ ip, port, address: `${ip}:${port}`, isLocal: false, ready: true, serving: true, terminating: false, nodeName: '', zoneHints: [], nodeHints: [] })

async function serve(t: TestContext, handler: (socket: Socket) => void, host = '127.0.0.1'): Promise<Endpoint> {
  const sockets = new Set<Socket>()
  const server: Server = createServer({ allowHalfOpen: true }, socket => { sockets.add(socket); socket.on('error', () => {}); handler(socket) })
  await once(server.listen(0, host), 'listening')
  t.after(() => { server.close(); for (const socket of sockets) socket.destroy() })
  return endpoint((server.address() as AddressInfo).port, host)
}

/** All that comes. Unlike node:stream/consumers it leaves the socket as it is, so that it may still be written to. */
async function buffer(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = []
  socket.on('data', chunk => chunks.push(chunk as Buffer)).resume()
  await once(socket, 'end')
  return Buffer.concat(chunks)
}
const text = async (socket: Socket) => String(await buffer(socket))

/** A port on which nobody listens. */
async function refusing(): Promise<Endpoint> {
  const server = createServer()
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return endpoint(port)
}

async function proxyTo(t: TestContext, endpoints: readonly Endpoint[], affinitySeconds = 0): Promise<{ call: () => Socket; proxy: TcpProxySocket; balancer: Balancer }> {
  const balancer = new Balancer()
  balancer.update(endpoints, affinitySeconds)
  const proxy = await TcpProxySocket.open({ family: 4, address: '127.0.0.1', balancer, name: 'default/x', log: silent }, 0)
  t.after(() => proxy.destroy())
  return { proxy, balancer, call: () => connect({ host: '127.0.0.1', port: proxy.number, allowHalfOpen: true }) }
}

test('a request ended by half-close gets its answer, and the answer ended so lets the client go on', async t => {
  const echo = await serve(t, socket => { text(socket).then(request => socket.end(`you said ${request}`)) })
  const { call } = await proxyTo(t, [echo])
  const client = call()
  client.end('hello')
  assert.equal(await text(client), 'you said hello')

  const received = Promise.withResolvers<string>()
  const early = await serve(t, socket => { socket.end('done'); received.resolve(text(socket)) })
  const other = (await proxyTo(t, [early])).call()
  assert.equal(await text(other), 'done')
  other.write('still ')
  await sleep(20)
  other.end('here')
  assert.equal(await received.promise, 'still here')
})

test('endpoints take their turns', async t => {
  const endpoints = await Promise.all(['a', 'b', 'c'].map(name => serve(t, socket => socket.end(name))))
  const { call } = await proxyTo(t, endpoints)
  let answers = ''
  for (let i = 0; i < 7; i++) answers += await text(call())
  assert.equal(answers, 'abcabca')
})

test('an endpoint that refuses costs nobody a connection', async t => {
  const { call } = await proxyTo(t, [await refusing(), await serve(t, socket => socket.end('b')), await refusing()])
  const answers = await Promise.all(Array.from({ length: 50 }, () => text(call())))
  assert.equal(answers.join(''), 'b'.repeat(50))
})

test('with affinity, a refusal moves the client on for good', async t => {
  const dead = await refusing(), [a, b] = await Promise.all(['a', 'b'].map(name => serve(t, socket => socket.end(name))))
  const { call, balancer } = await proxyTo(t, [dead, a!, b!], 60)
  assert.equal(await text(call()) + await text(call()), 'aa')
  balancer.update([dead, b!], 60)
  assert.equal(await text(call()) + await text(call()), 'bb')
})

test('where every endpoint refuses, and where there is none, the client is reset', async t => {
  for (const endpoints of [[await refusing(), await refusing()], []]) {
    const client = (await proxyTo(t, endpoints)).call()
    await assert.rejects(text(client), { code: 'ECONNRESET' })
  }
})

test('a reset goes on as a reset, either way', async t => {
  const failing = await serve(t, socket => { socket.write('half an ans'); setTimeout(() => socket.resetAndDestroy(), 20) })
  const client = (await proxyTo(t, [failing])).call()
  await assert.rejects(text(client), { code: 'ECONNRESET' })

  const seen = Promise.withResolvers<NodeJS.ErrnoException>()
  const server = await serve(t, socket => { socket.on('error', seen.resolve).resume() })
  const leaving = (await proxyTo(t, [server])).call()
  leaving.write('half a requ')
  await sleep(20)
  leaving.resetAndDestroy()
  assert.equal((await seen.promise).code, 'ECONNRESET')
})

test('a slow reader is waited for with little held, and stalls nobody', async t => {
  let sent = 0
  const chunk = Buffer.alloc(64 << 10, 'x'), total = 64 << 20
  const flood = (socket: Socket): void => {
    while (sent < total) {
      sent += chunk.length
      if (!socket.write(chunk)) { socket.once('drain', () => flood(socket)); return }
    }
    socket.end()
  }
  let first = true
  const { call } = await proxyTo(t, [await serve(t, socket => {
    if (first) { first = false; flood(socket) } else socket.end('quick')
  })])
  const slow = call()
  slow.pause()
  await sleep(300)
  const stalledAt = sent
  assert.ok(stalledAt < 40 << 20, `${stalledAt >> 20} MiB were taken in for a client that reads nothing`)
  await sleep(100)
  assert.equal(sent, stalledAt, 'and it stays so')
  assert.equal(await text(call()), 'quick')
  assert.equal((await buffer(slow)).length, total)
})

test('bytes arrive as they were sent, both ways at once', async t => {
  const echo = await serve(t, socket => socket.pipe(socket))
  const { call } = await proxyTo(t, [echo])
  await Promise.all(Array.from({ length: 20 }, async (_, n) => {
    const sent = Buffer.alloc(1 << 20)
    for (let i = 0; i < sent.length; i++) sent[i] = (i * 31 + n * 7 + (i >> 8)) & 255
    const client = call()
    client.end(sent)
    assert.ok(sent.equals(await buffer(client)))
  }))
})

test('connections outlive the socket, and end when it is destroyed', async t => {
  const { call, proxy } = await proxyTo(t, [await serve(t, socket => socket.pipe(socket))])
  const client = call()
  client.write('1')
  assert.equal(String((await once(client, 'data'))[0]), '1')
  proxy.close()
  client.write('2')
  assert.equal(String((await once(client, 'data'))[0]), '2')
  await assert.rejects(text(call()), { code: 'ECONNREFUSED' })
  const reset = assert.rejects(text(client), { code: 'ECONNRESET' })
  proxy.destroy()
  await reset
})

test('a client that is gone before its endpoint answers leaves nothing behind', async t => {
  let open = 0
  const { call } = await proxyTo(t, [await serve(t, socket => { open++; socket.on('close', () => open--).resume() })])
  for (let i = 0; i < 50; i++) { const client = call(); client.on('error', () => {}); client.on('connect', () => client.resetAndDestroy()) }
  await sleep(200)
  assert.equal(open, 0)
})
