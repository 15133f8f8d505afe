// ebpf mode's sockets alone, without packet rules beside: whoever gets an answer here was led to it by
// a program. Needs root; programs run for the test's own processes only.
import assert from 'node:assert/strict'
import { after, afterEach, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Service } from '#api/core/v1.ts'
import type { EndpointSlice } from '#api/discovery/v1.ts'
import { silent } from '#lib/log.ts'
import type { Family } from '#net/ip.ts'
import type { NodeOptions } from '../dataplane.ts'
import { addressOf, network, nodeName, podPort, type Machine } from '../packets.ts'
import { RandomObjects } from '../random.ts'
import { ProxyState } from '../state.ts'
import { makeNetwork, type Network } from '../testing/apply.ts'
import { SocketPlane } from './sockets/apply.ts'
import { cannotTry, Client, makeGroup, type TestGroup } from './testing/apply.ts'

interface Wanted { readonly ip?: string; readonly protocol?: 'TCP' | 'UDP'; readonly pods: readonly Machine[]; readonly affinitySeconds?: number; readonly nodePort?: number; readonly port?: number }

const optionsOf = (family: Family): NodeOptions => ({ family, masqueradeAll: false, masqueradeBit: 14, localTraffic: { by: 'source', cidr: family === 6 ? 'fd00:244::/32' : '10.244.0.0/16' },
  nodePortAddresses: 'all', localhostNodePorts: true, tcpBeLiberal: false, nodeIP: undefined })
const vip: Record<Family, string> = { 4: '10.96.9.1', 6: 'fd00:96::9:1' }, otherVip: Record<Family, string> = { 4: '10.96.9.2', 6: 'fd00:96::9:2' }

