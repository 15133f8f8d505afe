// The watches against a server that fails, forgets and is large. The ordinary case runs against the
// real API server in test/dns/.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { EndpointSlice } from '#api/discovery/v1.ts'
import type { KubeObject } from '#api/object.ts'
import { resources } from '#api/resources.ts'
import type { Transport, WatchEvent } from '#client/transport.ts'
import { StatusError } from '#lib/errors.ts'
import { silent } from '#lib/log.ts'
import type { Answer } from '../../plugin.ts'
import { optionsOf, testEnv } from '../../testing.ts'
import { Registry } from '../../metrics/registry.ts'
import { watchCluster, type Watching } from './apply.ts'
import { Catalog } from './catalog.ts'
import { Kubernetes } from './instance.ts'
import { KubernetesMetrics } from './metrics.ts'
import { slimPod, slimService, slimSlice } from './objects.ts'
import { plugin } from './plugin.ts'
import { firstPage } from './slim.ts'
import { identityOf, Source } from './source.ts'
import { brief, clusterOf, pod, question, service, slice } from './testing.ts'

/** A server of lists that are made when asked for; watches stay silent until told. */
class Server implements Transport {
  readonly lists: Record<string, () => Iterable<KubeObject>> = {}
  readonly asked: string[] = []
  /** After each page. */
  paged = () => {}
  /** What the next requests throw. */
  failing: Error | undefined
  /** Watches that ever were. */
  opened = 0
  readonly #pages = new Map<string, Iterator<KubeObject>>()
  readonly #watches = new Set<(event: WatchEvent | undefined) => void>()
  #version = 0

