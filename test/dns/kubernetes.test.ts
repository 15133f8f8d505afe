// The plugin kubernetes whole: our API server over HTTPS, our DNS server, and queries over UDP and
// TCP on loopback. Objects that no API server accepts stay in the pure tests.
import assert from 'node:assert/strict'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { ensurePki } from '#apiserver/pki/apply.ts'
import { createApiServer, type ApiServer } from '#apiserver/server.ts'
import type { Namespace, Pod, Service } from '#api/core/v1.ts'
import type { EndpointSlice } from '#api/discovery/v1.ts'
import type { KubeObject } from '#api/object.ts'
import { resources, type Resource } from '#api/resources.ts'
import { Client } from '#client/client.ts'
import { httpsTransport } from '#client/https.ts'
import { cases, objects } from '#dns/plugins/kubernetes/cases.ts'
import { brief, externalName, question, service, slice } from '#dns/plugins/kubernetes/testing.ts'
import { records } from '#dns/plugin.ts'
import type { Query } from '#dns/query.ts'
import { testServer, type TestServer } from '#dns/testing/server.ts'
import { decode, type Message } from '#dns/wire/message.ts'
import { silent } from '#lib/log.ts'

const folder = mkdtempSync(join(tmpdir(), 'fairway-kubernetes-dns-'))
let api: ApiServer, client: Client, dns: TestServer | undefined, endpoint: string

/** Objects as a person would write them: the API server gives uid and version. */
const bare = <T extends KubeObject>(object: T, kind: string, apiVersion = 'v1'): T => {
  const { name, namespace, labels } = object.metadata
  return { ...object, apiVersion, kind, metadata: { name, ...(namespace && { namespace }), ...(labels && { labels }) } } as T
}
const make = <T extends KubeObject>(resource: Resource, object: T) => client.create<T>(resource, object.metadata.namespace, object as never)
const makeService = (object: Service) => make(resources.services, bare(object, 'Service'))
const makeSlice = (object: EndpointSlice) => make(resources.endpointslices, bare(object, 'EndpointSlice', 'discovery.k8s.io/v1'))
const makeNamespace = (object: Namespace) => make(resources.namespaces, bare(object, 'Namespace'))

/** What the API refuses or fills in by itself: an address of its own for a Service without one, single-stack ranges. */
const isAccepted = (object: Service) => !/(dual|six|pending|noports|late|anip6)$/.test(object.metadata.name) && object.metadata.namespace !== 'late' && object.metadata.name !== 'kubernetes'
const isAsked = (text: string) => !/anip6|dual|six\.|pending|noports|late|portless|\bdb6|unnamed|example\.org|ext(-dot)?\.default|^kubernetes|8\.b\.d|d\.f\.ip6|^\. /i.test(text)

before(async () => {
  const pki = await ensurePki(folder, { serviceIp: '10.96.0.1', advertiseAddress: '127.0.0.1', nodeNames: [] })
  api = await createApiServer({ pki }, { log: silent })
  const { port } = await api.listen({ host: '127.0.0.1', port: 0 })
  endpoint = `https://127.0.0.1:${port}`
  client = new Client(httpsTransport({ server: endpoint, ca: pki.ca, ...pki.admin }))
  for (const [name, text] of [['admin.crt', pki.admin.cert], ['admin.key', pki.admin.key], ['ca.crt', pki.ca]] as const) writeFileSync(join(folder, `dns-${name}`), text)
  for (const object of objects.namespaces!) if (!['default', 'kube-system'].includes(object.metadata.name)) await makeNamespace(object)
  for (const object of objects.services!.filter(isAccepted)) await makeService(object)
  for (const object of objects.slices!) await makeSlice(object)
  dns = await startDns()
})
after(async () => {
  await dns?.server.stop()
  client.transport.close()
  await api.close()
  rmSync(folder, { recursive: true })
})

async function startDns(): Promise<TestServer> {
  const started = await testServer(`. {\n bind 127.0.0.1\n cache 30\n loadbalance\n kubernetes cluster.local in-addr.arpa ip6.arpa {\n endpoint ${endpoint}\n tls ${folder}/dns-admin.crt ${folder}/dns-admin.key ${folder}/dns-ca.crt\n ttl 30\n pods insecure\n fallthrough example.org\n }\n}`)
  await until('synced', () => started.server.notReady().length === 0)
  return started
}
async function until(what: string, holds: () => boolean | Promise<boolean>, ms = 5000): Promise<number> {
  const began = performance.now()
  while (!await holds()) {
    assert.ok(performance.now() - began < ms, `not within ${ms} ms: ${what}`)
    await sleep(1)
  }
  return performance.now() - began
}

