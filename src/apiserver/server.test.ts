// The edge over real TLS on loopback: who is let in, how answers are represented, streams, and the way
// through to a kubelet.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import { createServer as createHttpsServer, request as httpsRequest, type Server } from 'node:https'
import { createServer as createTcpServer, type AddressInfo, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import { after, before, describe, test } from 'node:test'
import { silent } from '#lib/log.ts'
import type { KeyPair, Pki } from './config.ts'
import { ensurePki } from './pki/apply.ts'
import { createApiServer, type ApiServer } from './server.ts'

const dir = mkdtempSync(join(tmpdir(), 'fairway-apiserver-'))
let pki: Pki, server: ApiServer, port: number, kubelet: Server
const kubeletSockets = new Set<Socket>()
const kubeletRequests: { url: string; headers: IncomingHttpHeaders; client: string }[] = []

interface Answer { status: number; headers: IncomingHttpHeaders; text: string; json: any }
interface Ask { method?: string; body?: string | Buffer; headers?: Record<string, string>; user?: KeyPair | undefined; port?: number }

const options = ({ method = 'GET', headers, user = pki.admin, port: to = port }: Ask, path: string) =>
  ({ host: '127.0.0.1', port: to, path, method, ca: pki.ca, agent: false as const, ...(user && { cert: user.cert, key: user.key }), ...(headers && { headers }) })

const ask = (path: string, request: Ask = {}): Promise<Answer> => new Promise((resolve, reject) => {
  const sent = httpsRequest(options(request, path), response => {
    let text = ''
    response.setEncoding('utf8').on('data', chunk => { text += chunk }).on('end', () => {
      resolve({ status: response.statusCode!, headers: response.headers, text, json: response.headers['content-type']?.startsWith('application/json') ? JSON.parse(text) : undefined })
    })
  })
  sent.on('error', reject).end(request.body)
})
const nobody = (request: Ask = {}) => ({ ...request, user: { cert: '', key: '' } as KeyPair })
const post = (path: string, value: object, request: Ask = {}) => ask(path, { method: 'POST', body: JSON.stringify(value), ...request })
const bearer = (token: string): Ask => nobody({ headers: { authorization: `Bearer ${token}` } })

before(async () => {
  pki = await ensurePki(dir, { serviceIp: '10.96.0.1', advertiseAddress: '127.0.0.1', nodeNames: ['n1'] })
  server = await createApiServer({ pki, advertiseAddress: '192.168.109.1' }, { log: silent })
  port = (await server.listen({ host: '127.0.0.1', port: 0 })).port
  kubelet = startKubelet()
  await new Promise<void>(resolve => kubelet.listen(0, '127.0.0.1', resolve))
  await post('/api/v1/nodes', { metadata: { name: 'n1' } })
  const node = (await ask('/api/v1/nodes/n1')).json
  node.status = { addresses: [{ type: 'InternalIP', address: '127.0.0.1' }], daemonEndpoints: { kubeletEndpoint: { Port: (kubelet.address() as AddressInfo).port } } }
  await ask('/api/v1/nodes/n1/status', { method: 'PUT', body: JSON.stringify(node) })
  await post('/api/v1/namespaces/default/serviceaccounts', { metadata: { name: 'default' } })
  const containers = [{ name: 'one', image: 'x' }]
  await post('/api/v1/namespaces/default/pods', { metadata: { name: 'p' }, spec: { nodeName: 'n1', containers } })
  await post('/api/v1/namespaces/default/pods', { metadata: { name: 'two' }, spec: { nodeName: 'n1', containers: [...containers, { name: 'two', image: 'x' }], initContainers: [{ name: 'init', image: 'x' }] } })
  await post('/api/v1/namespaces/default/pods', { metadata: { name: 'homeless' }, spec: { containers } })
})
after(async () => {
  await server.close()
  for (const socket of kubeletSockets) socket.destroy()
  await new Promise(resolve => kubelet.close(resolve))
  rmSync(dir, { recursive: true })
})

/** A kubelet with the certificate that the cluster gives it; echoes on upgraded connections until the other side ends. */
function startKubelet(): Server {
  const pair = pki.kubelets.get('n1')!
  const started = createHttpsServer({ cert: pair.cert, key: pair.key, ca: pki.ca, requestCert: true, allowHalfOpen: true }, (incoming, outgoing) => {
    remember(incoming)
    if (incoming.url!.includes('nothing')) { outgoing.writeHead(400).end('previous terminated container "one" in pod "p" not found'); return }
    outgoing.write('first line\n')
    setTimeout(() => outgoing.end('second line\n'), 20)
  })
  started.on('connection', (socket: Socket) => kubeletSockets.add(socket))
  return started.on('upgrade', (incoming: IncomingMessage, socket: Duplex, head: Buffer) => {
    remember(incoming)
    socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: SPDY/3.1\r\nConnection: Upgrade\r\n\r\n')
    if (head.length > 0) socket.write(head)
    socket.on('data', chunk => socket.write(chunk)).on('end', () => socket.end('bye'))
  })
}
function remember(incoming: IncomingMessage): void {
  kubeletRequests.push({ url: incoming.url!, headers: incoming.headers, client: (incoming.socket as unknown as { getPeerCertificate(): { subject: { CN: string } } }).getPeerCertificate().subject.CN })
}

describe('who is let in', () => {
  test('a client certificate names user and groups', async () => {
    const { json } = await post('/apis/authentication.k8s.io/v1/selfsubjectreviews', {})
    assert.deepEqual(json.status.userInfo, { username: 'kubernetes-admin', groups: ['system:masters', 'system:authenticated'] })
  })
  test('nobody without credentials, but for health', async () => {
    const { status, json } = await ask('/api/v1/pods', nobody())
    assert.deepEqual([status, json.reason, json.message], [401, 'Unauthorized', 'Unauthorized'])
    for (const path of ['/healthz', '/livez', '/readyz']) assert.equal((await ask(path, nobody())).text, 'ok')
    assert.match((await ask('/readyz?verbose', nobody())).text, /\[\+\]ping ok\n[^]*readyz check passed/)
    assert.equal((await ask('/version', nobody())).status, 401)
  })
  test('no certificate of another CA', async () => {
    const other = await ensurePki(join(dir, 'other'), { serviceIp: '10.96.0.1', advertiseAddress: '127.0.0.1', nodeNames: [] })
    assert.equal((await ask('/api/v1/pods', { user: other.admin })).status, 401)
  })
  test('a user without rights is told what is missing', async () => {
    const { status, json } = await ask('/api/v1/namespaces/default/services', { headers: { 'impersonate-user': 'bob' } })
    assert.deepEqual([status, json.message], [403, 'services is forbidden: User "bob" cannot list resource "services" in API group "" in the namespace "default"'])
    assert.deepEqual(json.details, { kind: 'services' })
  })
})

describe('acting as somebody else', () => {
  const whoami = (headers: Record<string, string>, request: Ask = {}) => post('/apis/authentication.k8s.io/v1/selfsubjectreviews', {}, { ...request, headers: { ...request.headers, ...headers } })
  test('is for those who may', async () => {
    const { json } = await whoami({ 'impersonate-user': 'bob', 'impersonate-group': 'staff', 'impersonate-extra-reason%2Fx': 'drill' })
    assert.deepEqual(json.status.userInfo, { username: 'bob', groups: ['staff', 'system:authenticated'], extra: { 'reason/x': ['drill'] } })
    const account = await whoami({ 'impersonate-user': 'system:serviceaccount:dev:robot' })
    assert.deepEqual(account.json.status.userInfo.groups, ['system:serviceaccounts', 'system:serviceaccounts:dev', 'system:authenticated'])
  })
  test('and for nobody else', async () => {
    const token = (await post('/api/v1/namespaces/default/serviceaccounts/default/token', { spec: {} })).json.status.token as string
    const { status, json } = await whoami({ 'impersonate-user': 'kubernetes-admin', 'impersonate-group': 'system:masters' }, bearer(token))
    assert.deepEqual([status, json.message], [403, 'users "kubernetes-admin" is forbidden: User "system:serviceaccount:default:default" cannot impersonate resource "users" in API group "" at the cluster scope'])
  })
  test('needs a user', async () => { assert.equal((await whoami({ 'impersonate-group': 'x' })).status, 400) })
})

describe('service account tokens', () => {
  const tokenFor = async (spec: object): Promise<Answer> => post('/api/v1/namespaces/default/serviceaccounts/default/token', { spec })
  test('let the account in', async () => {
    const { status, json } = await tokenFor({})
    assert.equal(status, 201)
    const me = await post('/apis/authentication.k8s.io/v1/selfsubjectreviews', {}, bearer(json.status.token as string))
    assert.equal(me.json.status.userInfo.username, 'system:serviceaccount:default:default')
    assert.deepEqual(me.json.status.userInfo.groups, ['system:serviceaccounts', 'system:serviceaccounts:default', 'system:authenticated'])
  })
  test('go with the pod they are bound to', async () => {
    await post('/api/v1/namespaces/default/pods', { metadata: { name: 'bound' }, spec: { containers: [{ name: 'c', image: 'x' }] } })
    const { json } = await tokenFor({ expirationSeconds: 3607, boundObjectRef: { kind: 'Pod', apiVersion: 'v1', name: 'bound' } })
    const claims = JSON.parse(Buffer.from(json.status.token.split('.')[1], 'base64url').toString())
    assert.equal(claims.exp - claims.iat, 365 * 24 * 3600)
    assert.equal(claims['kubernetes.io'].warnafter - claims.iat, 3607)
    assert.equal(Math.round((Date.parse(json.status.expirationTimestamp as string) - Date.now()) / 1000 / 10), 361)
    assert.notEqual((await ask('/api/v1/pods', bearer(json.status.token as string))).status, 401)
    await ask('/api/v1/namespaces/default/pods/bound', { method: 'DELETE' })
    assert.equal((await ask('/api/v1/pods', bearer(json.status.token as string))).status, 401)
  })
  test('of another audience are good for a TokenReview of that audience only', async () => {
    const token = (await tokenFor({ audiences: ['vault'] })).json.status.token as string
    assert.equal((await ask('/api/v1/pods', bearer(token))).status, 401)
    const review = async (audiences?: string[]) => (await post('/apis/authentication.k8s.io/v1/tokenreviews', { spec: { token, audiences } })).json.status
    assert.deepEqual(await review(['vault', 'x']).then(({ authenticated, audiences }) => [authenticated, audiences]), [true, ['vault']])
    assert.match((await review()).error as string, /token audiences/)
  })
  test('with a changed signature, claim or algorithm are refused', async () => {
    const [header, payload, signature] = (await tokenFor({})).json.status.token.split('.') as [string, string, string]
    const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
    const claims = JSON.parse(Buffer.from(payload, 'base64url').toString())
    for (const token of [`${header}.${payload}.${signature.slice(0, -4)}AAAA`, `${header}.${encode({ ...claims, sub: 'system:serviceaccount:kube-system:default' })}.${signature}`, `${encode({ alg: 'none' })}.${payload}.`, 'x', '..']) {
      assert.equal((await ask('/api/v1/pods', bearer(token))).status, 401, token)
    }
  })
  test('live at least ten minutes', async () => {
    const { status, json } = await tokenFor({ expirationSeconds: 60 })
    assert.deepEqual([status, json.message], [422, 'TokenRequest.authentication.k8s.io "" is invalid: spec.expirationSeconds: Invalid value: 60: may not specify a duration less than 10 minutes'])
  })
})

describe('representations', () => {
  const as = (kind: string) => ({ headers: { accept: `application/json;as=${kind};v=v1;g=meta.k8s.io,application/json` } })
  test('a Table', async () => {
    const { json } = await ask('/api/v1/namespaces', as('Table'))
    assert.deepEqual([json.kind, json.columnDefinitions.map((column: { name: string }) => column.name)], ['Table', ['Name', 'Status', 'Age']])
    assert.deepEqual(json.rows.map((row: { cells: string[] }) => row.cells[0]), ['default', 'kube-node-lease', 'kube-public', 'kube-system'])
  })
  test('metadata alone', async () => {
    const { json } = await ask('/api/v1/namespaces', as('PartialObjectMetadataList'))
    assert.deepEqual([json.kind, Object.keys(json.items[0])], ['PartialObjectMetadataList', ['kind', 'apiVersion', 'metadata']])
  })
  test('YAML, and indented JSON for people', async () => {
    assert.match((await ask('/api/v1/namespaces/default', { headers: { accept: 'application/yaml' } })).text, /^ *name: default$/m)
    assert.match((await ask('/api/v1/namespaces/default?pretty=true')).text, /^ {2}"metadata": \{$/m)
  })
  test('none that cannot be made', async () => {
    const { status, json } = await ask('/api/v1/namespaces', { headers: { accept: 'application/vnd.kubernetes.protobuf' } })
    assert.deepEqual([status, json.reason], [406, 'NotAcceptable'])
  })
  test('YAML is read, other types are refused', async () => {
    const yaml = await ask('/api/v1/namespaces/default/configmaps', { method: 'POST', headers: { 'content-type': 'application/yaml' }, body: 'metadata: {name: from-yaml}\ndata: {a: b}\n' })
    assert.deepEqual([yaml.status, yaml.json.data], [201, { a: 'b' }])
    const other = await ask('/api/v1/namespaces/default/configmaps', { method: 'POST', headers: { 'content-type': 'text/plain' }, body: 'x' })
    assert.deepEqual([other.status, other.json.reason], [415, 'UnsupportedMediaType'])
  })
  test('a body over 3 MiB is refused', async () => {
    const { status, json } = await ask('/api/v1/namespaces/default/configmaps', { method: 'POST', body: Buffer.alloc(3 * 1024 * 1024 + 1, 0x20) })
    assert.deepEqual([status, json.message], [413, 'Request entity too large: limit is 3145728'])
  })
  test('unknown fields are warned of', async () => {
    const { status, headers } = await post('/api/v1/namespaces/default/configmaps', { metadata: { name: 'warned' }, colour: 'red' })
    assert.deepEqual([status, headers.warning], [201, '299 - "unknown field \\"colour\\""'])
  })
  test('a broken body says where', async () => {
    const { status, json } = await ask('/api/v1/namespaces/default/configmaps', { method: 'POST', body: '{"metadata": {' })
    assert.deepEqual([status, json.reason], [400, 'BadRequest'])
  })
})

describe('watches', () => {
  /** Reads lines until there are `length`; `begun` runs once the headers are here. */
  const lines = (path: string, length: number, begun: () => Promise<unknown>, request: Ask = {}): Promise<any[]> => new Promise((resolve, reject) => {
    let text = ''
    const sent = httpsRequest(options(request, path), response => {
      begun().catch(reject)
      response.setEncoding('utf8').on('data', chunk => {
        text += chunk
        const complete = text.split('\n').slice(0, -1)
        if (complete.length >= length) { resolve(complete.slice(0, length).map(line => JSON.parse(line))); sent.destroy() }
      })
    })
    sent.on('error', error => { if ((error as NodeJS.ErrnoException).code !== 'ECONNRESET') reject(error) }).end()
  })
  test('answer at once and go on', async () => {
    const events = await lines('/api/v1/namespaces/default/configmaps?watch=1&fieldSelector=metadata.name%3Dw&resourceVersion=' + String(server.storage.revision), 2, async () => {
      await post('/api/v1/namespaces/default/configmaps', { metadata: { name: 'w' } })
      await ask('/api/v1/namespaces/default/configmaps/w', { method: 'DELETE' })
    })
    assert.deepEqual(events.map(event => [event.type, event.object.metadata.name]), [['ADDED', 'w'], ['DELETED', 'w']])
  })
  test('as Tables bring the columns once', async () => {
    const events = await lines('/api/v1/namespaces?watch=1', 2, async () => {}, { headers: { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' } })
    assert.deepEqual(events.map(event => [event.object.kind, event.object.columnDefinitions?.length, event.object.rows.length]), [['Table', 3, 1], ['Table', undefined, 1]])
  })
})

describe('the way to a kubelet', () => {
  const base = '/api/v1/namespaces/default/pods'
  test('logs arrive as they are written', async () => {
    const { status, text } = await ask(`${base}/p/log?follow=true&tailLines=5&pretty=1`)
    assert.deepEqual([status, text], [200, 'first line\nsecond line\n'])
    const { url, client } = kubeletRequests.at(-1)!
    assert.deepEqual([url, client], ['/containerLogs/default/p/one?follow=true&tailLines=5', 'kube-apiserver-kubelet-client'])
  })
  test('logs for a caller in this process', async () => {
    let text = ''
    for await (const chunk of server.transport({ name: 'a', groups: ['system:masters'] }).stream({ method: 'GET', path: `${base}/p/log` })) text += Buffer.from(chunk).toString()
    assert.equal(text, 'first line\nsecond line\n')
  })
  test('what the kubelet refuses is refused', async () => {
    const { status, json } = await ask(`${base}/p/log?previous=true&sinceTime=nothing`)
    assert.deepEqual([status, json.message], [400, 'previous terminated container "one" in pod "p" not found'])
  })
  const refusals: [path: string, expected: string][] = [
    ['two/log', 'a container name must be specified for pod two, choose one of: [one two] or one of the init containers: [init]'],
    ['p/log?container=x', 'container x is not valid for pod p'],
    ['p/log?tailLines=-1', 'PodLogOptions "p" is invalid: tailLines: Invalid value: -1: must be greater than or equal to 0'],
    ['homeless/exec?command=ls', 'pod homeless does not have a host assigned'],
    ['p/exec?command=ls', 'Upgrade request required'],
    ['none/log', 'pods "none" not found'],
  ]
  for (const [path, expected] of refusals) test(`refuses ${path}`, async () => { assert.equal((await ask(`${base}/${path}`)).json.message, expected) })
  test('a pod on no node has logged nothing', async () => { assert.equal((await ask(`${base}/homeless/log`)).text, '') })

  const exec = (path: string): Promise<{ socket: Duplex; head: Buffer } | { status: number; text: string }> => new Promise((resolve, reject) => {
    const request = { method: 'POST', headers: { connection: 'Upgrade', upgrade: 'SPDY/3.1', 'x-stream-protocol-version': 'v4.channel.k8s.io', authorization: 'Bearer secret' } }
    httpsRequest(options(request, path), response => {
      let text = ''
      response.on('data', chunk => { text += chunk }).on('end', () => resolve({ status: response.statusCode!, text }))
    }).on('upgrade', (_response, socket, head) => resolve({ socket, head })).on('error', reject).end()
  })
  test('exec is a tunnel both ways, and each end ends by itself', async () => {
    const opened = await exec(`${base}/two/exec?container=two&command=sh&command=-c&command=echo+hi&stdin=true&stdout=true&stderr=false&tty=false`)
    assert.ok('socket' in opened)
    let text = opened.head.toString()
    opened.socket.on('data', chunk => { text += chunk })
    opened.socket.write('hello ')
    opened.socket.end('world ')
    await new Promise(resolve => opened.socket.once('end', resolve))
    assert.equal(text, 'hello world bye')
    const { url, headers, client } = kubeletRequests.at(-1)!
    assert.deepEqual([url, client], ['/exec/default/two/two?input=1&output=1&command=sh&command=-c&command=echo+hi', 'kube-apiserver-kubelet-client'])
    assert.deepEqual([headers.upgrade, headers['x-stream-protocol-version'], headers.authorization], ['SPDY/3.1', 'v4.channel.k8s.io', undefined])
  })
  test('a refused upgrade is a Status', async () => {
    const refusedUpgrade = await exec(`${base}/p/exec?container=x&command=ls`)
    assert.ok('status' in refusedUpgrade)
    assert.deepEqual([refusedUpgrade.status, JSON.parse(refusedUpgrade.text).message], [400, 'container x is not valid for pod p'])
  })
  test('a kubelet that cannot be reached is reported', async () => {
    await post('/api/v1/nodes', { metadata: { name: 'gone' } })
    const node = (await ask('/api/v1/nodes/gone')).json
    const free = await freePort()
    await ask('/api/v1/nodes/gone/status', { method: 'PUT', body: JSON.stringify({ ...node, status: { addresses: [{ type: 'InternalIP', address: '127.0.0.1' }], daemonEndpoints: { kubeletEndpoint: { Port: free } } } }) })
    await post(base, { metadata: { name: 'lost' }, spec: { nodeName: 'gone', containers: [{ name: 'c', image: 'x' }] } })
    const { status, json } = await ask(`${base}/lost/log`)
    assert.deepEqual([status, json.message], [500, `Internal error occurred: error dialing backend: Get "https://127.0.0.1:${free}/containerLogs/default/lost/c": connect ECONNREFUSED 127.0.0.1:${free}`])
  })
  test('a kubelet with another name on its certificate is not trusted', async () => {
    await post('/api/v1/nodes', { metadata: { name: 'impostor' } })
    const node = (await ask('/api/v1/nodes/impostor')).json
    await ask('/api/v1/nodes/impostor/status', { method: 'PUT', body: JSON.stringify({ ...node, status: (await ask('/api/v1/nodes/n1')).json.status }) })
    await post(base, { metadata: { name: 'fooled' }, spec: { nodeName: 'impostor', containers: [{ name: 'c', image: 'x' }] } })
    assert.match((await ask(`${base}/fooled/log`)).json.message as string, /does not match certificate's altnames/)
  })
})

async function freePort(): Promise<number> {
  const probe = createTcpServer()
  await new Promise<void>(resolve => probe.listen(0, '127.0.0.1', resolve))
  const { port: found } = probe.address() as AddressInfo
  await new Promise(resolve => probe.close(resolve))
  return found
}

test('a server that listens already can be handed over', async () => {
  const listening = createTcpServer()
  await new Promise<void>(resolve => listening.listen(0, '127.0.0.1', resolve))
  const handed = await server.listen({ server: listening })
  assert.equal((await ask('/version', { port: handed.port })).json.major, '1')
})

describe('discovery', () => {
  test('in its old form', async () => {
    assert.deepEqual((await ask('/api')).json.versions, ['v1'])
    assert.ok((await ask('/apis')).json.groups.some((group: { name: string }) => group.name === 'apps'))
    const { resources } = (await ask('/apis/apps/v1')).json
    assert.deepEqual(resources.find((resource: { name: string }) => resource.name === 'deployments/scale'),
      { name: 'deployments/scale', singularName: '', namespaced: true, group: 'autoscaling', version: 'v1', kind: 'Scale', verbs: ['get', 'patch', 'update'] })
  })
  test('in one document', async () => {
    const { headers, json } = await ask('/apis', { headers: { accept: 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json' } })
    assert.match(headers['content-type']!, /as=APIGroupDiscoveryList/)
    assert.ok(json.items.length >= 5)
  })
  test('OpenAPI v3', async () => {
    const index = (await ask('/openapi/v3')).json
    const [path] = Object.entries(index.paths as Record<string, { serverRelativeURL: string }>).find(([name]) => name === 'apis/apps/v1')!
    assert.equal((await ask(`/openapi/v3/${path}`)).json.openapi, '3.0.0')
    assert.equal((await ask('/openapi/v2')).json.swagger, '2.0')
  })
})