  async request({ path, query }: Parameters<Transport['request']>[0]): Promise<unknown> {
    if (this.failing) throw this.failing
    const plural = path.split('/').at(-1)!
    this.asked.push(`${plural} ${query?.continue ? 'more' : 'first'} ${query?.labelSelector ?? ''}`.trim())
    const from = query?.continue ? this.#pages.get(query.continue)! : (this.lists[plural]?.() ?? [])[Symbol.iterator]()
    const items: KubeObject[] = []
    let next: IteratorResult<KubeObject> | undefined
    while (items.length < Number(query?.limit) && !(next = from.next()).done) items.push(JSON.parse(JSON.stringify(next.value)) as KubeObject)
    const token = next?.done === false ? String(++this.#version) : undefined
    if (token) this.#pages.set(token, from)
    this.paged()
    return { metadata: { resourceVersion: String(++this.#version), ...(token && { continue: token }) }, items }
  }
  async *watch({ path, signal }: Parameters<Transport['watch']>[0]): AsyncGenerator<WatchEvent> {
    if (this.failing) throw this.failing
    const waiting: (WatchEvent | undefined)[] = []
    let wake = () => {}
    const push = (event: WatchEvent | undefined) => { waiting.push(event); wake() }
    const take = (event: WatchEvent | undefined) => { if (!event || event.type === 'ERROR' || path.endsWith(resourceOf(event.object as KubeObject))) push(event) }
    this.#watches.add(take)
    this.opened++
    signal?.addEventListener('abort', () => push(undefined))
    try {
      for (;;) {
        if (waiting.length === 0) await new Promise<void>(resolve => { wake = resolve })
        const event = waiting.shift()
        if (!event) return
        yield event
      }
    } finally { this.#watches.delete(take) }
  }
  get watches(): number { return this.#watches.size }
  tell(event: WatchEvent | undefined): void { for (const watch of this.#watches) watch(event) }
  async *stream(): AsyncGenerator<Uint8Array> {}
  close(): void {}
}
const resourceOf = ({ kind }: KubeObject) => Object.values(resources).find(resource => resource.kind === kind)?.plural ?? '?'
const gone = (): WatchEvent => ({ type: 'ERROR', object: new StatusError(410, 'Expired', 'too old resource version').status })

function start(server: Server, lines = 'kubernetes cluster.local', metrics = new Registry(), now = () => Date.now()): { catalog: Catalog; watching: Watching; get: (text: string) => string } {
  const options = optionsOf(plugin, lines)
  const catalog = new Catalog({ now })
  const watching = watchCluster({ transport: server, server: 'https://10.96.0.1:443' }, catalog, options, { log: silent, metrics: new KubernetesMetrics(metrics), now })
  const source = new Source(identityOf(options), catalog, () => watching)
  const instance = new Kubernetes(options, testEnv(), { source, localIps: [] })
  return { catalog, watching, get: text => { const query = question(text); return brief(instance.resolver.answer(query) as Answer, query, options.ttl) } }
}
const until = async (what: () => boolean, ms = 3000) => {
  for (const end = Date.now() + ms; !what();) {
    assert.ok(Date.now() < end, `not within ${ms} ms: ${what}`)
    await sleep(2)
  }
}

test('lists in pages, watches on, and sends the selectors; pods only where they are needed', async () => {
  const server = new Server()
  server.lists.services = () => Array.from({ length: firstPage + 2001 }, (_, i) => service(`default/s${i}`, `10.${96 + (i >> 16)}.${i >> 8 & 255}.${i & 255}`, 'http:80'))
  const { watching, get } = start(server, 'kubernetes cluster.local {\n labels app=x\n namespace_labels y\n noendpoints\n}')
  await watching.synced
  assert.deepEqual(server.asked.sort(), ['namespaces first y', 'services first app=x', 'services more app=x', 'services more app=x'])
  assert.equal(get('s400.default.svc A'), 'NXDOMAIN cluster.local.') // its namespace has not the label
  watching.stop()

  const other = new Server()
  const verified = start(other, 'kubernetes cluster.local {\n pods verified\n}')
  await verified.watching.synced
  assert.deepEqual(other.asked.sort(), ['endpointslices first', 'namespaces first', 'pods first', 'services first'])
  verified.watching.stop()
})

test('changes arrive, and a lost watch heals: no name is stale, and answers go on meanwhile', async () => {
  const server = new Server()
  const db = service('default/db', 'None', 'p:1')
  let slices = [slice('default/db-a', 'db', 'db-0=10.0.0.1', 'p:1')]
  server.lists.services = () => [db]
  server.lists.endpointslices = () => slices
  const { watching, get } = start(server)
  await watching.synced
  await until(() => server.watches === 3)
  assert.equal(get('db-1.db.default.svc A'), 'NXDOMAIN cluster.local.')
  server.tell({ type: 'MODIFIED', object: { kind: 'EndpointSlice', ...slice('default/db-a', 'db', 'db-0=10.0.0.1 db-1=10.0.0.2', 'p:1') } })
  await until(() => get('db-1.db.default.svc A') === 'A 10.0.0.2', 100)
  // The server goes, changes while nobody watches, and forgets the version to resume from.
  server.failing = new Error('connection refused')
  server.tell(gone())
  await sleep(50)
  assert.equal(get('db-0.db.default.svc A'), 'A 10.0.0.1')
  slices = [slice('default/db-a', 'db', 'db-2=10.0.0.3', 'p:1')]
  await sleep(100)
  server.failing = undefined
  await until(() => get('db-2.db.default.svc A') === 'A 10.0.0.3')
  assert.deepEqual([get('db-0.db.default.svc A'), get('db.default.svc A')], ['NXDOMAIN cluster.local.', 'A 10.0.0.3'])
  // A watch that only ends is taken up again.
  await until(() => server.watches === 3)
  const { opened } = server
  server.tell(undefined)
  await until(() => server.opened === opened + 3)
  server.tell({ type: 'DELETED', object: { kind: 'Service', ...db } })
  await until(() => get('db.default.svc A') === 'NXDOMAIN cluster.local.')
  watching.stop()
  await until(() => server.watches === 0)
})

test('what carries the time of its change is measured', async () => {
  const server = new Server(), metrics = new Registry()
  server.lists.services = () => [service('default/db', 'None', 'p:1', { selector: { app: 'db' } }), service('default/web', '10.96.0.1', 'p:1', { selector: { app: 'web' } })]
  const { watching } = start(server, undefined, metrics, () => Date.parse('2026-01-01T00:00:10Z'))
  await watching.synced
  await until(() => server.watches === 3)
  for (const name of ['db', 'web']) {
    const object = slice(`default/${name}-a`, name, '10.0.0.1', 'p:1')
    server.tell({ type: 'ADDED', object: { kind: 'EndpointSlice', ...object, metadata: { ...object.metadata, annotations: { 'endpoints.kubernetes.io/last-change-trigger-time': '2026-01-01T00:00:09Z' } } } })
  }
  const latency = () => metrics.snapshot().find(({ name }) => name === 'coredns_kubernetes_dns_programming_duration_seconds')!.series
  await until(() => latency().length > 0)
  assert.deepEqual(latency().map(([values, numbers]) => [values, numbers.at(-1)]), [[['headless_with_selector'], 1]])
  assert.ok(metrics.snapshot().find(({ name }) => name === 'coredns_kubernetes_rest_client_requests_total')!.series.some(([values]) => values.join() === '200,GET,10.96.0.1:443'))
  watching.stop()
})

test('a reload goes on with the same objects; one that watches others answers from the old until it has its own', async () => {
  const objects = { services: [service('default/web', '10.96.0.20', 'http:80')] }
  const { instance: first } = clusterOf('kubernetes cluster.local', objects)
  first.start()
  let stopped = 0
  const follow = (lines: string, synced: Promise<void>) => {
    const options = optionsOf(plugin, lines)
    const same = first.source.identity === identityOf(options)
    const source = same ? first.source : new Source(identityOf(options), new Catalog({ now: () => 0 }), () => ({ synced, stop: () => { stopped++ } }))
    return new Kubernetes(options, testEnv({ previous: first }), { source, localIps: [] })
  }
  const get = async (instance: Kubernetes) => { const query = question('web.default.svc A'); return brief(await instance.serve(() => assert.fail())(query), query, 9) }
  const same = follow('kubernetes cluster.local {\n ttl 9\n}', Promise.resolve())
  same.start()
  first.stop()
  assert.equal(await get(same), 'A 10.96.0.20')

  let sync = () => {}
  const other = follow('kubernetes cluster.local {\n labels a=b\n}', new Promise(resolve => { sync = resolve }))
  other.start()
  same.stop()
  assert.deepEqual([await get(other), other.ready()], ['A 10.96.0.20 @5', true])
  other.source.catalog.synced = true
  sync()
  await sleep(1)
  assert.equal(await get(other), 'NXDOMAIN cluster.local.')
  other.stop()
  assert.equal(stopped, 1)
})

test('only what DNS needs is kept', () => {
  const bulky = { labels: { a: 'b' }, annotations: { x: 'y'.repeat(1000) }, managedFields: [{ manager: 'm' }] }
  const kept = slimService({ ...service('default/web', '10.96.0.20', 'http:80', { selector: { app: 'web' }, sessionAffinity: 'None' }), ...{ metadata: { name: 'web', namespace: 'default', uid: 'u', resourceVersion: '1', ...bulky } } })!
  assert.deepEqual(Object.keys(kept.metadata), ['name', 'namespace', 'uid', 'resourceVersion'])
  assert.ok(JSON.stringify(kept).length < 320, JSON.stringify(kept))
  assert.equal(slimSlice({ ...slice('default/x', 'web', '10.0.0.1'), metadata: { name: 'x', namespace: 'default' } as EndpointSlice['metadata'] }), undefined)
  const running = pod('default/p', '10.0.0.1')
  assert.ok(slimPod(running))
  for (const over of [{ status: { ...running.status, phase: 'Succeeded' } }, { status: { phase: 'Pending' } }, { metadata: { ...running.metadata, deletionTimestamp: 'now' } }]) assert.equal(slimPod({ ...running, ...over } as typeof running), undefined)
})

test('a relist of 50,000 endpoints does not double memory', async () => {
  setFlagsFromString('--expose-gc')
  const gc = runInNewContext('gc') as () => void
  const perSlice = 100, count = 500
  const server = new Server()
  server.lists.services = () => Array.from({ length: count }, (_, i) => service(`default/s${i}`, 'None', 'http:80'))
  server.lists.endpointslices = function* () {
    for (let i = 0; i < count; i++) {
      const object = slice(`default/s${i}-a`, `s${i}`, Array.from({ length: perSlice }, (_, n) => `10.${i >> 8}.${i & 255}.${n}@some-workload-${i}-${n}`).join(' '), 'http:80')
      // As the API server sends it.
      yield { ...object, metadata: { ...object.metadata, resourceVersion: String(i), managedFields: [{ manager: 'x'.repeat(500) }], ownerReferences: [] }, endpoints: object.endpoints!.map(endpoint => ({ ...endpoint, nodeName: 'node-0001', zone: 'a', conditions: { ready: true, serving: true, terminating: false } })) }
    }
  }
  gc()
  const before = process.memoryUsage().heapUsed
  const { watching, get } = start(server)
  await watching.synced
  await until(() => server.watches === 3)
  assert.equal(get('10-0-7-5.s7.default.svc A'), 'A 10.0.7.5')
  gc()
  const steady = process.memoryUsage().heapUsed - before
  let peak = 0
  server.paged = () => { gc(); peak = Math.max(peak, process.memoryUsage().heapUsed - before) }
  server.asked.length = 0
  server.tell(gone())
  await until(() => server.opened === 6, 20_000)
  assert.ok(server.asked.includes('endpointslices more'))
  const mb = (bytes: number) => `${(bytes / 2 ** 20).toFixed(1)} MB`
  assert.ok(peak < 1.5 * steady, `${mb(peak)} while listing anew, ${mb(steady)} before`)
  assert.ok(steady < 40 * 2 ** 20, mb(steady))
  watching.stop()
  if (process.env.SHOW) console.log(mb(steady), mb(peak))
})
