import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { failure, records, type Answer, type Instance, type Result } from '../../plugin.ts'
import type { Query } from '../../query.ts'
import { ask, chainOf, name, optionsOf, show, testEnv, type TestEnv } from '../../testing.ts'
import { showName, type Name } from '../../wire/name.ts'
import { address } from '../../wire/rdata.ts'
import { rcodes } from '../../wire/types.ts'
import { brief, clusterOf, fill, namespace, pod, service } from '../kubernetes/testing.ts'
import { searchOf } from './config.ts'
import { plugin } from './plugin.ts'

/** The world outside: example.org has an IPv4 address; down.org cannot be resolved. */
const upstream = (asked: string[]) => (query: Query): Result => {
  asked.push(showName(query.name))
  if (query.name === name('down.org')) return failure('plugin/forward: down')
  if (query.name !== name('example.org')) return records({ rcode: rcodes.NXDOMAIN })
  return Promise.resolve(records({ answer: query.type === 1 ? [address(query.asked, 60, '192.0.2.1')] : [] }))
}

/** One replica: autopath before kubernetes before the world. */
function replica(pods: Parameters<typeof pod>[] = [['default/p', '10.244.1.5']], asked: string[] = []) {
  let instance: Instance
  const env = testEnv({ peer: of => of === 'kubernetes' ? instance : undefined, peers: () => [instance], lookup: upstream(asked) })
  const cluster = clusterOf('kubernetes cluster.local {\n pods verified\n}', {
    namespaces: ['default', 'other'].map(namespace), services: [service('default/web', '10.96.0.1', 'http:80'), service('other/api', '10.96.0.2', 'http:80')], pods: pods.map(given => pod(...given)),
  })
  instance = cluster.instance
  const { serve, instance: autopath } = chainOf(plugin, 'autopath @kubernetes', { env, next: cluster.instance.serve(upstream(asked)) })
  const get = async (text: string, type = 'A', from = '10.244.1.5') => {
    const query = ask(text, type, { origin: { address: from } })
    return brief(await serve(query), query)
  }
  return { ...cluster, env, get, serve, autopath }
}
const alias = 'CNAME example.org. @60, example.org. A 192.0.2.1 @60'

test('one query does for the walk through the search path', async () => {
  const asked: string[] = []
  const { get, env } = replica(undefined, asked)
  assert.equal(await get('example.org.default.svc.cluster.local'), alias)
  assert.deepEqual(asked, ['example.org.'])
  assert.equal(await get('EXAMPLE.org.default.svc.cluster.local'), alias.replace('CNAME example', 'CNAME EXAMPLE').replace(', example', ', EXAMPLE'))
  assert.equal(await get('web.default.svc.cluster.local'), 'A 10.96.0.1 @5')
  assert.equal(await get('api.other.default.svc.cluster.local'), 'CNAME api.other.svc.cluster.local. @5, api.other.svc.cluster.local. A 10.96.0.2 @5')
  assert.equal(env.metrics.snapshot().find(({ name }) => name === 'coredns_autopath_success_total')!.series[0]![1][0], 3)
})

test('A and AAAA are of the same name: what exists without the type is NODATA, not NXDOMAIN', async () => {
  const { get } = replica()
  assert.equal(await get('example.org.default.svc.cluster.local', 'AAAA'), 'NODATA')
  assert.equal(await get('api.other.default.svc.cluster.local', 'AAAA'), 'NODATA cluster.local.')
})

test('what is nowhere is what the first step said, and a failure is a failure', async () => {
  const { get } = replica()
  assert.equal(await get('nowhere.org.default.svc.cluster.local'), 'NXDOMAIN cluster.local.')
  assert.equal(await get('down.org.default.svc.cluster.local'), 'SERVFAIL')
})

test('no walk: other names, the path itself, other zones, a path of another namespace', async () => {
  const asked: string[] = []
  const { get } = replica(undefined, asked)
  for (const text of ['example.org.svc.cluster.local', 'example.org.other.svc.cluster.local', 'example.org.cluster.local']) assert.equal(await get(text), 'NXDOMAIN cluster.local.', text)
  assert.equal(await get('default.svc.cluster.local'), 'NODATA cluster.local.')
  assert.deepEqual(asked, [])
  assert.equal(await get('example.org'), 'A 192.0.2.1 @60')
})

/** Time goes on while a replica waits. */
async function settle<T>(env: TestEnv, result: Promise<T>, step: (ms: number) => void = () => {}): Promise<T> {
  let done = false
  void result.finally(() => { done = true })
  for (let ms = 0; !done && ms < 2000; ms += 10) {
    await new Promise(setImmediate)
    if (done) break
    step(ms)
    env.advance(10)
  }
  return result
}

