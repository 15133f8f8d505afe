// The proxy against our own API server in memory, writing to an iptables in memory: what it watches,
// when it writes, how it heals. Needs no root.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test, type TestContext } from 'node:test'
import { ensurePki } from '#apiserver/pki/apply.ts'
import { createApiServer, type ApiServer } from '#apiserver/server.ts'
import type { Node, Service } from '#api/core/v1.ts'
import type { EndpointSlice } from '#api/discovery/v1.ts'
import { resources } from '#api/resources.ts'
import { Client } from '#client/client.ts'
import { httpsTransport } from '#client/https.ts'
import { FakeIptables } from '#host/iptables.fake.ts'
import { silent } from '#lib/log.ts'
import { IptablesPlane } from '#proxy/iptables/apply.ts'
import { ServiceProxy } from '#proxy/apply.ts'
import { proxyConfig } from '#proxy/config.ts'
import { ProxyHealth } from '#proxy/health.ts'
import { watchObjects } from '#proxy/main.ts'
import { Metrics } from '#proxy/metrics.ts'
import { HealthCheckServers } from '#proxy/server.ts'

const folder = mkdtempSync(join(tmpdir(), 'fairway-proxy-'))
let server: ApiServer, client: Client
before(async () => {
  const pki = await ensurePki(folder, { serviceIp: '10.96.0.1', advertiseAddress: '127.0.0.1', nodeNames: [] })
  server = await createApiServer({ pki }, { log: silent })
  const { port } = await server.listen({ host: '127.0.0.1', port: 0 })
  client = new Client(httpsTransport({ server: `https://127.0.0.1:${port}`, ca: pki.ca, ...pki.admin }))
})
after(async () => {
  client.transport.close()
  await server.close()
  rmSync(folder, { recursive: true })
})

const service = (name: string, spec: Partial<Service['spec']> = {}): Service => ({ apiVersion: 'v1', kind: 'Service', metadata: { name, namespace: 'default' },
  spec: { ports: [{ name: 'http', port: 80, protocol: 'TCP' }], ...spec } })
const slice = (name: string, addresses: string[], nodeName = 'n1'): EndpointSlice => ({ apiVersion: 'discovery.k8s.io/v1', kind: 'EndpointSlice',
  metadata: { name: `${name}-1`, namespace: 'default', labels: { 'kubernetes.io/service-name': name } }, addressType: 'IPv4',
  ports: [{ name: 'http', port: 8080, protocol: 'TCP' }], endpoints: addresses.map(address => ({ addresses: [address], nodeName, conditions: { ready: true } })) })

async function start(t: TestContext, settings: Record<string, unknown> = {}) {
  const iptables = new FakeIptables(), metrics = new Metrics(), health = new ProxyHealth(60_000), stop = new AbortController()
  const config = proxyConfig(new Map(Object.entries(settings)), new Map())
  const plane = new IptablesPlane(iptables, { config, metrics, labels: { ip_family: 'IPv4' }, log: silent })
  const proxy = new ServiceProxy({ config, nodeName: 'n1', planes: [plane], conntrack: undefined,
    metrics, health, healthChecks: new HealthCheckServers(silent), log: silent })
  t.after(async () => { stop.abort(new Error('the test is over')); await proxy.stop() })
  const watching = watchObjects(client, proxy, { nodeName: 'n1', log: silent, signal: stop.signal })
  const until = async (what: string, holds: () => Promise<boolean> | boolean) => {
    for (const end = Date.now() + 5000; !await holds();) { assert.ok(Date.now() < end, `never: ${what}`); await new Promise(resolve => setTimeout(resolve, 2)) }
  }
  return { iptables, metrics, health, proxy, watching, until, nat: () => iptables.save('nat'), has: async (text: string) => (await iptables.save('nat') + await iptables.save('filter')).includes(text) }
}
const create = async (name: string, spec?: Partial<Service['spec']>, addresses?: string[]) => {
  const made = await client.create<Service>(resources.services, 'default', service(name, spec))
  if (addresses) await client.create(resources.endpointslices, 'default', slice(name, addresses))
  return made
}
const remove = async (name: string) => {
  await client.delete(resources.services, 'default', name)
  await client.delete(resources.endpointslices, 'default', `${name}-1`)
}

