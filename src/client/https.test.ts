// The transport against a plain HTTP server on loopback that answers as told. Certificates are
// tested against the API server itself, in test/client.
import assert from 'node:assert/strict'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { after, before, test } from 'node:test'
import { StatusError } from '#lib/errors.ts'
import { httpsTransport, type HttpsOptions } from './https.ts'
import type { Transport } from './transport.ts'

let answer: (request: IncomingMessage, response: ServerResponse, body: string) => void
const sockets = new Set<Socket>()
let connections = 0
const server = createServer((request, response) => {
  let body = ''
  request.on('data', chunk => { body += chunk }).on('end', () => answer(request, response, body))
}).on('connection', socket => { connections++; sockets.add(socket); socket.on('close', () => sockets.delete(socket)) })
before(() => new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve)))
after(() => { server.closeAllConnections(); server.close() })

const open = (more: Partial<HttpsOptions> = {}): Transport => httpsTransport({ server: `http://127.0.0.1:${(server.address() as AddressInfo).port}/base/`, ...more })
const json = (response: ServerResponse, value: unknown, code = 200, headers = {}) => response.writeHead(code, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(value))
const until = async (holds: () => boolean) => { for (let i = 0; !holds(); i++) { assert.ok(i < 500, 'never'); await new Promise(resolve => setTimeout(resolve, 2)) } }

test('method, path, query, body and token arrive; the answer is frozen', async () => {
  let seen: unknown
  answer = (request, response, body) => { seen = [request.method, request.url, request.headers.authorization, request.headers['content-type'], body]; json(response, { metadata: { name: 'a' } }) }
  let token = 'one'
  const transport = open({ token: () => token })
  const request = { method: 'PATCH', path: '/api/v1/pods', query: { a: 'x y', b: undefined }, body: { k: 'ü' }, contentType: 'application/merge-patch+json' } as const
  const got = await transport.request(request) as { metadata: object }
  assert.deepEqual(seen, ['PATCH', '/base/api/v1/pods?a=x+y', 'Bearer one', 'application/merge-patch+json', '{"k":"ü"}'])
  assert.ok(Object.isFrozen(got) && Object.isFrozen(got.metadata))
  token = 'two'
  await transport.request(request)
  assert.equal((seen as string[])[2], 'Bearer two')
  transport.close()
})

const refusals: [what: string, code: number, body: string, want: { code: number; reason: string; message: string }][] = [
  ['a Status', 409, JSON.stringify({ kind: 'Status', code: 409, reason: 'AlreadyExists', message: 'pods "a" already exists' }), { code: 409, reason: 'AlreadyExists', message: 'pods "a" already exists' }],
  ['plain text', 403, 'no entry\n', { code: 403, reason: 'Forbidden', message: 'no entry' }],
  ['nothing at all', 500, '', { code: 500, reason: 'InternalError', message: 'GET /x: status 500' }],
  ['JSON that is no Status', 404, '{"a":1}', { code: 404, reason: 'NotFound', message: '{"a":1}' }],
]
for (const [what, code, body, want] of refusals) test(`a refusal with ${what}`, async () => {
  answer = (_, response) => response.writeHead(code).end(body)
  const transport = open()
  for (const send of [() => transport.request({ method: 'GET', path: '/x' }), async () => { for await (const _ of transport.watch({ method: 'GET', path: '/x' })); }]) {
    await assert.rejects(send, (error: unknown) => {
      assert.ok(error instanceof StatusError)
      assert.deepEqual({ code: error.status.code, reason: error.status.reason, message: error.message }, want)
      return true
    })
  }
  transport.close()
})

test('Retry-After is obeyed', async () => {
  let count = 0
  answer = (_, response) => ++count < 3 ? json(response, {}, 429, { 'retry-after': '0' }) : json(response, { ok: true })
  const transport = open()
  assert.deepEqual(await transport.request({ method: 'GET', path: '/x' }), { ok: true })
  assert.equal(count, 3)
  transport.close()
})

test('one connection serves many requests', async () => {
  answer = (_, response) => json(response, {})
  const transport = open(), before = connections
  for (let i = 0; i < 5; i++) await transport.request({ method: 'GET', path: '/x' })
  assert.equal(connections - before, 1)
  transport.close()
})

test('a watch yields events as they come and ends with the stream', async () => {
  answer = (_, response) => {
    response.writeHead(200, { 'content-type': 'application/json' })
    response.write('{"type":"ADDED","object":{"a":1}}\n{"type":"MOD')
    setTimeout(() => response.end('IFIED","object":{"a":2}}\n{"type":"cut off'), 5)
  }
  const transport = open(), types: string[] = []
  for await (const event of transport.watch({ method: 'GET', path: '/x' })) types.push(event.type)
  assert.deepEqual(types, ['ADDED', 'MODIFIED'])
  transport.close()
})

for (const how of ['abort', 'break', 'abort before the answer'] as const) test(`${how}: the watch ends silently and its socket closes`, async () => {
  answer = (_, response) => { if (how !== 'abort before the answer') { response.writeHead(200); response.write('{"type":"ADDED","object":{}}\n') } }
  const transport = open(), stop = new AbortController(), before = sockets.size
  if (how === 'abort before the answer') setTimeout(() => stop.abort(), 20)
  for await (const _ of transport.watch({ method: 'GET', path: '/x', signal: stop.signal })) {
    if (how === 'break') break
    stop.abort()
  }
  await until(() => sockets.size <= before)
  transport.close()
})

test('a server that is not there is named', async () => {
  const transport = httpsTransport({ server: 'https://127.0.0.1:1' })
  await assert.rejects(transport.request({ method: 'GET', path: '/x' }), /cannot reach the API server at https:\/\/127\.0\.0\.1:1: .*ECONNREFUSED/)
})
