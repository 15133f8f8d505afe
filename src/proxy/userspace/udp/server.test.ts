// The UDP proxy with real sockets on loopback.
import assert from 'node:assert/strict'
import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { test, type TestContext } from 'node:test'
import { silent } from '#lib/log.ts'
import type { Endpoint } from '../../endpoints.ts'
import { Balancer } from '../balancer.ts'
import { UdpProxySocket } from './server.ts'

const endpoint = (port: number): Endpoint => ({ ip: '127.0.0.1', port, address: `127.0.0.1:${port}`, isLocal: false, ready: true, serving: true, terminating: false, nodeName: '', zoneHints: [], nodeHints: [] })

async function socketOn(t: TestContext): Promise<Socket> {
  const socket = createSocket('udp4')
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  t.after(() => { try { socket.close() } catch { /* the test closed it */ } })
  return socket
}

/** Answers with its name and the sender's port. */
async function serve(t: TestContext, name: string): Promise<{ endpoint: Endpoint; socket: Socket }> {
  const socket = await socketOn(t)
  socket.on('message', (_, { port, address }) => socket.send(`${name} ${port}`, port, address))
  return { socket, endpoint: endpoint(socket.address().port) }
}

async function proxyTo(t: TestContext, endpoints: readonly Endpoint[], { idleMs = 2000, affinitySeconds = 0 } = {}): Promise<{ proxy: UdpProxySocket; balancer: Balancer }> {
  const balancer = new Balancer()
  balancer.update(endpoints, affinitySeconds)
  const proxy = await UdpProxySocket.open({ family: 4, address: '127.0.0.1', balancer, name: 'default/x', log: silent, idleMs }, 0)
  t.after(() => { try { proxy.destroy() } catch { /* the test closed it */ } })
  return { proxy, balancer }
}

async function ask(client: Socket, proxy: UdpProxySocket, timeoutMs = 500): Promise<string> {
  const answer = once(client, 'message', { signal: AbortSignal.timeout(timeoutMs) })
  client.send('?', proxy.number, '127.0.0.1')
  try { return String((await answer)[0]) } catch { return 'timeout' }
}
const nameOf = (answer: string) => answer.split(' ')[0]

test('a client stays with its endpoint while it speaks, from a socket of its own; others take the next', async t => {
  const servers = await Promise.all(['a', 'b'].map(name => serve(t, name)))
  const { proxy } = await proxyTo(t, servers.map(server => server.endpoint))
  const [one, two] = [await socketOn(t), await socketOn(t)]
  const first = await ask(one, proxy), second = await ask(two, proxy)
  assert.deepEqual([nameOf(first), nameOf(second)], ['a', 'b'])
  assert.equal(await ask(one, proxy), first)
  assert.equal(await ask(two, proxy), second)
})

test('a client that pauses longer than the idle timeout is forgotten', async t => {
  const servers = await Promise.all(['a', 'b'].map(name => serve(t, name)))
  const { proxy } = await proxyTo(t, servers.map(server => server.endpoint), { idleMs: 150 })
  const client = await socketOn(t)
  let answers = ''
  for (let i = 0; i < 4; i++) { answers += nameOf(await ask(client, proxy)); await sleep(80) }
  assert.equal(answers, 'aaaa', 'each datagram starts the time anew')
  await sleep(250)
  assert.equal(nameOf(await ask(client, proxy)), 'b')
})

test('clients of a removed endpoint move on at once, others stay', async t => {
  const servers = await Promise.all(['a', 'b', 'c'].map(name => serve(t, name)))
  const all = servers.map(server => server.endpoint)
  const { proxy, balancer } = await proxyTo(t, all)
  const clients = [await socketOn(t), await socketOn(t), await socketOn(t)]
  for (const [i, client] of clients.entries()) assert.equal(nameOf(await ask(client, proxy)), 'abc'[i])
  const before = await ask(clients[1]!, proxy)
  balancer.update(all.slice(1), 0)
  proxy.endpointsChanged()
  assert.match(await ask(clients[0]!, proxy), /^[bc] /)
  assert.equal(await ask(clients[1]!, proxy), before)
})

test('an endpoint on which nobody listens costs a datagram, then the client has another; with affinity too', async t => {
  for (const affinitySeconds of [0, 60]) {
    const dead = await serve(t, 'dead'), alive = await serve(t, 'alive')
    dead.socket.close()
    const { proxy } = await proxyTo(t, [dead.endpoint, alive.endpoint], { affinitySeconds })
    const client = await socketOn(t)
    assert.equal(await ask(client, proxy, 200), 'timeout')
    assert.equal(nameOf(await ask(client, proxy)), 'alive')
    assert.equal(nameOf(await ask(client, proxy)), 'alive')
  }
})

test('without an endpoint nothing is answered and nothing is kept', async t => {
  const { proxy, balancer } = await proxyTo(t, [])
  const client = await socketOn(t)
  assert.equal(await ask(client, proxy, 100), 'timeout')
  const server = await serve(t, 'a')
  balancer.update([server.endpoint], 0)
  proxy.endpointsChanged()
  assert.equal(nameOf(await ask(client, proxy)), 'a')
})

test('a burst from a new client arrives whole and in order', async t => {
  const server = await socketOn(t), received: string[] = []
  server.on('message', message => received.push(String(message)))
  const { proxy } = await proxyTo(t, [endpoint(server.address().port)])
  const client = await socketOn(t)
  for (let i = 0; i < 50; i++) client.send(String(i), proxy.number, '127.0.0.1')
  await sleep(200)
  assert.equal(received.join(), Array.from({ length: 50 }, (_, i) => i).join())
})

test('large datagrams, and 200 clients at once', async t => {
  const echo = await socketOn(t)
  echo.on('message', (message, { port, address }) => echo.send(message, port, address))
  const { proxy } = await proxyTo(t, [endpoint(echo.address().port)])
  const big = await socketOn(t), answer = once(big, 'message')
  big.send(Buffer.alloc(60_000, 7), proxy.number, '127.0.0.1')
  assert.ok(((await answer)[0] as Buffer).equals(Buffer.alloc(60_000, 7)))
  const clients = await Promise.all(Array.from({ length: 200 }, () => socketOn(t)))
  const answers = await Promise.all(clients.map(client => ask(client, proxy, 4000)))
  assert.deepEqual(answers.filter(text => text !== '?'), [])
})
