// The registry client against a registry on loopback that these tests bring, with a token service
// and a second host that holds the blobs.
import assert from 'node:assert/strict'
import { chmod, mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import type { RegistryAuth } from '../../runtime/cri.ts'
import { goArchitecture } from '../formats.ts'
import { parseReference } from '../reference.ts'
import { digestOf, image, index } from '../testing/image.ts'
import type { TestImage } from '../testing/image.ts'
import { directFetch, hostCredentials, pull } from './apply.ts'
import type { RegistryFetch } from './fetch.ts'

const architecture = goArchitecture(process.arch)
let scratch = '', count = 0, built: TestImage
before(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'registry-'))
  built = await image([[{ name: 'etc/a', content: 'one' }, { name: 'etc/b', content: 'two'.repeat(30_000) }], [{ name: 'etc/.wh.a', content: '' }]], { architecture, compression: 'none' })
})
after(() => rm(scratch, { recursive: true }))

type Answer = (request: IncomingMessage, response: ServerResponse) => void
/** A server that is closed when the test ends; `log` holds `GET /path authorization`. */
async function serve(t: { after: (end: () => Promise<void>) => void }, answer: Answer): Promise<{ host: string; log: string[] }> {
  const log: string[] = []
  const server: Server = createServer((request, response) => { log.push(`${request.method} ${request.url} ${request.headers.authorization ?? '-'}`); answer(request, response) })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.after(() => new Promise<void>(resolve => { server.closeAllConnections(); server.close(() => resolve()) }))
  return { host: `127.0.0.1:${(server.address() as AddressInfo).port}`, log }
}

const send = (response: ServerResponse, status: number, body: string | Buffer = '', headers: Record<string, string> = {}) => { response.writeHead(status, headers); response.end(body) }

/** The image as `app:v1`, and as an index `app:many`. */
const registry = (change: (request: IncomingMessage, response: ServerResponse, next: () => void) => void = (_, __, next) => next()): Answer => (request, response) => change(request, response, () => {
  const [, what, name] = /^\/v2\/app\/(manifests|blobs)\/(.+)$/.exec(request.url!) ?? []
  const many = index([{ image: built, platform: { os: 'linux', architecture } }])
  const content = name === 'v1' ? built.manifest : name === 'many' || name === digestOf(many) ? many : built.blobs.get(name ?? '')
  if (!what || content === undefined) return send(response, 404, '{"errors":[{"code":"MANIFEST_UNKNOWN","message":"unknown"}]}')
  send(response, 200, content, what === 'manifests' ? { 'Docker-Content-Digest': digestOf(content) } : {})
})

async function fetchImage(host: string, tag: string, { auths = [], fetch = directFetch }: { auths?: RegistryAuth[]; fetch?: RegistryFetch } = {}) {
  const directory = join(scratch, `pulled-${count++}`)
  await mkdir(directory)
  return { directory, pulled: pull(parseReference(`${host}/${tag}`), auths, { fetch, directory, architecture, retryMs: 1 }) }
}

test('an image by tag, by index and by digest', async t => {
  const { host } = await serve(t, registry())
  for (const tag of ['app:v1', 'app:many', `app@${digestOf(built.manifest)}`]) {
    const { directory, pulled } = await fetchImage(host, tag)
    const { image: stored, digest } = await pulled
    assert.equal(stored.id, digestOf(built.config))
    assert.equal(digest === digestOf(built.manifest), tag !== 'app:many')
    assert.deepEqual(await readdir(directory), [stored.id.slice(7)])
    assert.deepEqual(await readdir(join(directory, stored.id.slice(7), 'rootfs/etc')), ['b'])
    assert.equal((await readFile(join(directory, stored.id.slice(7), 'rootfs/etc/b'), 'utf8')).length, 90_000)
  }
})

test('a token, anonymously and with a password; a refresh token by POST', async t => {
  const tokens = await serve(t, (request, response) => {
    let body = ''
    request.on('data', chunk => { body += chunk }).on('end', () => {
      const who = request.method === 'POST' ? new URLSearchParams(body).get('refresh_token') : (request.headers.authorization ?? 'anonymous')
      send(response, 200, JSON.stringify(who === 'anonymous' ? { token: 'guest' } : { access_token: `for-${who?.replace(' ', '')}` }))
    })
  })
  const { host, log } = await serve(t, registry((request, response, next) => {
    if (/^Bearer for-(Basic|refresh)/.test(request.headers.authorization ?? '')) return next()
    send(response, 401, '{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}', { 'WWW-Authenticate': `Bearer realm="http://${tokens.host}/token",service="reg",scope="repository:app:pull"` })
  }))
  const anonymous = await fetchImage(host, 'app:v1')
  await assert.rejects(anonymous.pulled, { reason: 'ErrImagePull', message: /pull access denied, repository does not exist or may require authorization: server message: unauthorized: authentication required$/ })
  assert.deepEqual(tokens.log, ['GET /token?service=reg&scope=repository%3Aapp%3Apull -'])
  const { pulled } = await fetchImage(host, 'app:v1', { auths: [{ username: 'u', password: 'p' }] })
  assert.equal((await pulled).image.id, digestOf(built.config))
  assert.equal(log.filter(line => line.endsWith(' -')).length, 2, 'one request without a token a pull')
  const refresh = await fetchImage(host, 'app:v1', { auths: [{ identityToken: 'refresh' }] })
  assert.equal((await refresh.pulled).image.id, digestOf(built.config))
})

