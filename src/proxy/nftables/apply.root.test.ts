// Syncs against the real nft in network namespaces, over netlink and as text: any way through random
// states must end in the table that a clean sync gives, and the fake must hold the same.
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { openNftables } from '#host/nfnetlink.ts'
import { FakeNft } from '#host/nft.fake.ts'
import { findNft, nft, type Nft } from '#host/nft.ts'
import { run } from '#host/run.ts'
import { silent } from '#lib/log.ts'
import type { Family } from '#net/ip.ts'
import type { NodeOptions } from '../dataplane.ts'
import { Metrics } from '../metrics.ts'
import { RandomObjects } from '../random.ts'
import { ProxyState } from '../state.ts'
import { Namespace } from '../testing/apply.ts'
import { NftablesPlane } from './apply.ts'
import { parseTable } from './parse.ts'

const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31))
const skip = process.getuid?.() !== 0 ? 'needs root' : await findNft() ? false : 'nft does not work here'
const optionsOf = (family: Family): NodeOptions => ({ family, masqueradeAll: false, masqueradeBit: 14, localTraffic: { by: 'source', cidr: family === 4 ? '10.244.0.0/16' : 'fd00:244::/32' },
  nodePortAddresses: family === 4 ? ['127.0.0.1', '192.168.109.101'] : 'all', localhostNodePorts: true, tcpBeLiberal: false, nodeIP: family === 4 ? '192.168.109.101' : 'fd00:109::101' })
const context = (family: Family) => ({ family, metrics: new Metrics(), labels: {}, log: silent })

async function namespaces(t: TestContext, count: number): Promise<string[]> {
  const made = await Promise.all(Array.from({ length: count }, () => Namespace.make()))
  t.after(() => Promise.all(made.map(namespace => namespace.close())))
  return made.map(({ path }) => path)
}

/** Listed tables compare by name: nft prints chains in the order in which they were made. */
async function contents(tool: Nft, family: Family) {
  const { sets, chains } = parseTable(await tool.list(`${family === 4 ? 'ip' : 'ip6'} kube-proxy`) ?? '')
  const sorted = <T>(map: ReadonlyMap<string, T>) => Object.fromEntries([...map].sort(([a], [b]) => a < b ? -1 : 1))
  return { chains: sorted(chains), sets: sorted(new Map([...sets].map(([name, elements]) => [name, sorted(elements)]))) }
}

for (const family of [4, 6] as const) {
  test(`every transition ends where a clean sync ends, by netlink and by text, IPv${family} (SEED=${seed})`, { skip }, async t => {
    const [one, two, clean] = await namespaces(t, 3) as [string, string, string]
    const netlink = openNftables(one)
    const byNetlink = new NftablesPlane(nft(one), context(family), netlink, { idleMs: 0 }), byText = new NftablesPlane(nft(two), context(family), undefined, { idleMs: 0 })
    t.after(() => byNetlink.stop())
    const options = optionsOf(family), state = new ProxyState({ nodeName: 'n1', family }), random = new RandomObjects(seed, family)
    const seen = new Set<string>()
    for (let i = 0; i < 40; i++) {
      for (let n = i % 4 * i % 7 + 1; n > 0; n--) state.applyChange(random.change())
      const ports = state.ports(), fake = new FakeNft()
      for (const plane of [byNetlink, byText]) {
        const applied = await plane.apply(ports, options)
        seen.add(applied.sync)
        assert.equal(applied.partialFailed, false, `partial sync ${i}`)
        assert.equal(await plane.checkFlushed(), false, `sync ${i} is intact`)
      }
      await run(['nft', 'flush', 'ruleset'], { netns: clean })
      await new NftablesPlane(nft(clean), context(family)).apply(ports, options)
      await new NftablesPlane(fake, context(family)).apply(ports, options)
      const wanted = await contents(nft(clean), family)
      assert.deepEqual(await contents(nft(one), family), wanted, `by netlink, after sync ${i}`)
      assert.deepEqual(await contents(nft(two), family), wanted, `by text, after sync ${i}`)
      assert.deepEqual(await contents(fake, family), wanted, `the fake, after sync ${i}`)
    }
    assert.ok(seen.has('partial'))
  })
}

test('whatever another program does to the table is seen and healed', { skip }, async t => {
  const [one] = await namespaces(t, 1) as [string]
  const tool = nft(one), plane = new NftablesPlane(tool, context(4), openNftables(one))
  t.after(() => plane.stop())
  const options = optionsOf(4), state = new ProxyState({ nodeName: 'n1', family: 4 }), random = new RandomObjects(7)
  for (let i = 0; i < 60; i++) state.applyChange(random.change())
  await plane.apply(state.ports(), options)
  const wanted = await contents(tool, 4)
  const damage = ['flush ruleset', 'delete table ip kube-proxy', 'flush chain ip kube-proxy services', 'flush map ip kube-proxy service-ips', 'flush set ip kube-proxy cluster-ips', 'add element ip kube-proxy cluster-ips { 1.2.3.4 }']
  for (const command of damage) {
    await run(['nft', ...command.split(' ')], { netns: one })
    assert.equal(await plane.checkFlushed(), true, command)
    assert.equal((await plane.apply(state.ports(), options)).sync, 'full')
    assert.deepEqual(await contents(tool, 4), wanted, command)
  }
  await run(['nft', 'add', 'table', 'ip', 'other'], { netns: one })
  assert.equal(await plane.checkFlushed(), false, 'the tables of others are theirs')
})

test('a table of another layout is replaced, one of ours keeps its clients', { skip }, async t => {
  const [one] = await namespaces(t, 1) as [string]
  const tool = nft(one), options = optionsOf(4), state = new ProxyState({ nodeName: 'n1', family: 4 })
  await tool.apply('table ip kube-proxy {\n map service-ips { type ipv4_addr : verdict; }\n chain service-X { drop; }\n chain nat-output { type nat hook output priority -100; jump service-X; }\n}\n')
  const service = { metadata: { name: 'a', namespace: 'default' }, spec: { clusterIP: '10.96.0.1', ports: [{ port: 80 }], sessionAffinity: 'ClientIP' } }
  const slice = (...ips: string[]) => ({ metadata: { name: 'a-1', namespace: 'default', labels: { 'kubernetes.io/service-name': 'a' } }, addressType: 'IPv4', ports: [{ name: '', port: 80 }], endpoints: ips.map(ip => ({ addresses: [ip] })) })
  state.applyChange({ kind: 'Service', key: 'default/a', now: service })
  state.applyChange({ kind: 'EndpointSlice', key: 'default/a-1', now: slice('10.244.0.1', '10.244.0.2') })
  await new NftablesPlane(tool, context(4)).apply(state.ports(), options)
  const table = await contents(tool, 4)
  assert.equal('service-X' in table.chains, false)
  const set = Object.keys(table.sets).find(name => name.endsWith('__10.244.0.1/80'))!
  await tool.apply(`add element ip kube-proxy ${set} { 10.244.0.9 timeout 1h }\n`)
  const again = new NftablesPlane(tool, context(4)) // the proxy starts anew
  await again.apply(state.ports(), options)
  assert.deepEqual((await contents(tool, 4)).sets[set], { '10.244.0.9': '' })
  state.applyChange({ kind: 'EndpointSlice', key: 'default/a-1', now: slice('10.244.0.1') })
  await again.apply(state.ports(), options)
  assert.deepEqual((await contents(tool, 4)).sets[set], { '10.244.0.9': '' }, 'the endpoint stays, and so do its clients')
})
