// The mode at work on a machine of its own: real iptables, real sockets, one process that is proxy,
// pods and clients, with many connections, endpoints that come and go, and proxies that die.
import assert from 'node:assert/strict'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Service } from '#api/core/v1.ts'
import type { EndpointSlice } from '#api/discovery/v1.ts'
import { isolated } from '#host/isolated.ts'
import { run } from '#host/run.ts'
import { silent } from '#lib/log.ts'
import { proxyConfig } from '../config.ts'
import type { DataPlane, NodeOptions, PlaneContext } from '../dataplane.ts'
import { Metrics } from '../metrics.ts'
import { RandomObjects } from '../random.ts'
import { ProxyState, type Change } from '../state.ts'
import * as iptablesMode from '../iptables/apply.ts'
import * as userspaceMode from './apply.ts'
import { ProxyProcess } from './testing/apply.ts'

const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31))
const config = proxyConfig(new Map(), new Map())
const options: NodeOptions = { family: 4, masqueradeAll: false, masqueradeBit: 14, nodePortAddresses: 'all', localhostNodePorts: true, tcpBeLiberal: false,
  nodeIP: '192.168.109.101', localTraffic: { by: 'source', cidr: '10.244.0.0/16' } }
const clusterIP = '10.96.0.1', pod = (n: number) => `10.244.1.${n}`

const service = (spec: Partial<Service['spec']> = {}): Change => ({ kind: 'Service', key: 'default/web', now: {
  metadata: { namespace: 'default', name: 'web' }, spec: { clusterIP, ports: [{ name: 'tcp', port: 80, protocol: 'TCP' }, { name: 'udp', port: 80, protocol: 'UDP' }], ...spec } } satisfies Service })
const slice = (ips: readonly string[]): Change => ({ kind: 'EndpointSlice', key: 'default/web-1', now: {
  metadata: { namespace: 'default', name: 'web-1', labels: { 'kubernetes.io/service-name': 'web' } }, addressType: 'IPv4',
  ports: [{ name: 'tcp', port: 8080, protocol: 'TCP' }, { name: 'udp', port: 8080, protocol: 'UDP' }], endpoints: ips.map(ip => ({ addresses: [ip] })) } satisfies EndpointSlice })

const context = (more: Partial<PlaneContext> = {}): PlaneContext => ({ family: 4, config, nodeName: 'n', log: silent, metrics: new Metrics(), labels: { ip_family: 'IPv4' }, ...more })
async function plane(mode: { create: typeof userspaceMode.create } = userspaceMode): Promise<DataPlane> {
  const made = await mode.create(context())
  if ('refused' in made) throw new Error(made.refused)
  return made
}
const kubeRules = async () => (await run(['iptables-save'])).stdout.split('\n').filter(line => line.includes('KUBE')).map(line => line.replace(/\[\d+:\d+\]/, ''))

/** A pod that says its number to each connection, echoes what follows, and answers datagrams with its number and the sender's port. */
async function startPod(n: number): Promise<{ close(): Promise<void> }> {
  const sockets = new Set<Socket>()
  const server: Server = createServer(socket => {
    sockets.add(socket.on('close', () => sockets.delete(socket)).on('error', () => {}))
    socket.write(`${n}\n`)
    socket.pipe(socket)
  })
  const udp = createSocket('udp4')
  udp.on('message', (_, { port, address }) => udp.send(`${n} ${port}`, port, address))
  await Promise.all([once(server.listen({ port: 8080, host: pod(n), backlog: 4096 }), 'listening'), once(udp.bind(8080, pod(n)), 'listening')])
  return { close: async () => { udp.close(); server.close(); for (const socket of sockets) socket.destroy(); await once(server, 'close') } }
}

