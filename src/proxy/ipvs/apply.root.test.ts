// Syncs against the real ipvsadm, ipset, ip and iptables: they must end where the fakes end, whatever came
// before, without harm to what did not change; what drains; and the goldens fed to the real tools. Needs
// root and a kernel with IPVS: where this machine's has none, test/ipvs-vm/ runs it in a virtual machine.
import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import type { Service } from '#api/core/v1.ts'
import type { EndpointSlice } from '#api/discovery/v1.ts'
import { FakeIpset } from '#host/ipset.fake.ts'
import { findIpset } from '#host/ipset.ts'
import { FakeIptables } from '#host/iptables.fake.ts'
import { iptables } from '#host/iptables.ts'
import { FakeIpvs } from '#host/ipvs.fake.ts'
import { findIpvs, type Ipvs } from '#host/ipvs.ts'
import { run } from '#host/run.ts'
import { silent } from '#lib/log.ts'
import type { NodeOptions } from '../dataplane.ts'
import { Metrics } from '../metrics.ts'
import * as iptablesMode from '../iptables/apply.ts'
import { nodeName, podPort } from '../packets.ts'
import { RandomObjects } from '../random.ts'
import { desiredPorts, ProxyState } from '../state.ts'
import { makeNetwork, Namespace, type Network } from '../testing/apply.ts'
import { cleanup, IpvsPlane, type IpvsTools } from './apply.ts'
import { partOf } from './golden.ts'
import { schedulers, serverOptions } from './servers.ts'
import { cannotTry, cleanUp, heldText, makePlane, Peer, testConfig } from './testing/apply.ts'

const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31))
const folder = join(import.meta.dirname, '../testdata')
const node: NodeOptions = { family: 4, masqueradeAll: false, masqueradeBit: 14, localTraffic: { by: 'source', cidr: '10.244.0.0/16' },
  nodePortAddresses: 'all', localhostNodePorts: false, tcpBeLiberal: false, nodeIP: '192.168.109.101' }

const toolsIn = async (netns: string): Promise<IpvsTools> => ({ ipvs: await findIpvs(netns) as Ipvs, ipset: (await findIpset(netns))!, iptables: iptables(4, 'iptables', { netns }) })
const planeOf = (tools: IpvsTools, values: Record<string, unknown> = {}) => new IpvsPlane(tools, { config: testConfig(values), metrics: new Metrics(), labels: {}, log: silent, drainCheckMs: 2000 })

