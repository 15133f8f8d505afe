// Syncs against fakes of ipvsadm, ipset, ip and iptables: what is written, what is not, and that any way
// leads to the same end.
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { FakeIpset } from '#host/ipset.fake.ts'
import { FakeIptables } from '#host/iptables.fake.ts'
import { FakeIpvs } from '#host/ipvs.fake.ts'
import { silent } from '#lib/log.ts'
import type { NodeOptions } from '../dataplane.ts'
import { Metrics } from '../metrics.ts'
import { Objects, randomNumbers, RandomObjects } from '../random.ts'
import { desiredPorts, ProxyState, type ProxiedPort } from '../state.ts'
import { IpvsPlane } from './apply.ts'
import { cleanupRules, cleanupServers, cleanupSets } from './cleanup.ts'
import { testConfig } from './testing/apply.ts'
import { saveAll } from '../iptables/apply.ts'

const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31))
const node: NodeOptions = { family: 4, masqueradeAll: false, masqueradeBit: 14, localTraffic: { by: 'source', cidr: '10.244.0.0/16' },
  nodePortAddresses: 'all', localhostNodePorts: true, tcpBeLiberal: false, nodeIP: '192.168.109.101' }

class Machine {
  readonly ipvs = new FakeIpvs([['lo', ['127.0.0.1', '::1']], ['eth0', ['192.168.109.101', 'fd00:109::101', 'fe80::1']]])
  readonly ipset = new FakeIpset()
  readonly iptables = new FakeIptables()

  plane(values: Record<string, unknown> = {}, drainCheckMs = 5): IpvsPlane {
    return new IpvsPlane({ ipvs: this.ipvs, ipset: this.ipset, iptables: this.iptables }, { config: testConfig(values), metrics: new Metrics(), labels: {}, log: silent, drainCheckMs })
  }

  async dump(): Promise<string> {
    const tables = await Promise.all(['filter', 'nat', 'mangle'].map(table => this.iptables.save(table)))
    const sets = (await this.ipset.save()).split('\n').sort(), addresses = [...(await this.ipvs.interfaces()).get('kube-ipvs0') ?? ['no device']].sort()
    return [...(await this.ipvs.save()).split('\n').sort(), ...sets, ...addresses, ...tables].join('\n')
  }

  /** All that was given to the tools, and forgets it. */
  written(): string { return [this.ipset, this.ipvs, this.iptables].flatMap(({ restored }) => restored.splice(0)).join('') }

  /** Called with each line of each tool. */
  set onLine(call: (line: string) => void) { this.ipvs.onLine = this.ipset.onLine = this.iptables.onLine = call }
}

async function cleanApply(ports: readonly ProxiedPort[]): Promise<string> {
  const machine = new Machine()
  await machine.plane().apply(ports, node)
  return machine.dump()
}

/** Desired states that follow each other by a few changes, and sometimes by many. */
function* states(count: number): Generator<readonly ProxiedPort[]> {
  const random = new RandomObjects(seed), objects = new Objects(), number = randomNumbers(seed + 1)
  const state = new ProxyState({ nodeName: 'n1', family: 4 })
  for (let i = 0; i < count; i++) {
    for (let n = Math.ceil(number() ** 4 * 40); n > 0; n--) { const change = random.change(); objects.apply(change); state.applyChange(change) }
    yield state.ports()
  }
}

test(`every transition ends where a clean sync ends, and then nothing is left to write (SEED=${seed})`, async () => {
  const machine = new Machine(), plane = machine.plane(), seen = new Set<string>()
  for (const ports of states(300)) {
    seen.add((await plane.apply(ports, node)).sync)
    assert.equal(await machine.dump(), await cleanApply(ports))
    machine.written()
    assert.deepEqual(await plane.apply(ports, node), { sync: 'none', partialFailed: false })
    assert.equal(machine.written(), '')
  }
  assert.deepEqual([...seen].sort(), ['full', 'none', 'partial'])
  await plane.stop()
})

test(`a proxy that starts anew, or after a flush or a crash in the middle of a sync, ends there too (SEED=${seed})`, async () => {
  const machine = new Machine(), number = randomNumbers(seed)
  let plane = machine.plane()
  for (const ports of states(150)) {
    const what = number()
    if (what < 0.2) { await plane.stop(); plane = machine.plane() }
    else if (what < 0.4) await flush(machine, number)
    else if (what < 0.6) {
      let lines = Math.floor(number() * 40)
      machine.onLine = () => { if (lines-- <= 0) throw new Error('killed') }
      await plane.apply(ports, node).catch(() => {})
      machine.onLine = () => {}
      if (number() < 0.5) plane = machine.plane() // it does not live to try again
    }
    if (await plane.checkFlushed() || true) await plane.apply(ports, node)
    assert.equal(await machine.dump(), await cleanApply(ports))
    assert.equal(await plane.checkFlushed(), false)
  }
  await plane.stop()
})

