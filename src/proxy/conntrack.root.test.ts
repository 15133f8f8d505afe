// A UDP client that never pauses, in real namespaces: when its endpoint is replaced, when its Service
// changes and when it goes, the flow must not stay with what is gone.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { findConntrack } from '#host/conntrack.ts'
import { iptables } from '#host/iptables.ts'
import { run } from '#host/run.ts'
import { silent } from '#lib/log.ts'
import { ServiceProxy } from './apply.ts'
import { proxyConfig } from './config.ts'
import { ProxyHealth } from './health.ts'
import { IptablesPlane } from './iptables/apply.ts'
import { Metrics } from './metrics.ts'
import { makeNetwork, type Network } from './testing/apply.ts'
import { HealthCheckServers } from './server.ts'
import type { Change } from './state.ts'

const skip = process.getuid?.() !== 0 && 'needs root'
const noConntrack = await findConntrack() === undefined && 'conntrack is not installed'
let network: Network
before(async () => { if (!skip && !noConntrack) network = await makeNetwork({ ports: [5353] }) })
after(() => network?.close())

const service = (exists = true): Change => ({ kind: 'Service', key: 'kube-system/dns', now: exists ? { metadata: { name: 'dns', namespace: 'kube-system' },
  spec: { type: 'NodePort', clusterIP: '10.96.0.10', ports: [{ name: 'dns', port: 53, protocol: 'UDP', nodePort: 30053 }] } } : undefined })
const slice = (...addresses: string[]): Change => ({ kind: 'EndpointSlice', key: 'kube-system/dns-1', now: {
  metadata: { name: 'dns-1', namespace: 'kube-system', labels: { 'kubernetes.io/service-name': 'dns' } }, addressType: 'IPv4',
  ports: [{ name: 'dns', port: 5353, protocol: 'UDP' }], endpoints: addresses.map(address => ({ addresses: [address] })) } })

async function proxyOf(conntrack: boolean) {
  const { path } = network.machines.node
  const metrics = new Metrics(), health = new ProxyHealth(60_000)
  const config = proxyConfig(new Map([['clusterCIDR', '10.244.0.0/16']]), new Map())
  const plane = new IptablesPlane(iptables(4, 'iptables', { netns: path }), { config, metrics, labels: { ip_family: 'IPv4' }, log: silent })
  const proxy = new ServiceProxy({ config, nodeName: 'k8s-node01', planes: [plane],
    conntrack: conntrack ? await findConntrack(path) : undefined, metrics, health, healthChecks: new HealthCheckServers(silent), log: silent })
  const change = async (...changes: Change[]) => {
    for (const one of changes) proxy.change(one)
    for (const queued = Date.now(); !isSynced(metrics, queued);) await new Promise(resolve => setTimeout(resolve, 5))
  }
  return { proxy, change }
}
const isSynced = (metrics: Metrics, since: number) => Number(/last_timestamp_seconds\{\S* (\S+)/.exec(metrics.text())?.[1] ?? 0) * 1000 >= since

/** Always the same source port: to conntrack, one flow. */
const ask = async (address = '10.96.0.10', port = 53) => {
  const { answer, error } = await network.machines['pod-a'].ask({ do: 'send', protocol: 'udp', address, port, timeoutMs: 500, sourcePort: 40_000 })
  return answer?.split(' ')[0] ?? error
}

/** conntrack comes after the rules: what is wanted is so soon, and without conntrack never, as the client does not pause. */
async function becomes(wanted: (answer: string | undefined) => boolean, what: string): Promise<void> {
  let answer: string | undefined
  for (const end = Date.now() + 3000; Date.now() < end;) if (wanted(answer = await ask())) return
  assert.fail(`${what}, but the last answer is ${answer}`)
}

for (const conntrack of [true, false]) {
  test(conntrack ? 'flows follow the endpoints' : 'without conntrack they do not: this test can fail', { skip: skip || noConntrack }, async t => {
    const { proxy, change } = await proxyOf(conntrack)
    t.after(() => proxy.stop())
    await run(['conntrack', '-F'], { netns: network.machines.node.path })
    proxy.start()
    await change(service(), slice('10.244.1.3'))
    assert.equal(await ask(), 'pod-b')
    await change(slice('10.244.2.2'))
    if (!conntrack) {
      for (let i = 0; i < 20; i++) assert.equal(await ask(), 'pod-b', 'a removed endpoint keeps a client that does not pause')
      return
    }
    await becomes(answer => answer === 'pod-c', 'the flow goes to the new endpoint')
    await change(slice('10.244.1.3', '10.244.2.2'))
    for (let i = 0; i < 20; i++) assert.equal(await ask(), 'pod-c', 'a flow to an endpoint that stays is left alone')
    await change(slice())
    await becomes(answer => answer === 'ECONNREFUSED', 'without endpoints it is refused')
    await change(slice('10.244.1.3'))
    await becomes(answer => answer === 'pod-b', 'it comes back with the first endpoint')
    await change(service(false))
    await becomes(answer => answer !== 'pod-b', 'it ends with the Service')
  })
}