/** All that the tools tell, in one spelling. */
async function dump({ ipvs, ipset, iptables }: IpvsTools): Promise<string> {
  const [servers, sets, interfaces, ...tables] = await Promise.all([ipvs.save(), ipset.save(), ipvs.interfaces(), iptables.save('filter'), iptables.save('nat')])
  const plainSets = sets.replace(/ bucketsize .*/g, '').split('\n').sort()
  return [...servers.split('\n').sort(), ...plainSets, ...[...interfaces.get('kube-ipvs0') ?? []].sort(), ...tables.map(text => text.replace(/^#.*\n/gm, '').replace(/\[\d+:\d+\]/g, '[0:0]'))].join('\n')
}

/** Endpoints that keep connections of the stream's client. */
const withoutDraining = (text: string) => text.replace(/^-a .* -w 0\n/gm, '')

/** Jumps into chains that both modes have keep the text of the first, and one of them the iptables mode alone has. */
const ours = (dumped: string) => dumped.replace(/^-A (INPUT|FORWARD|OUTPUT|PREROUTING|POSTROUTING) .*(-j \S+)$/gm, '-A $1 $2').split('\n').filter(line => line !== '-A OUTPUT -j KUBE-PROXY-FIREWALL').sort()

const withoutBlank = (text: string) => text.split('\n').filter(Boolean).join('\n')

const service = (name: string, address: string, more: object = {}): Service => ({ metadata: { name, namespace: 'default' }, spec: { clusterIP: address, ports: [{ port: 80 }], ...more } })
const slice = (name: string, ips: string[], port = podPort): EndpointSlice => ({ metadata: { name: `${name}-1`, namespace: 'default', labels: { 'kubernetes.io/service-name': name } }, addressType: 'IPv4', ports: [{ name: '', port }], endpoints: ips.map(ip => ({ addresses: [ip] })) })
const portsOf = (ips: string[], more: object = {}) => desiredPorts({ services: [service('s', '10.96.200.1', more)], slices: [slice('s', ips)], nodes: [] }, { nodeName: 'n', family: 4 })

describe('the real tools', { skip: await cannotTry() ?? false }, () => {
  let real: Network, netns: string, tools: IpvsTools
  before(async () => {
    real = await makeNetwork({ ports: [podPort] })
    netns = real.machines.node.path
    tools = await toolsIn(netns)
  })
  after(() => real.close())
  const ask = (address: string, timeoutMs = 5000) => real.machines.client.ask({ do: 'send', protocol: 'tcp', address, port: 80, timeoutMs })

  test(`every transition ends where a clean sync ends, and another Service loses no request (SEED=${seed})`, async () => {
    const plane = planeOf(tools), state = new ProxyState({ nodeName: 'n1', family: 4 }), random = new RandomObjects(seed)
    state.applyChange({ kind: 'Service', key: 'default/untouched', now: service('untouched', '10.96.200.9') })
    state.applyChange({ kind: 'EndpointSlice', key: 'default/untouched-1', now: slice('untouched', ['10.244.1.2', '10.244.2.2']) })
    await plane.apply(state.ports(), node)
    const lost: (string | undefined)[] = []
    let isRunning = true, asked = 0
    const stream = (async () => { for (; isRunning; asked++) { const { error } = await ask('10.96.200.9'); if (error) lost.push(error) } })()
    for (let i = 0; i < 40; i++) {
      for (let n = i % 4 * i % 7 + 1; n > 0; n--) state.applyChange(random.change())
      await plane.apply(state.ports(), node)
      if (i % 8 !== 7) continue // reading everything back takes an emulated machine long
      const fakes = { ipvs: new FakeIpvs(await tools.ipvs.interfaces()), ipset: new FakeIpset(), iptables: new FakeIptables() }
      fakes.ipvs.setAddresses('kube-ipvs0', [])
      await planeOf(fakes).apply(state.ports(), node)
      assert.equal(withoutDraining(await dump(tools)), await dump(fakes), `after sync ${i}`)
    }
    isRunning = false
    await stream
    await plane.stop()
    assert.deepEqual(lost, [])
    assert.ok(asked > 10, `${asked} requests`)
  })

  test('what another program removes comes back', async () => {
    const plane = planeOf(tools), ports = portsOf(['10.244.1.2'])
    await plane.apply(ports, node)
    const wanted = await dump(tools)
    for (const command of ['ipvsadm -C', 'ip link del kube-ipvs0', 'iptables -t nat -F && iptables -t nat -X']) {
      await real.machines.node.run(['sh', '-ec', command])
      assert.equal(await plane.checkFlushed(), true, command)
      assert.equal((await plane.apply(ports, node)).sync, 'full')
      assert.equal(await dump(tools), wanted, command)
    }
    await plane.stop()
  })

  test('affinity is persistence, as ipvsadm shows it', async () => {
    const plane = planeOf(tools)
    await plane.apply(portsOf(['10.244.1.2', '10.244.1.3', '10.244.2.2'], { sessionAffinity: 'ClientIP' }), node)
    assert.match(await tools.ipvs.list(['-t 10.96.200.1:80', '-t 10.96.200.2:80']), /^TCP {2}10\.96\.200\.1:80 rr persistent 10800$/m)
    const pods = new Set<string | undefined>()
    for (let i = 0; i < 6; i++) pods.add((await ask('10.96.200.1')).answer)
    assert.equal(pods.size, 1)
    await plane.stop()
  })

  test('round robin is strict: three endpoints and six requests give two each', async () => {
    const plane = planeOf(tools), counts = new Map<string, number>()
    await plane.apply(portsOf(['10.244.1.2', '10.244.1.3', '10.244.2.2']), node)
    for (let i = 0; i < 6; i++) { const { answer } = await ask('10.96.200.1'), pod = answer!.split(' ')[0]!; counts.set(pod, (counts.get(pod) ?? 0) + 1) }
    assert.deepEqual([...counts].sort(), [['pod-a', 2], ['pod-b', 2], ['pod-c', 2]])
    await plane.stop()
  })

  test('a connection outlives its endpoint, which takes no others and is deleted when it has ended', async t => {
    const plane = planeOf(tools, { 'ipvs.tcpTimeout': 60_000 }), port = 9400
    const endpoints = (ip: string) => desiredPorts({ services: [service('t', '10.96.200.2')], slices: [slice('t', [ip], port)], nodes: [] }, { nodeName: 'n', family: 4 })
    for (const [name, address] of [['pod-a', '10.244.1.2'], ['pod-c', '10.244.2.2']] as const) {
      const peer = await Peer.start(real.machines[name].path, 'serve', { protocol: 'tcp', address, port, name })
      t.after(() => peer.close())
    }
    await plane.apply(endpoints('10.244.1.2'), node)
    const talk = () => Peer.start(real.machines.client.path, 'talk', { protocol: 'tcp', address: '10.96.200.2', port: 80 })
    const old = await talk()
    assert.equal(await old.say('hello'), 'pod-a: hello')
    await plane.apply(endpoints('10.244.2.2'), node)
    assert.match(await tools.ipvs.save(), /-r 10\.244\.1\.2:9400 -m -w 0/)
    const next = await talk()
    assert.equal(await next.say('hello'), 'pod-c: hello')
    assert.equal(await old.say('still here'), 'pod-a: still here')
    await Promise.all([old.close(), next.close()])
    const until = Date.now() + 60_000
    while (/10\.244\.1\.2:9400/.test(await tools.ipvs.save())) {
      assert.ok(Date.now() < until, await tools.ipvs.list(['-t 10.96.200.2:80']))
      await setTimeout(1000)
    }
    await plane.stop()
  })

  test('switching modes leaves nothing of the old one', async () => {
    const context = { family: 4, netns, config: testConfig({ 'iptables.localhostNodePorts': false }), nodeName, log: silent, metrics: new Metrics(), labels: {} } as const, ports = portsOf(['10.244.1.2'])
    const plane = planeOf(tools)
    await plane.apply(ports, node)
    const alone = await dump(tools)
    await plane.stop()
    const other = await iptablesMode.create(context)
    if ('refused' in other) throw new Error(other.refused)
    await other.apply(ports, node)
    await cleanup({ ...context, inForce: 'iptables' })
    assert.doesNotMatch(await heldText(netns), /KUBE-IPVS|KUBE-NODE-PORT|match-set|kube-ipvs0|^create/m)
    assert.match((await ask('10.96.200.1')).answer!, /^pod-a/)
    const back = planeOf(tools)
    await back.apply(ports, node)
    await iptablesMode.cleanup({ ...context, inForce: 'ipvs' })
    assert.equal(await back.checkFlushed(), false)
    assert.match((await ask('10.96.200.1')).answer!, /^pod-a/)
    assert.deepEqual(ours(await dump(tools)), ours(alone))
    await back.stop()
  })

  test('cleanup leaves nothing', async () => {
    await cleanUp(netns)
    assert.equal(await heldText(netns), '')
  })

  test('a scheduler that is none is refused', async () => {
    await assert.rejects(makePlane({ family: 4, netns, values: { 'ipvs.scheduler': 'best' } }), /ipvs\.scheduler: "best" is none of rr, wrr/)
  })
})

describe('goldens', { skip: await cannotTry() ?? false }, () => {
  // One shell for all of a golden: in an emulated machine each start of Node takes a second.
  const script = `
    ipset restore < $1/sets; ${'$2'}-restore --noflush < $1/rules; ip -batch $1/addresses; ipvsadm -R < $1/servers
    ipvsadm -S -n | sort; ipset save | sed 's/ bucketsize .*//' | sort
    ip -oneline address show dev kube-ipvs0 | awk '{ sub("/.*", "", $4); print $4 }' | sort
    for table in filter nat; do ${'$2'}-save -t $table | sed 's/\\[[0-9]*:[0-9]*\\]/[0:0]/' | grep -v ^#; done`
  for (const golden of readdirSync(folder).filter(file => /\.ipvs6?$/.test(file))) {
    test(`${golden} is what the tools take and print`, async t => {
      const text = readFileSync(join(folder, golden), 'utf8'), family = golden.endsWith('6') ? 6 : 4
      const parts = mkdtempSync(join(tmpdir(), 'ipvs-golden-')), fakes = { ipvs: new FakeIpvs(), ipset: new FakeIpset(), iptables: new FakeIptables(family) }
      t.after(() => rmSync(parts, { recursive: true }))
      for (const [file, command] of Object.entries({ sets: 'ipset restore', rules: 'iptables-restore --noflush', addresses: 'ip -batch -', servers: 'ipvsadm -R' } as const)) writeFileSync(join(parts, file), partOf(text, command))
      const { stdout, stderr } = await run(['unshare', '--net', 'sh', '-ec', script, 'sh', parts, family === 4 ? 'iptables' : 'ip6tables'])
      await fakes.ipset.restore(partOf(text, 'ipset restore'))
      await fakes.iptables.restore(partOf(text, 'iptables-restore --noflush'))
      await fakes.ipvs.ip(partOf(text, 'ip -batch -'))
      await fakes.ipvs.restore(partOf(text, 'ipvsadm -R'))
      assert.equal(stderr, '')
      assert.equal(withoutBlank(stdout), withoutBlank(await dump(fakes)))
    })
  }

  test('every scheduler, also with affinity, is read back as it was written', async () => {
    const text = schedulers.flatMap((scheduler, i) => [0, 10800].map(seconds => `-A -t 10.0.0.${i + 1}:${seconds + 1} ${serverOptions(scheduler, seconds)}\n`)).join('')
    const { stdout } = await run(['unshare', '--net', 'sh', '-ec', 'ipvsadm -R; ipvsadm -S -n'], { input: text })
    assert.deepEqual(stdout.trim().split('\n').sort(), text.trim().split('\n').sort())
  })

  test('the fakes refuse what the tools refuse, in their words', async t => {
    const namespace = await Namespace.make()
    t.after(() => namespace.close())
    const realTools = await toolsIn(namespace.path), fakes = { ipvs: new FakeIpvs(), ipset: new FakeIpset() }
    const why = async (work: Promise<unknown>) => { try { await work; return 'nothing' } catch (error) { return (error as { stderr: string }).stderr.trim() } }
    const start = '-A -t 10.0.0.1:80 -s rr\n-a -t 10.0.0.1:80 -r 10.1.0.1:80 -m -w 1\n'
    for (const { ipvs } of [realTools, fakes]) await ipvs.restore(start)
    for (const text of ['-A -t 10.0.0.1:80 -s rr', '-A -t 10.0.0.2:80 -s nope', '-E -t 10.0.0.3:80 -s rr', '-D -t 10.0.0.3:80', '-a -t 10.0.0.3:80 -r 10.1.0.1:80 -m -w 1', '-a -t 10.0.0.1:80 -r 10.1.0.1:80 -m -w 1',
      '-e -t 10.0.0.1:80 -r 10.1.0.9:80 -m -w 0', '-d -t 10.0.0.1:80 -r 10.1.0.9:80', '-D -t 10.0.0.3:80\n-A -t 10.0.0.4:80 -s rr']) {
      assert.equal(await why(fakes.ipvs.restore(`${text}\n`)), await why(realTools.ipvs.restore(`${text}\n`)), text)
    }
    assert.deepEqual((await fakes.ipvs.save()).split('\n').sort(), (await realTools.ipvs.save()).split('\n').sort())
    for (const { ipset } of [realTools, fakes]) await ipset.restore('create A hash:ip,port family inet hashsize 1024 maxelem 65536\nadd A 10.0.0.1,tcp:80\n')
    for (const text of ['add A 10.0.0.1,tcp:80', 'del A 10.0.0.2,tcp:80', 'add B 1', 'destroy B', 'create A hash:ip,port family inet hashsize 1024 maxelem 65536', 'add A 10.0.0.3,tcp:80\nadd A 10.0.0.3,tcp:80']) {
      assert.equal(await why(fakes.ipset.restore(`${text}\n`)), await why(realTools.ipset.restore(`${text}\n`)), text)
    }
  })
})