async function flush({ iptables, ipvs }: Machine, number: () => number): Promise<void> {
  if (number() < 0.3) iptables.flush()
  else if (number() < 0.5) await ipvs.restore((await ipvs.save()).match(/^-A \S+ \S+/gm)?.map(line => line.replace('-A', '-D')).join('\n') ?? '')
  else if ((await ipvs.interfaces()).has('kube-ipvs0')) await ipvs.ip('link del kube-ipvs0\n')
}

const service = (name: string, address: string, more: object = {}) => ({ metadata: { name, namespace: 'default' },
  spec: { clusterIP: address, ports: [{ name: 'a', port: 80 }, { name: 'b', port: 53, protocol: 'UDP' as const }, { name: 'c', port: 9, protocol: 'SCTP' as const }], ...more } })
const slice = (name: string, ips: string[]) => ({ metadata: { name: `${name}-1`, namespace: 'default', labels: { 'kubernetes.io/service-name': name } }, addressType: 'IPv4',
  ports: [{ name: 'a', port: 8080 }, { name: 'b', port: 53, protocol: 'UDP' as const }, { name: 'c', port: 9, protocol: 'SCTP' as const }], endpoints: ips.map(ip => ({ addresses: [ip] })) })
const withEndpoints = (ips: string[], more: object = {}) => desiredPorts({ services: [service('a', '10.96.0.1'), service('b', '10.96.0.2', more)], slices: [slice('a', ['10.244.0.9']), slice('b', ips)], nodes: [] }, { nodeName: 'n', family: 4 })

async function started(t: TestContext, ips: string[], values: Record<string, unknown> = {}): Promise<{ machine: Machine; plane: IpvsPlane }> {
  const machine = new Machine(), plane = machine.plane(values)
  t.after(() => plane.stop())
  await plane.apply(withEndpoints(ips), node)
  machine.written()
  return { machine, plane }
}

test('a change of an endpoint is a few lines for ipvsadm, and nothing else', async t => {
  const { machine, plane } = await started(t, ['10.244.0.1', '10.244.0.2'])
  assert.deepEqual(await plane.apply(withEndpoints(['10.244.0.1', '10.244.0.3']), node), { sync: 'partial', partialFailed: false })
  assert.equal(machine.written(), `\
-a -t 10.96.0.2:80 -r 10.244.0.3:8080 -m -w 1
-e -t 10.96.0.2:80 -r 10.244.0.2:8080 -m -w 0
-a -u 10.96.0.2:53 -r 10.244.0.3:53 -m -w 1
-d -u 10.96.0.2:53 -r 10.244.0.2:53
-a --sctp-service 10.96.0.2:9 -r 10.244.0.3:9 -m -w 1
-d --sctp-service 10.96.0.2:9 -r 10.244.0.2:9
-d -t 10.96.0.2:80 -r 10.244.0.2:8080
`)
})

test('an endpoint with connections stays with weight 0 until they have ended, and comes back with weight 1', async t => {
  const { machine, plane } = await started(t, ['10.244.0.1', '10.244.0.2']), gone = '-t 10.96.0.2:80 -r 10.244.0.2:8080'
  machine.ipvs.connections.set(gone, 1)
  await plane.apply(withEndpoints(['10.244.0.1']), node)
  assert.match(await machine.ipvs.save(), new RegExp(`${gone} -m -w 0`))
  await plane.apply(withEndpoints(['10.244.0.1', '10.244.0.2']), node)
  assert.match(await machine.ipvs.save(), new RegExp(`${gone} -m -w 1`))
  await new Promise(resolve => setTimeout(resolve, 30))
  assert.match(await machine.ipvs.save(), new RegExp(`${gone} -m -w 1`))
  await plane.apply(withEndpoints(['10.244.0.1']), node)
  machine.ipvs.connections.clear()
  await new Promise(resolve => setTimeout(resolve, 60))
  assert.doesNotMatch(await machine.ipvs.save(), new RegExp(gone))
  machine.written()
  assert.equal((await plane.apply(withEndpoints(['10.244.0.1']), node)).sync, 'none')
})

test('a proxy that starts takes up what another left draining', async t => {
  const { machine, plane } = await started(t, ['10.244.0.1', '10.244.0.2']), gone = '-t 10.96.0.2:80 -r 10.244.0.2:8080'
  machine.ipvs.connections.set(gone, 1)
  await plane.apply(withEndpoints(['10.244.0.1']), node)
  await plane.stop()
  const next = machine.plane()
  t.after(() => next.stop())
  await next.apply(withEndpoints(['10.244.0.1']), node)
  assert.match(await machine.ipvs.save(), new RegExp(`${gone} -m -w 0`))
  machine.ipvs.connections.clear()
  await new Promise(resolve => setTimeout(resolve, 60))
  assert.doesNotMatch(await machine.ipvs.save(), new RegExp(gone))
})

