import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { request as httpsRequest } from 'node:https'
import { connect as http2Connect } from 'node:http2'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { connect } from 'node:tls'
import { Query } from '../query.ts'
import type { DnsServer } from '../server.ts'
import { testServer } from '../testing/server.ts'
import { decode } from '../wire/message.ts'
import { parseName } from '../wire/name.ts'
import { showData } from '../wire/rdata.ts'
import { udpAddresses } from './addresses.ts'
import { framed, Frames } from './frames.ts'

const dir = mkdtempSync(join(tmpdir(), 'fairway-dns-'))
const servers: DnsServer[] = []
after(async () => {
  await Promise.all(servers.map(server => server.stop()))
  rmSync(dir, { recursive: true })
})
execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1,DNS:localhost', '-days', '2', '-keyout', join(dir, 'key.pem'), '-out', join(dir, 'cert.pem')], { stdio: 'ignore' })
const ca = readFileSync(join(dir, 'cert.pem'))
const asked = Query.make(parseName('LocalHost')!, 1, { id: 9 }).message

async function start(transport: string): Promise<number> {
  const { server, port } = await testServer(`${transport}://.:0 {\n  bind 127.0.0.1\n  root ${dir}\n  tls cert.pem key.pem\n  local\n}`)
  servers.push(server)
  return port
}
const check = (answer: Buffer) => {
  const { id, answer: [record] } = decode(answer)
  assert.deepEqual([id, showData(record!), record!.name], [9, '127.0.0.1', '\tLocalHost\0'])
}

test('DNS over TLS', async () => {
  const socket = connect({ port: await start('tls'), host: '127.0.0.1', ca, ALPNProtocols: ['dot'] })
  await once(socket, 'secureConnect')
  assert.equal(socket.alpnProtocol, 'dot')
  socket.write(framed(asked))
  check(new Frames().add((await once(socket, 'data'))[0] as Buffer)[0]!)
  socket.destroy()
})

test('DNS over HTTPS: HTTP/2 POST, HTTP/1.1 GET, and what is refused', async () => {
  const port = await start('https')
  const session = http2Connect(`https://127.0.0.1:${port}`, { ca })
  const stream = session.request({ ':method': 'POST', ':path': '/dns-query', 'content-type': 'application/dns-message' })
  stream.end(asked)
  const [headers] = await once(stream, 'response') as [Record<string, string>]
  assert.deepEqual([headers[':status'], headers['content-type'], headers['cache-control']], [200, 'application/dns-message', 'max-age=604800'])
  check(Buffer.concat(await stream.toArray() as Buffer[]))
  session.close()
  const ask = async (path: string, options: { method?: string; headers?: Record<string, string>; body?: Buffer } = {}) => {
    const request = httpsRequest({ port, host: '127.0.0.1', ca, path, method: options.method ?? 'GET', headers: options.headers ?? {}, agent: false })
    request.end(options.body)
    const [response] = await once(request, 'response')
    return { code: response.statusCode as number, body: Buffer.concat(await response.toArray() as Buffer[]) }
  }
  const good = await ask(`/dns-query?dns=${asked.toString('base64url')}`)
  assert.equal(good.code, 200)
  check(good.body)
  assert.equal((await ask('/other')).code, 404)
  assert.equal((await ask('/dns-query')).code, 400)
  assert.equal((await ask('/dns-query', { method: 'PUT' })).code, 405)
  assert.equal((await ask('/dns-query', { method: 'POST', body: asked })).code, 415)
  assert.equal((await ask('/dns-query', { method: 'POST', headers: { 'content-type': 'application/dns-message' }, body: Buffer.alloc(70_000) })).code, 413)
})

test('tls:// without a certificate is refused', async () => {
  await assert.rejects(testServer('tls://.:0 {\n  bind 127.0.0.1\n  whoami\n}'), /needs the plugin tls/)
})

test('frames, whatever the pieces', () => {
  const all = Buffer.concat([framed(Buffer.from('one')), framed(Buffer.alloc(0)), framed(Buffer.alloc(65535, 7))])
  for (const size of [1, 2, 3, 1000, all.length]) {
    const frames = new Frames(), out: Buffer[] = []
    for (let i = 0; i < all.length; i += size) out.push(...frames.add(all.subarray(i, i + size)))
    assert.deepEqual(out.map(({ length }) => length), [3, 0, 65535], `pieces of ${size}`)
    assert.equal(frames.isInside, false)
  }
})

test('a socket per address, link-local ones left to the wildcard', () => {
  const own = { lo: [{ address: '127.0.0.1' }, { address: '::1' }], eth0: [{ address: '10.0.0.5' }, { address: 'fe80::1' }] }
  assert.deepEqual(udpAddresses('', own as never), ['0.0.0.0', '::', '127.0.0.1', '::1', '10.0.0.5'])
  assert.deepEqual(udpAddresses('10.0.0.5', own as never), ['10.0.0.5'])
})