test('replicas agree: one that has not heard of the pod yet waits for it, and then answers alike', async () => {
  const knowing = replica(), late = replica([])
  const question = ['example.org.default.svc.cluster.local', 'A', '10.244.1.5'] as const
  const [a, b] = await Promise.all([knowing.get(...question), settle(late.env, late.get(...question), ms => { if (ms === 100) fill(late.catalog, { pods: [pod('default/p', '10.244.1.5')] }) })])
  assert.deepEqual([a, b], [alias, alias])
})

test('who stays unknown waits once, and names that exist are never waited for', async () => {
  const { env, get } = replica([])
  const began = env.now()
  assert.equal(await get('web.default.svc.cluster.local', 'A', '192.0.2.9'), 'A 10.96.0.1 @5')
  assert.equal(env.now(), began)
  assert.equal(await settle(env, get('example.org.default.svc.cluster.local', 'A', '192.0.2.9')), 'NXDOMAIN cluster.local.')
  const waited = env.now() - began
  assert.ok(waited >= 250 && waited < 300, String(waited))
  assert.equal(await get('example.org.default.svc.cluster.local', 'A', '192.0.2.9'), 'NXDOMAIN cluster.local.') // at once
  env.advance(31_000)
  const again = env.now()
  await settle(env, get('example.org.default.svc.cluster.local', 'A', '192.0.2.9'))
  assert.ok(env.now() - again >= 250)
})

test('a search path from a file', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'fairway-autopath-'))
  try {
    writeFileSync(join(folder, 'resolv.conf'), 'nameserver 10.96.0.10\nsearch old.example\nsearch Corp.example example.net\noptions ndots:5\n')
    const { instance, serve } = chainOf(plugin, `autopath corp.example ${folder}/resolv.conf`, { env: testEnv({ lookup: upstream([]) }), next: upstream([]) })
    const query = ask('example.org.corp.example')
    await instance.start!()
    assert.equal(brief(await serve(query), query), alias)
    await assert.rejects(async () => { await chainOf(plugin, 'autopath /nowhere/resolv.conf').instance.start!() }, /autopath: cannot read \/nowhere\/resolv.conf/)
  } finally { rmSync(folder, { recursive: true }) }
  assert.deepEqual(searchOf('search a.b c\n'), ['a.b', 'c', '.'].map(name))
  assert.deepEqual(searchOf('nameserver 1.1.1.1'), [])
})

test('the directive; kubernetes without verified pods knows nobody', async () => {
  assert.deepEqual(optionsOf(plugin, 'autopath a.b C. @kubernetes'), { zones: ['a.b', 'c'].map(name), from: { plugin: 'kubernetes' } })
  assert.deepEqual(optionsOf(plugin, 'autopath resolv.conf', { zones: [name('x')] }), { zones: [name('x')], from: { file: '/resolv.conf' } })
  for (const text of ['', '@', 'a {\n x\n}']) assert.throws(() => optionsOf(plugin, `autopath ${text}`), /Corefile:\d/, text)
  const env = testEnv({ peer: () => clusterOf('kubernetes cluster.local', {}).instance })
  const { instance, serve } = chainOf(plugin, 'autopath @kubernetes', { env, next: () => records({ rcode: rcodes.NXDOMAIN }) })
  await instance.start!()
  assert.match(env.logged[0]!, /warn: autopath does nothing: .*pods verified/)
  const query = ask('x.default.svc.cluster.local')
  assert.equal(show(serve(query) as Answer, query), 'NXDOMAIN')
})

test('a name that would be too long at a step is not asked for', async () => {
  const long = Array.from({ length: 3 }, () => 'x'.repeat(60)).join('.')
  const path = ['a.b', `${'y'.repeat(63)}.${'z'.repeat(20)}`, '.'].map(name) as Name[]
  const asked: string[] = []
  const missing = (query: Query) => { asked.push(showName(query.name)); return records({ rcode: rcodes.NXDOMAIN }) }
  const env = testEnv({ peer: () => ({ name: 'kubernetes', searchPath: () => path }), lookup: missing })
  const { serve } = chainOf(plugin, 'autopath @kubernetes', { env, next: missing })
  await serve(ask(`${long}.a.b`))
  assert.deepEqual(asked, [`${long}.a.b.`, `${long}.`])
})

test('a step is not walked for again, though this server is asked for it', async () => {
  const path = ['corp.example', 'example', '.'].map(name), asked: string[] = []
  const env = testEnv({ peer: () => ({ name: 'kubernetes', searchPath: () => path }), lookup: query => serve(query) })
  const { serve } = chainOf(plugin, 'autopath @kubernetes', { env, next: query => { asked.push(showName(query.name)); return records({ rcode: rcodes.NXDOMAIN }) } })
  await serve(ask('foo.corp.corp.example'))
  assert.deepEqual(asked, ['foo.corp.corp.example.', 'foo.corp.example.', 'foo.corp.'])
})
