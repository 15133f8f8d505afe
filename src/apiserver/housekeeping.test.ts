// What happens by the clock, with the clock in the test's hand.
import assert from 'node:assert/strict'
import { beforeEach, describe, test } from 'node:test'
import { resources } from '#api/resources.ts'
import { defaults } from './config.ts'
import { housekeeping } from './housekeeping.ts'
import { Stores, type Api } from './http/api.ts'
import { strategies } from './registry/strategies.ts'
import type { Backend } from './rest/backend.ts'
import { everything } from './rest/list.ts'
import { Store } from './rest/store.ts'
import { Watches, type WatchEvent, type WatchRequest } from './rest/watch.ts'
import { memoryStorage } from './storage/memory.ts'
import { CompactedError } from './storage/storage.ts'

const start = Date.parse('2026-11-21T00:00:00Z')
const minute = 60_000
let now: number, api: Pick<Api, 'backend' | 'stores' | 'watches'>, keeper: ReturnType<typeof housekeeping>

beforeEach(() => {
  now = start
  let uids = 0
  const backend: Backend = { storage: memoryStorage(), strategies, settings: defaults.settings, now: () => now, uuid: () => `uid-${++uids}`, suffix: () => 'xxxxx',
    admission: { async create() {}, update() {}, delete() {} } }
  const stores = ['configmaps', 'events'].map(key => new Store(backend, { prefix: key, strategy: strategies.get(key)! }))
  api = { backend, stores: new Stores(stores), watches: new Watches() }
  keeper = housekeeping(api as Api, { eventTtl: 3600 })
})
const store = (plural: 'configmaps' | 'events') => api.stores.get('', 'v1', resources[plural].plural)!
const create = (name: string) => store('configmaps').create({ metadata: { name, namespace: 'default' } }, { user: 'me' })
const pass = async (ms: number, step = 1000) => { for (const end = now + ms; now < end;) { now += step; await keeper.tick(now) } }

function watch(request: Partial<WatchRequest> = {}): { seen: WatchEvent[]; ended: () => boolean } {
  const seen: WatchEvent[] = []
  let ended = false
  api.watches.watch(store('configmaps'), { namespace: 'default', selection: everything, ...request }).start({ event: event => { seen.push(event) }, end: () => { ended = true } })
  return { seen, ended: () => ended }
}

describe('by the clock', () => {
  test('a watch that allows it gets a bookmark a minute, with the current version', async () => {
    const { seen } = watch({ allowWatchBookmarks: true })
    const silent = watch()
    await store('events').create({ metadata: { name: 'e', namespace: 'default' }, involvedObject: { namespace: 'default' } } as never, { user: 'me' })
    await pass(3 * minute)
    assert.deepEqual(seen.map(({ type, object }) => [type, (object as { metadata: { resourceVersion?: string } }).metadata.resourceVersion, (object as { kind?: string }).kind]),
      Array(3).fill(['BOOKMARK', '1', 'ConfigMap']))
    assert.deepEqual(silent.seen, [])
  })
  test('a watch ends at its timeout, or after half an hour to an hour', async () => {
    const short = watch({ timeoutSeconds: 5 }), long = watch()
    await pass(4000)
    assert.equal(short.ended(), false)
    await pass(1000)
    assert.equal(short.ended(), true)
    await pass(29 * minute, minute)
    assert.equal(long.ended(), false)
    await pass(32 * minute, minute)
    assert.equal(long.ended(), true)
    assert.equal(api.watches.size, 0)
  })
  test('history is kept for five minutes', async () => {
    await create('a')
    await pass(minute)
    await create('b')
    await pass(4 * minute)
    assert.doesNotThrow(() => api.backend.storage.watch('configmaps/', 1, () => {}))
    await pass(2 * minute)
    assert.throws(() => api.backend.storage.watch('configmaps/', 0, () => {}), CompactedError)
    assert.equal(api.backend.storage.list('configmaps/').entries.length, 2)
  })
  test('events expire an hour after they were last seen', async () => {
    const event = (name: string, seen: number) => store('events').create({ metadata: { name, namespace: 'default' }, involvedObject: { namespace: 'default' }, lastTimestamp: new Date(seen).toISOString().slice(0, 19) + 'Z' } as never, { user: 'me' })
    await event('old', start)
    await event('new', start + 30 * minute)
    await pass(62 * minute, minute)
    assert.deepEqual(api.backend.storage.list('events/').entries.map(entry => entry.key), ['events/default/new'])
  })
})