test('affinity, the scheduler and timeouts', async () => {
  const machine = new Machine(), plane = machine.plane({ 'ipvs.scheduler': 'mh', 'ipvs.tcpTimeout': 60_000, 'ipvs.udpTimeout': 5_000, 'ipvs.strictARP': true })
  await plane.apply(withEndpoints(['10.244.0.1'], { sessionAffinity: 'ClientIP' }), node)
  assert.match(await machine.ipvs.save(), /^-A -t 10\.96\.0\.2:80 -s mh -p 10800 -b mh-port$/m)
  assert.equal(machine.ipvs.timeouts, '60 0 5')
  assert.deepEqual([...await machine.ipvs.sysctls(['net/ipv4/conf/all/arp_announce'])], [['net/ipv4/conf/all/arp_announce', '2']])
  machine.written()
  await plane.apply(withEndpoints(['10.244.0.1'], { sessionAffinity: 'ClientIP', sessionAffinityConfig: { clientIP: { timeoutSeconds: 60 } } }), node)
  assert.match(machine.written(), /^-E -t 10\.96\.0\.2:80 -s mh -p 60 -b mh-port\n/)
})

test('virtual servers in excludeCIDRs, and of the other family, are left alone', async t => {
  const machine = new Machine(), plane = machine.plane({ 'ipvs.excludeCIDRs': ['10.200.0.0/16'] }), foreign = '-A -t 10.200.0.1:80 -s lc\n-a -t 10.200.0.1:80 -r 10.1.1.1:80 -m -w 7\n-A -t [fd00::1]:80 -s rr\n'
  t.after(() => plane.stop())
  await machine.ipvs.restore(`${foreign}-A -t 10.201.0.1:80 -s rr\n`)
  await plane.apply(withEndpoints(['10.244.0.1']), node)
  const saved = await machine.ipvs.save()
  for (const line of foreign.trim().split('\n')) assert.ok(saved.includes(line), line)
  assert.doesNotMatch(saved, /10\.201/)
})

test('a new address of the machine gets its NodePorts; an address that the machine has is not put on the device', async t => {
  const machine = new Machine(), plane = machine.plane(), ports = withEndpoints(['10.244.0.1'], { type: 'NodePort', externalIPs: ['192.168.109.102', '203.0.113.9'], ports: [{ name: 'a', port: 80, nodePort: 30007 }] })
  t.after(() => plane.stop())
  await plane.apply(ports, node)
  assert.deepEqual((await machine.ipvs.interfaces()).get('kube-ipvs0')!.sort(), ['10.96.0.1', '10.96.0.2', '192.168.109.102', '203.0.113.9'])
  machine.ipvs.setAddresses('eth0', ['192.168.109.101', '192.168.109.102'])
  assert.equal(await plane.checkFlushed(), true)
  await plane.apply(ports, node)
  assert.match(await machine.ipvs.save(), /^-A -t 192\.168\.109\.102:30007 -s rr$/m)
  assert.deepEqual((await machine.ipvs.interfaces()).get('kube-ipvs0')!.sort(), ['10.96.0.1', '10.96.0.2', '203.0.113.9'])
})

test('cleanup removes what is ours and nothing else', async () => {
  const machine = new Machine(), plane = machine.plane(), foreign = '*nat\n:CNI - [0:0]\n:KUBE-MARK-MASQ - [0:0]\n-A CNI -s 10.0.0.1 -j KUBE-MARK-MASQ\n-A KUBE-MARK-MASQ -j MARK --or-mark 0x4000\nCOMMIT\n'
  await machine.iptables.restore(foreign)
  await machine.ipset.restore('create other hash:ip family inet\n')
  const before = await machine.dump()
  await plane.apply([...states(40)].at(-1)!, node)
  await plane.stop()
  await machine.ipvs.restore(cleanupServers(await machine.ipvs.save(), { hasDevice: true, isOurs: () => true }))
  await machine.ipvs.ip('link del kube-ipvs0\n')
  machine.ipset.inUse = name => name.startsWith('KUBE') // while rules refer to them
  await assert.rejects(machine.ipset.restore(cleanupSets(await machine.ipset.save())), /in use/)
  await machine.iptables.restore(cleanupRules(await saveAll(machine.iptables), undefined))
  machine.ipset.inUse = () => false
  await machine.ipset.restore(cleanupSets(await machine.ipset.save()))
  assert.equal(await machine.dump(), before)
  assert.equal(cleanupRules(await saveAll(machine.iptables), undefined) + cleanupSets(await machine.ipset.save()) + cleanupServers('-A -t 1.2.3.4:80 -s rr\n', { hasDevice: false, isOurs: () => true }), '')
})
