// Syncs against the fake iptables: what is written, what is not, and that any way leads to the same end.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FakeIptables } from '#host/iptables.fake.ts'
import { silent } from '#lib/log.ts'
import { Objects, randomNumbers, RandomObjects } from '../random.ts'
import { desiredPorts, ProxyState, type ProxiedPort } from '../state.ts'
import { cleanupTables, IptablesApplier } from './apply.ts'
import type { RuleOptions } from './options.ts'
import { jumps, ruleGenerator, rules } from './rules.ts'

const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31))
const options: RuleOptions = { family: 4, masqueradeAll: false, masqueradeBit: 14, randomFully: true,
  localTraffic: { ifLocal: '-s 10.244.0.0/16', ifNotLocal: '! -s 10.244.0.0/16' }, nodePortAddresses: 'all', localhostNodePorts: true, tcpBeLiberal: false, nodeIP: '192.168.109.101' }

const applier = (iptables: FakeIptables) => new IptablesApplier(iptables, { jumps: jumps(options), log: silent })
const dump = async (iptables: FakeIptables) => (await Promise.all(['filter', 'nat', 'mangle'].map(table => iptables.save(table)))).join('')
async function cleanApply(ports: readonly ProxiedPort[]): Promise<string> {
  const iptables = new FakeIptables()
  await applier(iptables).apply(rules(ports, options))
  return dump(iptables)
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
  const iptables = new FakeIptables(), one = applier(iptables), generate = ruleGenerator(options)
  const seen = new Set<string>()
  for (const ports of states(300)) {
    const ruleset = generate(ports)
    seen.add((await one.apply(ruleset)).sync)
    assert.equal(await dump(iptables), await cleanApply(ports))
    assert.deepEqual(await one.apply(rules(ports, options)), { sync: 'none', text: '', partialFailed: false })
  }
  assert.deepEqual([...seen].sort(), ['full', 'none', 'partial'])
})

test(`a proxy that starts anew, or after a flush or a crash in the middle of a sync, ends there too (SEED=${seed})`, async () => {
  const iptables = new FakeIptables(), number = randomNumbers(seed)
  let one = applier(iptables)
  await one.apply(rules([], options))
  for (const ports of states(150)) {
    const what = number()
    if (what < 0.2) one = applier(iptables)
    else if (what < 0.3) { iptables.flush(); assert.equal(await one.checkFlushed(), true) }
    else if (what < 0.5) {
      let lines = Math.floor(number() * 40)
      iptables.onLine = () => { if (lines-- <= 0) throw new Error('killed') }
      await one.apply(rules(ports, options)).catch(() => {})
      iptables.onLine = () => {}
    }
    await one.apply(rules(ports, options))
    assert.equal(await dump(iptables), await cleanApply(ports))
    assert.equal(await one.checkFlushed(), false)
  }
})

const service = (name: string, address: string) => ({ metadata: { name, namespace: 'default' }, spec: { clusterIP: address, ports: [{ port: 80 }] } })
const slice = (name: string, ips: string[]) => ({ metadata: { name: `${name}-1`, namespace: 'default', labels: { 'kubernetes.io/service-name': name } },
  addressType: 'IPv4', ports: [{ name: '', port: 8080 }], endpoints: ips.map(ip => ({ addresses: [ip] })) })
/** Services a (one endpoint) and b. */
const twoServices = (ips: string[]) => desiredPorts({ services: [service('a', '10.96.0.1'), service('b', '10.96.0.2')],
  slices: [slice('a', ['10.244.0.9']), slice('b', ips)], nodes: [] }, { nodeName: 'n', family: 4 })

test('another program that changes our chains makes a partial sync fail, and a full one heals it', async () => {
  const iptables = new FakeIptables(), one = applier(iptables)
  await one.apply(rules(twoServices(['10.244.0.1']), options))
  await iptables.restore('*nat\n:KUBE-SERVICES - [0:0]\nCOMMIT\n')
  const applied = await one.apply(rules(twoServices([]), options))
  assert.deepEqual([applied.sync, applied.partialFailed], ['full', true])
  assert.equal(await dump(iptables), await cleanApply(twoServices([])))
})

test('a change of one Service mentions no other', async () => {
  const iptables = new FakeIptables(), one = applier(iptables)
  await one.apply(rules(twoServices(['10.244.0.1', '10.244.0.2']), options))
  const { sync, text } = await one.apply(rules(twoServices(['10.244.0.1', '10.244.0.3']), options))
  assert.equal(sync, 'partial')
  assert.doesNotMatch(text, /default\/a|KUBE-SERVICES|\*filter/)
  assert.doesNotMatch(text, /-A \S+ .*"default\/b" .*10\.244\.0\.1/, 'the endpoint that stays is not written again')
  assert.equal(text.match(/^-X KUBE-SEP-/gm)?.length, 1)
})

test('cleanup removes what is ours and nothing else', async () => {
  const foreign = '*nat\n:CNI-HOSTPORT - [0:0]\n:KUBE-MARK-MASQ - [0:0]\n-A CNI-HOSTPORT -s 10.0.0.1 -j KUBE-MARK-MASQ\n-A KUBE-MARK-MASQ -j MARK --or-mark 0x4000\n-A PREROUTING -j CNI-HOSTPORT\nCOMMIT\n*filter\n-A INPUT -i eth0 -j ACCEPT\nCOMMIT\n'
  const iptables = new FakeIptables(), untouched = new FakeIptables()
  await iptables.restore(foreign)
  await untouched.restore(foreign)
  await applier(iptables).apply(rules([...states(40)].at(-1)!, options))
  await cleanupTables(iptables, jumps(options))
  assert.equal(await dump(iptables), await dump(untouched))
  const count = iptables.restored.length
  await cleanupTables(iptables, jumps(options))
  assert.equal(iptables.restored.slice(count).join('').includes('-X'), false)
})