test('Basic, and the next credentials where the first are wrong', async t => {
  const right = `Basic ${Buffer.from('u:right').toString('base64')}`
  const { host } = await serve(t, registry((request, response, next) => request.headers.authorization === right ? next() : send(response, 401, '', { 'WWW-Authenticate': 'Basic realm="r"' })))
  const { pulled } = await fetchImage(host, 'app:v1', { auths: [{ username: 'u', password: 'wrong' }, { username: 'u', password: 'right' }] })
  assert.equal((await pulled).image.id, digestOf(built.config))
  await assert.rejects((await fetchImage(host, 'app:v1', { auths: [{ username: 'u', password: 'wrong' }] })).pulled, /pull access denied/)
})

test('a blob elsewhere: redirected without the password', async t => {
  const cdn = await serve(t, (request, response) => send(response, 200, built.blobs.get(request.url!.slice(1))!))
  const { host } = await serve(t, registry((request, response, next) => {
    if (!request.headers.authorization) return send(response, 401, '', { 'WWW-Authenticate': 'Basic realm="r"' })
    return request.url!.includes('/blobs/') ? send(response, 307, '', { Location: `http://${cdn.host}/${request.url!.split('/').at(-1)}` }) : next()
  }))
  const { pulled } = await fetchImage(host, 'app:v1', { auths: [{ username: 'u', password: 'p' }] })
  assert.equal((await pulled).image.id, digestOf(built.config))
  assert.ok(cdn.log.length === 3 && cdn.log.every(line => line.endsWith(' -')), cdn.log.join('\n'))
})

test('a registry that fails twice, and a connection that breaks half way, are tried again', async t => {
  let failures = 0
  const big = built.layers[0]!.bytes, bigUrl = `/v2/app/blobs/${digestOf(big)}`
  const { host, log } = await serve(t, registry((request, response, next) => {
    if (request.url!.includes('/manifests/') && failures++ < 2) return send(response, 503)
    if (request.url !== bigUrl) return next()
    const start = Number(/bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1] ?? 0)
    if (start > 0) return send(response, 206, big.subarray(start), { 'Content-Range': `bytes ${start}-${big.length - 1}/${big.length}` })
    response.writeHead(200, { 'Content-Length': String(big.length) })
    response.write(big.subarray(0, big.length / 2), () => setTimeout(() => response.destroy(), 20))
  }))
  const { pulled } = await fetchImage(host, 'app:v1')
  assert.equal((await pulled).image.id, digestOf(built.config))
  assert.equal(log.filter(line => line.includes('/manifests/')).length, 3)
  assert.equal(log.filter(line => line.includes(bigUrl)).length, 2)
})

test('a registry that keeps failing ends the pull', async t => {
  const { host, log } = await serve(t, (_, response) => send(response, 500))
  await assert.rejects((await fetchImage(host, 'app:v1')).pulled, { reason: 'ErrImagePull', message: /unexpected status from GET request.*500/ })
  assert.equal(log.length, 5)
})

test('content that is not what was promised is refused and nothing is left', async t => {
  const cases: [what: RegExp, message: RegExp][] = [[/manifests/, /manifest v1 is damaged/], [new RegExp(digestOf(built.config)), /unexpected commit digest/], [new RegExp(digestOf(built.layers[1]!.bytes)), /unexpected commit digest|is larger than/]]
  for (const [what, message] of cases) {
    const { host } = await serve(t, registry((request, response, next) => {
      if (!what.test(request.url!)) return next()
      send(response, 200, `${built.manifest} `, { 'Docker-Content-Digest': digestOf(built.manifest) })
    }))
    const { directory, pulled } = await fetchImage(host, 'app:v1')
    await assert.rejects(pulled, message)
    assert.deepEqual(await readdir(directory), [])
  }
})

test('a tag that is not there is not found, in containerd\'s words', async t => {
  const { host } = await serve(t, registry())
  const name = `${host}/app:v9`
  await assert.rejects((await fetchImage(host, 'app:v9')).pulled, { reason: 'ErrImagePull', message: `rpc error: code = NotFound desc = failed to pull and unpack image "${name}": failed to resolve reference "${name}": ${name}: not found` })
})

test('a registry out of reach: the error says what to do', async () => {
  const { pulled } = await fetchImage('127.0.0.1:1', 'app:v1')
  await assert.rejects(pulled, { reason: 'ErrImagePull', message: /connection refused.*docker save 127\.0\.0\.1:1\/app:v1 -o image\.tar, then fairway image load image\.tar/ })
  const noNames: RegistryFetch = () => Promise.reject(Object.assign(new Error('getaddrinfo ENOTFOUND'), { code: 'ENOTFOUND' }))
  await assert.rejects((await fetchImage('registry.example', 'app:v1', { fetch: noNames })).pulled, /dial tcp: lookup registry\.example: no such host/)
})

test('the host\'s credentials: from the file, and from a helper', async () => {
  const directory = join(scratch, 'docker')
  await mkdir(directory)
  await writeFile(join(directory, 'docker-credential-fairwaytest'), '#!/bin/sh\nread server\n[ "$1 $server" = "get r.example" ] && echo \'{"Username":"u","Secret":"s"}\'\n')
  await chmod(join(directory, 'docker-credential-fairwaytest'), 0o755)
  await writeFile(join(directory, 'config.json'), JSON.stringify({ credHelpers: { 'r.example': 'fairwaytest', 'x.example': 'fairway-absent' }, auths: { 'r.example': { username: 'a', password: 'b' } } }))
  const path = process.env.PATH
  process.env.PATH = `${directory}:${path}`
  try {
    assert.deepEqual(await hostCredentials('r.example', directory), [{ username: 'u', password: 's' }, { username: 'a', password: 'b' }])
    assert.deepEqual(await hostCredentials('x.example', directory), [])
    assert.deepEqual(await hostCredentials('r.example', join(directory, 'absent')), [])
  } finally {
    process.env.PATH = path
  }
})