test('the first sync holds everything that there is; each change follows', async t => {
  const made = await create('first', {}, ['10.244.0.5'])
  const { iptables, watching, until, has } = await start(t)
  assert.equal(iptables.restored.length, 0, 'nothing is written before all has arrived')
  await watching
  await until('the first sync', () => iptables.restored.length > 0)
  assert.ok(iptables.restored[0]!.includes(made.spec.clusterIP!) && iptables.restored[0]!.includes('10.244.0.5:8080') && iptables.restored[0]!.includes('default/kubernetes:https'))
  await create('second')
  await until('a refusal', () => has('"default/second:http has no endpoints"'))
  await client.create(resources.endpointslices, 'default', slice('second', ['10.244.0.6']))
  await until('an endpoint', () => has('DNAT --to-destination 10.244.0.6:8080'))
  assert.equal(await has('default/second:http has no endpoints'), false)
  assert.ok(iptables.restored.slice(1).every(text => !text.includes('default/first')), 'the other Service is not written again')
  await remove('second')
  await until('its removal', async () => !await has('default/second'))
  await remove('first')
})

test('when iptables fails the old rules stay, and it is tried again', async t => {
  const { iptables, watching, until, has, metrics, nat } = await start(t)
  await watching
  await until('the first sync', () => has('KUBE-SERVICES'))
  const before = await nat()
  iptables.onLine = () => { throw new Error('iptables is ill') }
  await create('late', {}, ['10.244.0.7'])
  await until('a failure', () => metrics.text().includes('kubeproxy_sync_proxy_rules_iptables_restore_failures_total{ip_family="IPv4"} 1'))
  assert.equal(await nat(), before)
  iptables.onLine = () => {}
  await until('the change', () => has('10.244.0.7:8080'))
  assert.ok(metrics.text().includes('kubeproxy_sync_proxy_rules_iptables_partial_restore_failures_total{ip_family="IPv4"} 0') || metrics.text().includes('full_proxy_rules_duration_seconds_count{ip_family="IPv4"} 2'))
  await remove('late')
})

test('a flush by another program is noticed', async t => {
  const { iptables, watching, until, has } = await start(t, { 'iptables.syncPeriod': 20 })
  await watching
  await until('the first sync', () => has('default/kubernetes:https'))
  iptables.flush()
  await until('the rules again', () => has('default/kubernetes:https'))
})

test('the node: labels decide about zones, a taint about /healthz, and all nodes about topologyKeys', async t => {
  const node = (name: string, labels: Record<string, string>, taints: NonNullable<Node['spec']['taints']> = []): Node => ({ apiVersion: 'v1', kind: 'Node', metadata: { name, labels }, spec: { taints } })
  await client.create(resources.nodes, undefined, node('n1', { rack: 'a' }))
  await client.create(resources.nodes, undefined, node('n2', { rack: 'b' }))
  const { watching, until, has, health } = await start(t)
  await watching
  await until('a healthy proxy', () => health.answer('/healthz', Date.now()).code === 200)
  await client.create(resources.services, 'default', service('keyed', { topologyKeys: ['rack'] }))
  await client.create(resources.endpointslices, 'default', slice('keyed', ['10.244.0.8'], 'n2'))
  await until('none in our rack', () => has('"default/keyed:http has no endpoints"'))
  await client.patch(resources.nodes, undefined, 'n2', { metadata: { labels: { rack: 'a' } } })
  await until('one in our rack', () => has('DNAT --to-destination 10.244.0.8:8080'))
  await client.patch(resources.nodes, undefined, 'n1', { spec: { taints: [{ key: 'ToBeDeletedByClusterAutoscaler', effect: 'NoSchedule' }] } })
  await until('a node that goes', () => health.answer('/healthz', Date.now()).code === 503)
  assert.equal(health.answer('/livez', Date.now()).code, 200)
  await remove('keyed')
})

test('a health check node port is served', async t => {
  const made = await create('balanced', { type: 'LoadBalancer', externalTrafficPolicy: 'Local' }, ['10.244.0.9'])
  const { watching, until } = await start(t, { nodePortAddresses: ['127.0.0.0/8'] })
  await watching
  const url = `http://127.0.0.1:${made.spec.healthCheckNodePort}/`
  const status = () => fetch(url).then(response => response.status, () => 0)
  await until('healthy', async () => await status() === 200)
  assert.deepEqual(await (await fetch(url)).json(), { service: { namespace: 'default', name: 'balanced' }, localEndpoints: 1, serviceProxyHealthy: true })
  await client.delete(resources.endpointslices, 'default', 'balanced-1')
  await until('no endpoint here', async () => await status() === 503)
  await client.delete(resources.services, 'default', 'balanced')
  await until('no server', async () => await status() === 0)
})