let ids = 0
function numbered(query: Query): Buffer {
  const message = Buffer.from(query.message)
  message.writeUInt16BE(++ids & 0xffff, 0)
  return message
}
async function overUdp(query: Query, { port } = dns!): Promise<Message> {
  const socket = createSocket('udp4'), message = numbered(query)
  try {
    socket.send(message, port, '127.0.0.1')
    const [answer] = await once(socket, 'message', { signal: AbortSignal.timeout(3000) }) as [Buffer]
    assert.equal(answer.readUInt16BE(0), message.readUInt16BE(0))
    return decode(answer)
  } finally { socket.close() }
}
async function overTcp(query: Query, { port } = dns!): Promise<Message> {
  const socket = connect(port, '127.0.0.1'), message = numbered(query)
  try {
    socket.end(Buffer.concat([Buffer.from([message.length >> 8, message.length & 255]), message]))
    const pieces: Buffer[] = []
    for await (const piece of socket) pieces.push(piece as Buffer)
    const all = Buffer.concat(pieces)
    assert.equal(all.readUInt16BE(0), all.length - 2)
    return decode(all.subarray(2))
  } finally { socket.destroy() }
}
/** Turned addresses put in order; what is not answered by this plugin has left the chain's end as SERVFAIL. */
const told = ({ rcode, flags, answer, authority, additional }: Message, query: Query) => sorted(brief(records({ rcode, flags, answer, authority, additional }), query))
const sorted = (text: string) => /^A+ [^,+]+(, A+ [^,+]+)+$/.test(text) ? text.split(', ').sort().join(', ') : text
const get = async (text: string) => { const query = question(text); return told(await overUdp(query), query) }
/** The serial is a time, the NS are this machine's: both are other tests'. */
const isFixed = (text: string) => !/ (SOA|NS)$|ns\.dns/.test(text)

for (const [protocol, send] of [['UDP', overUdp], ['TCP', overTcp]] as const) {
  test(`the table of questions over ${protocol}`, async () => {
    const asked = cases.filter(([text]) => isAsked(text) && isFixed(text))
    assert.ok(asked.length >= 120, String(asked.length))
    const wrong: string[] = []
    for (const [text, expected] of asked) {
      const query = question(text)
      const message = await send(query)
      // Over UDP without EDNS0 512 bytes are all: the additional records of a long SRV answer may be missing.
      const got = told(message, query)
      if (got !== sorted(expected)) wrong.push(`${text}\n  expected ${expected}\n  got      ${got}`)
      assert.equal(message.questions[0]!.name, query.asked, 'the question comes back as it was asked')
    }
    assert.deepEqual(wrong, [])
  })
}

test('a pod is in its headless Service within 100 ms of being ready, and out of it as soon', async () => {
  await makeService(service('default/sts', 'None', 'http:80'))
  const made = await makeSlice(slice('default/sts-a', 'sts', '!sts-0=10.244.50.1', 'http:80'))
  await until('known', async () => await get('sts.default.svc A') === 'NXDOMAIN cluster.local.')
  let current = made
  for (const [ready, expected] of [[true, 'A 10.244.50.1'], [false, 'NXDOMAIN cluster.local.'], [true, 'A 10.244.50.1']] as const) {
    for (let n = 0; n < 3; n++) await get('sts-0.sts.default.svc A') // somebody asks all the time
    current = await client.update<EndpointSlice>(resources.endpointslices, { ...current, endpoints: [{ ...current.endpoints![0]!, conditions: { ready } }] })
    const took = await until(`ready: ${ready}`, async () => await get('sts-0.sts.default.svc A') === expected && await get('sts.default.svc A') === expected)
    assert.ok(took < 100, `${took.toFixed(0)} ms`)
  }
})

test('Services change kind, ports and addresses under their name', async () => {
  const made = await makeService(service('default/change', '10.96.7.7', 'http:80'))
  await until('made', async () => await get('change.default.svc A') === 'A 10.96.7.7')
  await until('reverse', async () => await get('7.7.96.10.in-addr.arpa. PTR') === 'PTR change.default.svc.cluster.local.')
  await client.update(resources.services, { ...made, spec: { ...made.spec, ports: [{ name: 'web', port: 81, protocol: 'TCP' }] } } as Service)
  await until('ports', async () => (await get('_web._tcp.change.default.svc SRV')).startsWith('SRV 0 100 81 ') && (await get('_http._tcp.change.default.svc SRV')).startsWith('NXDOMAIN'))
  await client.delete(resources.services, 'default', 'change')
  await makeService(externalName('default/change', 'web.default.svc.cluster.local'))
  await until('external', async () => await get('change.default.svc A') === 'CNAME web.default.svc.cluster.local., web.default.svc.cluster.local. A 10.96.0.20')
  assert.equal(await get('7.7.96.10.in-addr.arpa. PTR'), 'NXDOMAIN in-addr.arpa.')
  await client.delete(resources.services, 'default', 'change')
  await until('gone', async () => await get('change.default.svc A') === 'NXDOMAIN cluster.local.')
})