describe('sockets', { skip: cannotTry() ?? false }, () => {
  let real: Network, group: TestGroup
  const clients = new Map<string, Client>()
  const close: (() => void)[] = []
  before(async () => {
    real = await makeNetwork({ ports: [podPort] })
    await real.machines['pod-c'].run(['ip', 'route', 'add', 'fd00:244:1::/64', 'via', 'fd00:109::101']) // the way back to this node's pods
    group = makeGroup()
    for (const machine of ['pod-a', 'pod-b', 'node', 'client', 'pod-c'] as const) clients.set(machine, new Client(real.machines[machine].path, group))
    clients.set('outside', new Client(real.machines.node.path))
  })
  after(async () => {
    await Promise.all([...clients.values()].map(client => client.close()))
    await real.close()
    await group.close()
  })
  afterEach(() => {
    for (const each of close.splice(0)) each()
    assert.equal(group.attached(), 0, 'nothing stays attached')
  })

  const client = (name: string) => clients.get(name)!
  function makePlane(family: Family) {
    const plane = new SocketPlane({ family, cgroup: group.fd, log: silent, netns: real.machines.node.path, candidates: () => Object.values(real.machines).map(({ path }) => path) })
    close.push(() => plane.close())
    const state = new ProxyState({ nodeName, family })
    const set = (name: string, wanted: Wanted | undefined) => {
      const [service, slice] = wanted ? objects(name, wanted, family) : []
      state.applyChange({ kind: 'Service', key: `default/${name}`, now: service })
      state.applyChange({ kind: 'EndpointSlice', key: `default/${name}`, now: slice })
      return plane.apply(state.ports(), optionsOf(family))
    }
    return { plane, state, set }
  }
  async function many(count: number, work: (i: number) => Promise<{ answer?: string; error?: string }>): Promise<Map<string, number>> {
    const found = new Map<string, number>()
    for (let i = 0; i < count; i++) {
      const { answer, error } = await work(i), key = answer?.split(' ')[0] ?? error!
      found.set(key, (found.get(key) ?? 0) + 1)
    }
    return found
  }

  for (const family of [4, 6] as const) {
    test(`TCP over IPv${family}: each endpoint about as often, and the Service as the peer`, async () => {
      const { set } = makePlane(family)
      set('web', { pods: ['pod-a', 'pod-b', 'pod-c'] })
      for (const machine of ['node', 'pod-b'] as const) {
        const peers = new Set<string>()
        const found = await many(90, async () => { const outcome = await client(machine).tcp(vip[family], 80); peers.add(outcome.peer!); return outcome })
        assert.deepEqual([...found.keys()].sort(), ['pod-a', 'pod-b', 'pod-c'])
        for (const [pod, count] of found) assert.ok(count > 8, `${pod} ${count} of 90`) // below 8 with a chance of 1 in 10^7
        assert.deepEqual([...peers], [`${vip[family]} 80`])
      }
    })

    test(`UDP over IPv${family}, not connected: one endpoint a socket, answers from the Service's address`, async () => {
      const { set } = makePlane(family)
      set('dns', { protocol: 'UDP', pods: ['pod-a', 'pod-b', 'pod-c'] })
      set('other', { protocol: 'UDP', ip: otherVip[family], pods: ['pod-c'] })
      const answers = new Set<string>()
      for (let i = 0; i < 40; i++) {
        await client('pod-a').ask({ do: 'open', name: 'u', type: `udp${family}` })
        const first = await client('pod-a').ask({ do: 'send', name: 'u', address: vip[family], port: 80 })
        const second = await client('pod-a').ask({ do: 'send', name: 'u', address: otherVip[family], port: 80 })
        const third = await client('pod-a').ask({ do: 'send', name: 'u', address: vip[family], port: 80 })
        assert.deepEqual([first.peer, second.peer, third.peer], [`${vip[family]} 80`, `${otherVip[family]} 80`, `${vip[family]} 80`])
        // Two Services through one socket to one and the same endpoint cannot be told apart: the later is named.
        assert.equal(third.answer, first.answer)
        assert.match(second.answer!, /^pod-c/)
        answers.add(first.answer!)
      }
      assert.equal(answers.size, 3)
    })

    test(`UDP over IPv${family}, connected: named by the Service, closed when its endpoint is removed`, async () => {
      const { set } = makePlane(family)
      set('dns', { protocol: 'UDP', pods: ['pod-a'] })
      const { peer } = await client('node').ask({ do: 'open', name: 'c', type: `udp${family}`, address: vip[family], port: 80 })
      await client('node').ask({ do: 'open', name: 'direct', type: `udp${family}`, address: addressOf('pod-a', family), port: podPort })
      assert.equal(peer, `${vip[family]} 80`)
      const heard = await client('node').ask({ do: 'send', name: 'c' })
      assert.match(heard.answer!, /^pod-a/)
      assert.equal(heard.peer, `${vip[family]} 80`)
      set('dns', { protocol: 'UDP', pods: ['pod-b'] })
      assert.match((await client('node').ask({ do: 'send', name: 'c' })).error!, /ECONNABORTED|EDESTADDRREQ/)
      assert.match((await client('node').ask({ do: 'send', name: 'direct' })).answer!, /^pod-a/)
      await client('node').ask({ do: 'open', name: 'c', type: `udp${family}`, address: vip[family], port: 80 })
      assert.match((await client('node').ask({ do: 'send', name: 'c' })).answer!, /^pod-b/)
      set('dns', undefined)
      assert.match((await client('node').ask({ do: 'send', name: 'c' })).error!, /ECONNABORTED|EDESTADDRREQ/)
    })

    test(`no endpoints over IPv${family}: refused at once`, async () => {
      const { set } = makePlane(family)
      set('none', { pods: [] })
      set('none-udp', { protocol: 'UDP', pods: [] })
      for (const machine of ['node', 'pod-a'] as const) {
        const { error, ms } = await client(machine).tcp(vip[family], 80)
        assert.equal(error, 'ECONNREFUSED')
        assert.ok(ms < 100, `${ms} ms`)
        await client(machine).ask({ do: 'open', name: 'n', type: `udp${family}` })
        assert.equal((await client(machine).ask({ do: 'send', name: 'n', address: vip[family], port: 80 })).error, 'ECONNREFUSED')
        assert.equal((await client(machine).ask({ do: 'open', name: 'n', type: `udp${family}`, address: vip[family], port: 80 })).error, 'ECONNREFUSED')
      }
    })

    test(`affinity over IPv${family}: for a namespace, until it times out or the endpoint goes`, async () => {
      const { set } = makePlane(family)
      const pods: Machine[] = ['pod-a', 'pod-b', 'pod-c']
      set('web', { pods, affinitySeconds: 60 })
      const first = await many(20, () => client('pod-a').tcp(vip[family], 80))
      assert.equal(first.size, 1)
      const [stuck] = first.keys()
      set('web', { pods: pods.filter(pod => pod !== stuck), affinitySeconds: 60 })
      const next = await many(20, () => client('pod-a').tcp(vip[family], 80))
      assert.equal(next.size, 1)
      assert.ok(!next.has(stuck!))
      set('web', { pods, affinitySeconds: 0.02 })
      assert.equal((await many(30, async () => { await sleep(25); return client('pod-a').tcp(vip[family], 80) })).size, 3)
    })
  }

  test('IPv4 Services through IPv6 sockets', async () => {
    const { set } = makePlane(4)
    set('web', { pods: ['pod-a', 'pod-b'] })
    set('dns', { protocol: 'UDP', pods: ['pod-b'] })
    set('none', { ip: otherVip[4], pods: [] })
    assert.equal((await many(40, () => client('node').tcp(`::ffff:${vip[4]}`, 80))).size, 2)
    assert.equal((await client('node').tcp(`::ffff:${vip[4]}`, 80)).peer, `::ffff:${vip[4]} 80`)
    assert.equal((await client('node').tcp(`::ffff:${otherVip[4]}`, 80)).error, 'ECONNREFUSED')
    await client('pod-a').ask({ do: 'open', name: 'm', type: 'udp6' })
    assert.equal((await client('pod-a').ask({ do: 'send', name: 'm', address: `::ffff:${vip[4]}`, port: 80 })).peer, `::ffff:${vip[4]} 80`)
    assert.equal((await client('pod-a').ask({ do: 'open', name: 'm', type: 'udp6', address: `::ffff:${vip[4]}`, port: 80 })).peer, `::ffff:${vip[4]} 80`)
    set('dns', undefined)
    assert.match((await client('pod-a').ask({ do: 'send', name: 'm' })).error!, /ECONNABORTED|EDESTADDRREQ/)
  })

  test('NodePorts: at each of the node\'s addresses; on localhost for the node and not for pods', async () => {
    const { set } = makePlane(4)
    set('web', { pods: ['pod-b'], nodePort: 30999 })
    for (const address of network.node.addresses.filter(one => !one.includes(':'))) assert.match((await client('pod-a').tcp(address, 30999)).answer!, /^pod-b/)
    for (const address of ['127.0.0.1', '127.9.9.9', '192.168.109.101']) assert.match((await client('node').tcp(address, 30999)).answer!, /^pod-b 10\.244\.1\.1|^pod-b 192/)
    assert.equal((await client('pod-a').tcp('127.0.0.1', 30999)).error, 'ECONNREFUSED')
    assert.equal((await client('node').tcp('192.168.109.102', 30999)).error, 'ECONNREFUSED') // another node's address
    // Bound to 127.0.0.1, it is left to packet rules, of which there are none here.
    assert.equal((await client('node').ask({ do: 'tcp', address: '127.0.0.1', port: 30999, source: '127.0.0.1' })).error, 'ECONNREFUSED')
  })

  test('other nodes, other machines and processes outside the control group are left alone', async () => {
    const { set } = makePlane(4)
    set('web', { pods: ['pod-a'] })
    assert.match((await client('pod-b').tcp(vip[4], 80)).answer!, /^pod-a/)
    for (const name of ['client', 'pod-c', 'outside']) assert.ok((await client(name).tcp(vip[4], 80)).error, name)
  })

  test('a stream of requests loses none through other changes, full loads and a takeover', async () => {
    const seed = Number(process.env.SEED ?? Date.now() % 1e9), random = new RandomObjects(seed)
    const { plane, state, set } = makePlane(4)
    set('stream', { pods: ['pod-a', 'pod-b'] })
    let running = true
    const stream = (async () => { const found = new Map<string, number>(); while (running) for (const [key, count] of await many(10, () => client('pod-a').tcp(vip[4], 80))) found.set(key, (found.get(key) ?? 0) + count); return found })()
    for (let i = 0; i < 120; i++) {
      state.applyChange(random.change())
      set('stream', { pods: i % 2 ? ['pod-a', 'pod-b'] : ['pod-b'] })
      if (i % 10 === 0) { plane.forget(); assert.equal(plane.apply(state.ports(), optionsOf(4)), 'full') }
      if (i % 10 === 5) for (const tcpBeLiberal of [true, false]) assert.equal(plane.apply(state.ports(), { ...optionsOf(4), tcpBeLiberal }), 'full') // programs and maps anew
      if (i % 7 === 0) await sleep(10)
      const fresh = makePlane(4) // a second proxy of the same node starts beside, as in an upgrade
      fresh.plane.apply(state.ports(), optionsOf(4))
      assert.deepEqual(plane.readBack(), fresh.plane.readBack(), `SEED=${seed} after ${i + 1} changes`)
      close.pop()!()
    }
    running = false
    const found = await stream
    assert.deepEqual([...found.keys()].sort(), ['pod-a', 'pod-b'], `SEED=${seed}`)
  })

  test('more Services than the maps had room for', () => {
    const { plane, state, set } = makePlane(4)
    set('first', { pods: ['pod-a'] })
    for (let i = 0; i < 17_000; i++) {
      const [service, slice] = objects(`s${i}`, { ip: `10.97.${i >> 8}.${i & 255}`, pods: ['pod-a', 'pod-b'] }, 4)
      state.applyChange({ kind: 'Service', key: `default/s${i}`, now: service })
      state.applyChange({ kind: 'EndpointSlice', key: `default/s${i}`, now: slice })
    }
    assert.equal(plane.apply(state.ports(), optionsOf(4)), 'full')
    assert.equal(plane.readBack().filter(line => line.startsWith('TCP')).length, 17_001)
  })

  test('who was given an endpoint keeps it when everything is written again', async () => {
    const { plane, state, set } = makePlane(4)
    set('web', { pods: ['pod-a', 'pod-b', 'pod-c'], affinitySeconds: 60 })
    const first = await many(5, () => client('pod-a').tcp(vip[4], 80))
    for (let i = 0; i < 5; i++) { plane.forget(); assert.equal(plane.apply(state.ports(), optionsOf(4)), 'full') }
    assert.deepEqual([...(await many(5, () => client('pod-a').tcp(vip[4], 80))).keys()], [...first.keys()])
  })

  test('programs that were detached are noticed', async () => {
    const other = makeGroup()
    const plane = new SocketPlane({ family: 4, cgroup: other.fd, log: silent, netns: real.machines.node.path, candidates: () => [] })
    try {
      plane.apply([], optionsOf(4))
      assert.equal(plane.checkDetached(), false)
      await other.close() // a control group takes its programs along
      for (let tries = 0; !plane.checkDetached(); tries++) { assert.ok(tries < 100); await sleep(10) }
      assert.throws(() => plane.apply([], optionsOf(4)), /LINK_CREATE/)
    } finally { plane.close() }
  })

  test('connections live on when the proxy ends', async () => {
    const { plane, set } = makePlane(4)
    set('dns', { protocol: 'UDP', pods: ['pod-a'] })
    await client('node').ask({ do: 'open', name: 'c', type: 'udp4', address: vip[4], port: 80 })
    close.splice(0)
    plane.close()
    assert.match((await client('node').ask({ do: 'send', name: 'c' })).answer!, /^pod-a/)
  })
})

function objects(name: string, { ip, protocol = 'TCP', pods, affinitySeconds, nodePort, port = 80 }: Wanted, family: Family): [Service, EndpointSlice] {
  const ports = [{ name: 'p', port, protocol, ...nodePort !== undefined && { nodePort } }]
  return [
    { metadata: { namespace: 'default', name }, spec: { clusterIP: ip ?? vip[family], ports, type: nodePort ? 'NodePort' : 'ClusterIP',
      ...affinitySeconds !== undefined && { sessionAffinity: 'ClientIP', sessionAffinityConfig: { clientIP: { timeoutSeconds: affinitySeconds } } } } },
    { metadata: { namespace: 'default', name, labels: { 'kubernetes.io/service-name': name } }, addressType: `IPv${family}`, ports: [{ name: 'p', port: podPort, protocol }],
      endpoints: pods.map(pod => ({ addresses: [addressOf(pod, family)], nodeName: pod === 'pod-c' ? 'other' : nodeName, conditions: { ready: true } })) },
  ]
}