interface Call { readonly socket: Socket; readonly pod: string }
/** A connection through the Service, and the pod that it reached. */
async function call(port = 80, host = clusterIP): Promise<Call> {
  const socket = connect({ host, port })
  const [line] = await once(socket, 'data') as [Buffer]
  return { socket, pod: String(line).trim() }
}
async function callOnce(port = 80, host = clusterIP): Promise<string> {
  const { socket, pod: answer } = await call(port, host)
  socket.destroy()
  return answer
}
async function say({ socket }: Call, text: string): Promise<string> {
  socket.write(text)
  return String((await once(socket, 'data'))[0])
}

isolated(import.meta.url, ['root', 'user'], () => {
  const pods: { close(): Promise<void> }[] = []
  before(async () => {
    await run(['ip', '-batch', '-'], { input: ['link add eth0 up type veth peer name eth1', 'link set eth1 up', 'addr add 192.168.109.101/24 dev eth0',
      ...[1, 2, 3, 4].map(n => `addr add ${pod(n)}/32 dev eth0`), 'route add default dev eth0'].join('\n') })
    for (const n of [1, 2, 3]) pods.push(await startPod(n))
  })
  after(async () => { for (const one of pods) await one.close() })

  /** A plane with the Service over some pods; `apply` takes changes and syncs. */
  async function serving(t: { after(what: () => Promise<void>): void }, changes: readonly Change[] = [service(), slice([pod(1), pod(2), pod(3)])]) {
    const proxy = await plane(), state = new ProxyState({ nodeName: 'n', family: 4 })
    t.after(() => proxy.stop())
    const apply = (...more: Change[]) => { for (const change of more) state.applyChange(change); return proxy.apply(state.ports(), options) }
    await apply(...changes)
    return { proxy, state, apply }
  }

  test('strict rotation through the cluster IP and a NodePort, which have one turn together', async t => {
    await serving(t, [service({ type: 'NodePort', ports: [{ name: 'tcp', port: 80, nodePort: 30080 }] }), slice([pod(1), pod(2), pod(3)])])
    const answers = [await callOnce(), await callOnce(30080, '127.0.0.1'), await callOnce(30080, '192.168.109.101'), await callOnce(), await callOnce()]
    assert.deepEqual(answers, ['1', '2', '3', '1', '2'])
  })

  test('what did not change is not touched, and sockets keep their numbers', async t => {
    const { apply } = await serving(t)
    const first = await kubeRules()
    assert.equal((await apply()).sync, 'none')
    assert.equal((await apply(slice([pod(1)]))).sync, 'none', 'endpoints are not in the rules')
    assert.equal((await apply(service({ ports: [{ name: 'tcp', port: 81 }, { name: 'udp', port: 80, protocol: 'UDP' }] }))).sync, 'partial')
    assert.deepEqual(await kubeRules(), first.map(rule => rule.replace(/("default\/web:tcp".*) --dport 80 /, '$1 --dport 81 ')))
    assert.equal(await callOnce(81), '1')
  })

  test('2,000 connections at once, each to its pod, all open together', async t => {
    await serving(t)
    const calls = await Promise.all(Array.from({ length: 2000 }, () => call()))
    const counts = Map.groupBy(calls, one => one.pod)
    assert.deepEqual([...counts.values()].map(group => group.length).sort(), [666, 667, 667])
    const answers = await Promise.all(calls.map((one, i) => say(one, `I am ${i}`)))
    assert.deepEqual(answers.filter((answer, i) => answer !== `I am ${i}`), [])
    for (const { socket } of calls) socket.destroy()
  })

  test('endpoints replaced under load: no new connection is lost', async t => {
    const { apply } = await serving(t)
    let going = true, count = 0
    const errors: unknown[] = []
    const load = Array.from({ length: 20 }, async () => { while (going) { try { await callOnce(); count++ } catch (error) { errors.push(error) } } })
    for (let i = 0; i < 10; i++) {
      const [gone, stay] = i % 2 ? [0, [2, 3]] : [2, [1, 2]]
      await apply(slice(stay.map(pod)))
      await pods[gone]!.close()
      await sleep(30)
      pods[gone] = await startPod(gone + 1)
      await apply(slice([pod(1), pod(2), pod(3)]))
      await sleep(30)
    }
    going = false
    await Promise.all(load)
    assert.deepEqual(errors, [])
    assert.ok(count > 200, `${count} connections`)
  })

  test('a pod that went without notice costs nobody a connection: refusing, or silent', async t => {
    await serving(t, [service(), slice([pod(4), pod(1), '10.244.9.9'])]) // nobody listens, a pod, nobody is there
    const started = performance.now()
    assert.deepEqual(await Promise.all(Array.from({ length: 30 }, () => callOnce())), Array(30).fill('1'))
    const took = performance.now() - started
    assert.ok(took > 240 && took < 2000, `${took.toFixed()} ms`)
  })

  test('established connections survive changes of endpoints; UDP clients of a removed one move on', async t => {
    const { apply } = await serving(t, [service(), slice([pod(1), pod(2)])])
    const tcp = [await call(), await call()]
    const client = createSocket('udp4'), ask = async () => { client.send('?', 80, clusterIP); return String((await once(client, 'message', { signal: AbortSignal.timeout(1000) }))[0]) }
    t.after(async () => { client.close() })
    assert.match(await ask(), /^1 /)
    await apply(slice([pod(2), pod(3)]))
    assert.match(await ask(), /^2 /)
    assert.deepEqual([await say(tcp[0]!, 'still here'), await say(tcp[1]!, 'I too')], ['still here', 'I too'])
    await apply({ kind: 'Service', key: 'default/web', now: undefined })
    assert.equal(await say(tcp[1]!, 'even now'), 'even now')
    for (const { socket } of tcp) socket.destroy()
  })

  test('no endpoints: refused at once, and served again as soon as there is one', async t => {
    const { apply } = await serving(t, [service(), slice([])])
    await assert.rejects(callOnce(), { code: 'ECONNREFUSED' })
    await apply(slice([pod(3)]))
    assert.equal(await callOnce(), '3')
  })

  test("a socket is not called by its own number", async t => {
    await serving(t)
    const number = Number(/--to-ports (\d+)/.exec((await kubeRules()).find(rule => rule.includes('REDIRECT'))!)![1])
    await assert.rejects(callOnce(number, '192.168.109.101'), { code: 'ECONNREFUSED' })
    assert.equal(await callOnce(), '1')
  })

  test('affinity holds over NodePort, cluster IP and TCP connections', async t => {
    await serving(t, [service({ type: 'NodePort', sessionAffinity: 'ClientIP', ports: [{ name: 'tcp', port: 80, nodePort: 30080 }] }), slice([pod(1), pod(2), pod(3)])])
    assert.deepEqual([await callOnce(30080, '192.168.109.101'), await callOnce(80), await callOnce(80)], ['1', '1', '1'])
    assert.equal(await callOnce(30080, '127.0.0.1'), '2', 'another client')
  })

  test(`random changes end where a full sync ends (SEED=${seed})`, async t => {
    const { proxy, state, apply } = await serving(t, [])
    const random = new RandomObjects(seed)
    for (let i = 0; i < 40; i++) {
      await apply(...Array.from({ length: i % 4 + 1 }, () => random.change()))
      const rules = await kubeRules()
      if (i % 5 > 0) continue
      proxy.forget()
      assert.equal((await proxy.apply(state.ports(), options)).sync, 'full')
      assert.deepEqual((await kubeRules()).sort(), rules.sort(), `after change ${i}`)
    }
    await proxy.stop()
    assert.deepEqual(await kubeRules(), [])
  })

  test('flushed tables are seen and written anew', async t => {
    const { proxy, apply } = await serving(t)
    assert.equal(await proxy.checkFlushed(), false)
    const before = await kubeRules()
    for (const table of ['nat', 'filter', 'mangle']) { await run(['iptables', '-t', table, '-F']); await run(['iptables', '-t', table, '-X']) }
    assert.equal(await proxy.checkFlushed(), true)
    assert.equal((await apply()).sync, 'full')
    assert.deepEqual((await kubeRules()).sort(), before.sort())
    assert.equal(await callOnce(), '1')
  })

  test('after kill -9 a new proxy takes over, UDP clients that never paused included', async t => {
    const state = new ProxyState({ nodeName: 'n', family: 4 })
    for (const change of [service(), slice([pod(1)])]) state.applyChange(change)
    const first = await ProxyProcess.start({ family: 4, command: 'iptables' })
    t.after(() => first.kill())
    await first.apply(state.ports(), options)
    const client = createSocket('udp4'), answers: string[] = []
    client.on('message', message => answers.push(String(message)))
    const steady = setInterval(() => client.send('?', 80, clusterIP), 20)
    t.after(async () => { clearInterval(steady); client.close() })
    client.on('error', () => {})
    assert.equal(await callOnce(), '1')
    await sleep(100)
    assert.ok(answers.length > 0)
    await first.kill()
    await assert.rejects(callOnce(), { code: 'ECONNREFUSED' })
    const second = await ProxyProcess.start({ family: 4, command: 'iptables' })
    t.after(() => second.kill())
    await second.apply(state.ports(), options)
    answers.length = 0
    assert.equal(await callOnce(), '1')
    await sleep(200)
    assert.ok(answers.length > 0, 'the same UDP client is heard again')
    await second.stop()
    assert.deepEqual(await kubeRules(), [])
  })

  test('switching from iptables and back leaves nothing of the other, and a connection of the old mode lives', async t => {
    const state = new ProxyState({ nodeName: 'n', family: 4 })
    for (const change of [service({ type: 'NodePort', externalTrafficPolicy: 'Local', ports: [{ name: 'tcp', port: 80, nodePort: 30080 }] }), slice([pod(1), pod(2)])]) state.applyChange(change)
    const old = await plane(iptablesMode)
    await old.apply(state.ports(), options)
    const established = await call()
    const ours = await plane()
    t.after(() => ours.stop())
    await ours.apply(state.ports(), options)
    await iptablesMode.cleanup({ log: silent, inForce: 'userspace', config })
    assert.deepEqual((await kubeRules()).filter(rule => /KUBE-(SVC|SVL|SEP|EXT|SERVICES|PROXY|POSTROUTING|MARK)/.test(rule)), [])
    assert.equal(await ours.checkFlushed(), false)
    assert.deepEqual([await callOnce(), await callOnce()], ['1', '2'])
    assert.equal(await say(established, 'still'), 'still')

    const next = await plane(iptablesMode)
    await ours.stop()
    await next.apply(state.ports(), options)
    await userspaceMode.cleanup({ log: silent, inForce: 'iptables', config })
    assert.deepEqual((await kubeRules()).filter(rule => /PORTAL|NODEPORT-/.test(rule)), [])
    assert.equal(await say(established, 'even so'), 'even so')
    established.socket.destroy()
    await iptablesMode.cleanup({ log: silent, inForce: undefined, config })
  })

  test('what it cannot do it says', async () => {
    const said: string[] = [], log = { ...silent, warn: (message: string) => { said.push(message) } }
    const loopback = await userspaceMode.create(context({ config: proxyConfig(new Map([['bindAddress', '127.0.0.1']]), new Map()) }))
    assert.ok('refused' in loopback && loopback.refused.includes('cannot proxy on localhost'))
    const proxy = await userspaceMode.create(context({ log }))
    if ('refused' in proxy) throw new Error(proxy.refused)
    const state = new ProxyState({ nodeName: 'n', family: 4 })
    state.applyChange(service({ ports: [{ name: 'sctp', port: 80, protocol: 'SCTP' }] }))
    await proxy.apply(state.ports(), options)
    await proxy.stop()
    assert.deepEqual(said.filter(line => line.includes('SCTP')), ['default/web:sctp: the userspace mode does not proxy SCTP: use another mode for it'])
  })
})