test('a query before the API server answers is a failure, and soon after it is not', async () => {
  const config = (server: string) => `. {\n bind 127.0.0.1\n kubernetes cluster.local {\n endpoint ${server}\n tls ${folder}/dns-admin.crt ${folder}/dns-admin.key ${folder}/dns-ca.crt\n }\n}`
  let corefile = config('https://127.0.0.1:9') // nobody listens there
  const early = await testServer(() => corefile)
  try {
    const query = question('web.default.svc A')
    assert.equal((await overUdp(query, early)).rcode, 2)
    assert.deepEqual(early.server.notReady(), ['kubernetes'])
    corefile = config(endpoint)
    assert.equal(await early.server.reload(), 'reloaded')
    await until('ready', () => early.server.notReady().length === 0)
    assert.equal(brief(records(await overUdp(query, early)), query, 5), 'A 10.96.0.20')
    // A reload that changes what is asked of the API server answers all the while.
    corefile = corefile.replace('endpoint', 'labels nobody=has\n endpoint')
    await early.server.reload()
    assert.equal((await overUdp(query, early)).answer.length, 1)
    await until('other objects', async () => (await overUdp(query, early)).rcode === 3)
  } finally { await early.server.stop() }
})

test('pods verified and autopath, by the address of the asker', async () => {
  const two = await testServer(`. {\n bind 127.0.0.1\n autopath @kubernetes\n kubernetes cluster.local {\n endpoint ${endpoint}\n tls ${folder}/dns-admin.crt ${folder}/dns-admin.key ${folder}/dns-ca.crt\n pods verified\n }\n}`)
  try {
    await until('synced', () => two.server.notReady().length === 0)
    const query = question('web.other.default.svc A'), own = question('127-0-0-1.default.pod A')
    assert.equal((await overUdp(own, two)).rcode, 3)
    await make(resources.serviceaccounts, { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default', namespace: 'default' } } as KubeObject)
    const pod = await make<Pod>(resources.pods, { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'asker', namespace: 'default' }, spec: { containers: [{ name: 'c', image: 'x' }] } } as Pod)
    await client.update(resources.pods, { ...pod, status: { phase: 'Running', podIP: '127.0.0.1', podIPs: [{ ip: '127.0.0.1' }] } } as Pod, 'status')
    await until('its name', async () => (await overUdp(own, two)).rcode === 0)
    assert.equal(brief(records(await overUdp(query, two)), query, 5), 'CNAME web.other.svc.cluster.local., web.other.svc.cluster.local. A 10.97.0.20')
  } finally { await two.server.stop() }
})

test('many Services, a load and changes: no wrong answer', async () => {
  const count = Number(process.env.SERVICES ?? 1000) // SERVICES=10000 takes a minute
  const ip = (i: number) => `10.100.${i >> 8}.${i & 255}`
  for (let i = 0; i < count; i += 50) await Promise.all(Array.from({ length: 50 }, (_, n) => makeService(service(`default/n${i + n}`, ip(i + n), 'http:80'))))
  await until('all', async () => await get(`n${count - 1}.default.svc A`) === `A ${ip(count - 1)}`)
  await makeService(service('default/churn', 'None', 'http:80'))
  let current = await makeSlice(slice('default/churn-a', 'churn', '10.244.60.0', 'http:80')), stop = false
  const churn = (async () => {
    for (let n = 1; !stop; n++) {
      current = await client.update<EndpointSlice>(resources.endpointslices, { ...current, endpoints: [{ addresses: [`10.244.60.${n & 255}`], conditions: { ready: true } }] })
      const expected = `A 10.244.60.${n & 255}`
      await until(expected, async () => await get('churn.default.svc A') === expected, 1000)
    }
    return current.metadata.generation
  })()
  const load = Array.from({ length: 8 }, async (_, worker) => {
    for (let n = 0; n < 300; n++) {
      const i = (n * 7919 + worker * 131) % (count * 2)
      const got = await get(`n${i}.default.svc ${n % 3 ? 'A' : 'AAAA'}`)
      assert.equal(got, i >= count ? 'NXDOMAIN cluster.local.' : n % 3 ? `A ${ip(i)}` : 'NODATA cluster.local.')
    }
  })
  await Promise.all(load)
  stop = true
  await churn
})
