// Probes against real servers on loopback; `dial` is a plain connection here.
import assert from 'node:assert/strict'
import { createServer, type IncomingMessage } from 'node:http'
import { createServer as createHttp2, type ServerHttp2Stream } from 'node:http2'
import { connect, createServer as createTcp, type AddressInfo, type Server, type Socket } from 'node:net'
import { after, before, test } from 'node:test'
import type { ProbeHandler } from '#api/core/v1.ts'
import { attemptProbe, portOf, type Target } from './apply.ts'

const servers: Server[] = [], sockets = new Set<Socket>()
const listen = async (server: Server): Promise<number> => {
  servers.push(server)
  server.on('connection', socket => { sockets.add(socket) })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return (server.address() as AddressInfo).port
}
let http = 0, grpc = 0, silent = 0, seen: IncomingMessage | undefined
before(async () => {
  http = await listen(createServer((request, response) => {
    seen = request
    response.writeHead(Number(request.url!.slice(1)) || 200).end('x'.repeat(20_000))
  }))
  silent = await listen(createTcp(() => {}))
  const health = createHttp2()
  health.on('stream', (stream: ServerHttp2Stream, headers) => {
    const chunks: Buffer[] = []
    stream.on('data', (chunk: Buffer) => chunks.push(chunk))
    stream.on('end', () => {
      const asked = Buffer.concat(chunks).subarray(7).toString()
      assert.equal(headers[':path'], '/grpc.health.v1.Health/Check')
      if (asked === 'unknown') { stream.respond({ ':status': 200, 'content-type': 'application/grpc', 'grpc-status': '5', 'grpc-message': 'unknown service' }, { endStream: true }); return }
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true })
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }))
      stream.end(Buffer.from([0, 0, 0, 0, 2, 8, asked === 'sick' ? 2 : 1]))
    })
  })
  grpc = await listen(health as unknown as Server)
})
after(() => { for (const server of servers) server.close(); for (const socket of sockets) socket.destroy() })

const target: Target = {
  sandboxId: 's', containerId: 'c', podIp: '127.0.0.1', container: { name: 'c', ports: [{ name: 'web', containerPort: 80 }] },
  runtime: {
    dial: (_, host, port) => new Promise((resolve, reject) => { const socket = connect({ host, port }, () => resolve(socket)); socket.once('error', reject) }),
    execSync: async (_, command) => { if (command[0] === 'slow') throw new Error('command timed out'); return { exitCode: Number(command[0]), output: 'said' } },
  },
}
const told = async (probe: ProbeHandler, timeoutMs = 500) => { const { success, output } = await attemptProbe(probe, target, timeoutMs); return success ? 'ok' : output }

const cases: [what: string, probe: () => ProbeHandler, told: string | RegExp][] = [
  ['200', () => ({ httpGet: { port: http, path: '/' } }), 'ok'],
  ['399', () => ({ httpGet: { port: http, path: '/399' } }), 'ok'],
  ['404', () => ({ httpGet: { port: http, path: '/404' } }), 'HTTP probe failed with statuscode: 404'],
  ['500', () => ({ httpGet: { port: http, path: '500' } }), 'HTTP probe failed with statuscode: 500'],
  ['nobody listens', () => ({ httpGet: { port: 1, path: '/x' } }), 'Get "http://127.0.0.1:1/x": dial tcp 127.0.0.1:1: connect: connection refused'],
  ['no answer', () => ({ httpGet: { port: silent } }), /^Get "http:\/\/127\.0\.0\.1:\d+\/": context deadline exceeded \(Client\.Timeout exceeded while awaiting headers\)$/],
  ['HTTPS to a server that speaks none', () => ({ httpGet: { port: http, scheme: 'HTTPS' } }), /^Get "https:/],
  ['tcp', () => ({ tcpSocket: { port: http } }), 'ok'],
  ['tcp refused', () => ({ tcpSocket: { port: 1 } }), 'dial tcp 127.0.0.1:1: connect: connection refused'],
  ['grpc', () => ({ grpc: { port: grpc } }), 'ok'],
  ['grpc of a service', () => ({ grpc: { port: grpc, service: 'sick' } }), 'service unhealthy (responded with "NOT_SERVING")'],
  ['grpc of an unknown service', () => ({ grpc: { port: grpc, service: 'unknown' } }), 'error: health rpc failed: rpc error: code = 5 desc = unknown service'],
  ['grpc without an answer', () => ({ grpc: { port: silent } }), /^error: timeout: failed to connect service/],
  ['exec', () => ({ exec: { command: ['0'] } }), 'ok'],
  ['exec failing', () => ({ exec: { command: ['1'] } }), 'said'],
  ['exec without end', () => ({ exec: { command: ['slow'] } }), 'command timed out'],
]
for (const [what, probe, expected] of cases) test(what, async () => {
  const said = await told(probe())
  if (typeof expected === 'string') assert.equal(said, expected)
  else assert.match(said, expected)
})

test('headers: upstream\'s own, and the probe\'s over them', async () => {
  await told({ httpGet: { port: http, path: '/', httpHeaders: [{ name: 'host', value: 'example.com' }, { name: 'X-A', value: 'b' }] } })
  assert.deepEqual([seen!.headers.host, seen!.headers['x-a'], seen!.headers['user-agent']], ['example.com', 'b', 'kube-probe/1.36'])
})

test('ports by number, by name, and neither', () => {
  assert.equal(portOf(8080, target.container), 8080)
  assert.equal(portOf('web', target.container), 80)
  assert.throws(() => portOf('none', target.container), /invalid port number: none/)
})
