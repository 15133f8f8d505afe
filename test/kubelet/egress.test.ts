// The way out for image pulls, end to end: the agent's side through the outer process's tunnel to a
// server on loopback.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { after, before, test } from 'node:test'
import { ensurePki } from '#apiserver/pki/apply.ts'
import { egressFetch } from '#kubelet/egress/apply.ts'
import { silent } from '#lib/log.ts'
import { startEgress } from '#up/egress.ts'

let folder: string, socketPath: string
const closers: (() => void)[] = []
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'fairway-egress-'))
  socketPath = join(folder, 'egress.sock')
  const egress = startEgress(socketPath, silent)
  closers.push(() => egress.close())
})
after(() => { for (const close of closers) close(); rmSync(folder, { recursive: true }) })

const answer = (request: { method?: string; url?: string; headers: Record<string, unknown> }, response: import('node:http').ServerResponse) =>
  response.writeHead(201, { 'X-Thing': ['a', 'b'] }).end(`${request.method} ${request.url} ${request.headers.accept}`)

test('a request goes through and its answer comes back', async () => {
  const server = createServer(answer).listen(0, '127.0.0.1')
  closers.push(() => server.close())
  await new Promise(resolve => server.once('listening', resolve))
  const response = await egressFetch(socketPath)(`http://127.0.0.1:${(server.address() as AddressInfo).port}/v2/x?y=z`, { headers: { Accept: 'a/b' }, method: 'POST', body: 'hi' })
  assert.equal(response.status, 201)
  assert.equal(response.headers['x-thing'], 'a, b')
  assert.equal(await text(response.body), 'POST /v2/x?y=z a/b')
})

test('a certificate that nobody vouches for is refused', async () => {
  const pki = await ensurePki(join(folder, 'pki'), { serviceIp: '10.96.0.1', advertiseAddress: '127.0.0.1', nodeNames: [] })
  const server = createTlsServer(pki.apiserver, answer).listen(0, '127.0.0.1')
  closers.push(() => server.close())
  await new Promise(resolve => server.once('listening', resolve))
  await assert.rejects(egressFetch(socketPath)(`https://127.0.0.1:${(server.address() as AddressInfo).port}/`, { headers: {} }), /certificate/)
})

test('what cannot be reached says so, with the code', async () => {
  await assert.rejects(egressFetch(socketPath)('http://127.0.0.1:1/', { headers: {} }), { code: 'ECONNREFUSED' })
})
