// What every storage must do, as cases that a test runs against each implementation: exceptions are not
// foreseen. Uses only the interface.
import assert from 'node:assert/strict'
import { CompactedError, type Storage, type StorageEvent } from './storage.ts'

type Case = (storage: Storage) => Promise<void>

const put = (key: string, value: object = { metadata: { name: key } }) => ({ key, value })
const absent = (key: string) => ({ key, modRevision: 0 })
const create = (storage: Storage, key: string, value?: object) => storage.transact({ compares: [absent(key)], puts: [put(key, value)] })
const keys = (storage: Storage, prefix: string, options?: Parameters<Storage['list']>[1]) => storage.list(prefix, options).entries.map(entry => entry.key)
const shape = (events: readonly StorageEvent[]) => events.map(({ key, revision, old, now }) => `${revision} ${key} ${old?.modRevision ?? '-'}>${now?.modRevision ?? '-'}`)

export const conformance: Readonly<Record<string, Case>> = {
  async 'a new key gets the next revision, and its object bears it'(storage) {
    const { succeeded, revision } = await create(storage, 'pods/a')
    assert.deepEqual([succeeded, revision, storage.revision], [true, 1, 1])
    const entry = storage.get('pods/a')!
    assert.deepEqual([entry.createRevision, entry.modRevision, entry.value], [1, 1, { metadata: { name: 'pods/a', resourceVersion: '1' } }])
  },
  async 'a value without metadata is kept as it is'(storage) {
    await create(storage, 'reservations/x', { owner: 'me' })
    assert.deepEqual(storage.get('reservations/x')!.value, { owner: 'me' })
  },
  async 'stored values are frozen deeply'(storage) {
    await create(storage, 'pods/a', { metadata: { labels: { a: 'b' } } })
    assert.throws(() => { (storage.get('pods/a')!.value as { metadata: { labels: { a: string } } }).metadata.labels.a = 'c' }, TypeError)
  },
  async 'a compare that fails writes nothing and costs no revision'(storage) {
    await create(storage, 'pods/a')
    const { succeeded, revision, events } = await storage.transact({ compares: [absent('pods/a')], puts: [put('pods/a'), put('pods/b')], deletes: ['pods/a'] })
    assert.deepEqual([succeeded, revision, events, storage.get('pods/b')], [false, 1, [], undefined])
  },
  async 'all compares must hold'(storage) {
    await create(storage, 'pods/a')
    const { succeeded } = await storage.transact({ compares: [{ key: 'pods/a', modRevision: 1 }, { key: 'pods/b', modRevision: 7 }], puts: [put('pods/c')] })
    assert.equal(succeeded, false)
  },
  async 'a transaction writes all its keys at one revision'(storage) {
    await create(storage, 'pods/a')
    const { revision, events } = await storage.transact({ compares: [], puts: [put('pods/b'), put('services/c')], deletes: ['pods/a'] })
    assert.equal(revision, 2)
    assert.deepEqual(shape(events).sort(), ['2 pods/a 1>-', '2 pods/b ->2', '2 services/c ->2'])
    assert.equal(storage.get('pods/a'), undefined)
  },
  async 'of two writers that saw the same version one wins'(storage) {
    await create(storage, 'pods/a')
    const seen = [{ key: 'pods/a', modRevision: 1 }]
    const results = await Promise.all([1, 2, 3].map(n => storage.transact({ compares: seen, puts: [put('pods/a', { n })] })))
    assert.deepEqual(results.map(result => result.succeeded), [true, false, false])
    assert.deepEqual(storage.get('pods/a')!.value, { n: 1 })
  },
  async 'the creation revision stays when the value changes'(storage) {
    await create(storage, 'pods/a')
    await storage.transact({ compares: [], puts: [put('pods/a', { again: true })] })
    assert.deepEqual([storage.get('pods/a')!.createRevision, storage.get('pods/a')!.modRevision], [1, 2])
  },
  async 'deleting what is not there changes nothing'(storage) {
    const { succeeded, events } = await storage.transact({ compares: [], deletes: ['pods/none'] })
    assert.deepEqual([succeeded, events, storage.revision], [true, [], 0])
  },
  async 'lists are in the order of keys and stop at the prefix'(storage) {
    for (const key of ['pods/b/2', 'pods/a/1', 'pods/b/1', 'podsx/y', 'pods/a-b/1']) await create(storage, key)
    assert.deepEqual(keys(storage, 'pods/'), ['pods/a-b/1', 'pods/a/1', 'pods/b/1', 'pods/b/2'])
    assert.deepEqual(keys(storage, 'pods/b/'), ['pods/b/1', 'pods/b/2'])
    assert.deepEqual(keys(storage, 'none/'), [])
  },
  async 'pages of one snapshot do not see later writes'(storage) {
    for (const key of ['a', 'b', 'c', 'd']) await create(storage, `pods/${key}`)
    const first = storage.list('pods/', { limit: 2 })
    assert.deepEqual([first.entries.map(entry => entry.key), first.revision, first.remaining], [['pods/a', 'pods/b'], 4, 2])
    await storage.transact({ compares: [], puts: [put('pods/bb'), put('pods/d', { late: true })], deletes: ['pods/c'] })
    const rest = storage.list('pods/', { revision: first.revision, after: 'pods/b' })
    assert.deepEqual(rest.entries.map(entry => [entry.key, entry.modRevision]), [['pods/c', 3], ['pods/d', 4]])
    assert.deepEqual(keys(storage, 'pods/'), ['pods/a', 'pods/b', 'pods/bb', 'pods/d'])
  },
  async 'a watch gets every later event of its prefix in order, with the old value'(storage) {
    const seen: string[] = []
    await create(storage, 'pods/a')
    storage.watch('pods/', 1, events => { seen.push(...shape(events)) })
    await create(storage, 'pods/b')
    await create(storage, 'services/c')
    await storage.transact({ compares: [], puts: [put('pods/a')] })
    await storage.transact({ compares: [], deletes: ['pods/b'] })
    assert.deepEqual(seen, ['2 pods/b ->2', '4 pods/a 1>4', '5 pods/b 2>-'])
  },
  async 'a watch from the past begins with what it missed'(storage) {
    for (const key of ['a', 'b', 'c']) await create(storage, `pods/${key}`)
    const seen: string[] = []
    storage.watch('pods/', 1, events => { seen.push(...shape(events)) })
    assert.deepEqual(seen, ['2 pods/b ->2', '3 pods/c ->3'])
    await create(storage, 'pods/d')
    assert.deepEqual(seen, ['2 pods/b ->2', '3 pods/c ->3', '4 pods/d ->4'])
  },
  async 'a watcher is told only after the writer can read its write'(storage) {
    let read: unknown
    storage.watch('pods/', 0, () => { read = storage.get('pods/a')?.modRevision })
    await create(storage, 'pods/a')
    assert.equal(read, 1)
  },
  async 'a watch that has been stopped hears nothing'(storage) {
    let heard = 0
    const stop = storage.watch('pods/', 0, () => { heard++ })
    await create(storage, 'pods/a')
    stop()
    await create(storage, 'pods/b')
    assert.equal(heard, 1)
  },
  async 'a listener that writes does not disturb the order of the others'(storage) {
    const seen: string[] = []
    let written: Promise<unknown> | undefined
    storage.watch('pods/', 0, events => { if (events[0]!.revision === 1) written = create(storage, 'pods/b') })
    storage.watch('pods/', 0, events => { seen.push(...shape(events)) })
    await create(storage, 'pods/a')
    await written
    assert.deepEqual(seen, ['1 pods/a ->1', '2 pods/b ->2'])
  },
  async 'a watch begun inside a listener sees each event once'(storage) {
    const inner: string[] = []
    let begun = false
    storage.watch('pods/', 0, () => {
      if (begun) return
      begun = true
      storage.watch('pods/', 0, events => { inner.push(...shape(events)) })
    })
    await Promise.all([create(storage, 'pods/a'), create(storage, 'pods/b')])
    assert.deepEqual(inner, ['1 pods/a ->1', '2 pods/b ->2'])
  },
  async 'compaction ends the past, not the present'(storage) {
    for (const key of ['a', 'b', 'c']) await create(storage, `pods/${key}`)
    await storage.transact({ compares: [], deletes: ['pods/a'] })
    await storage.compact(2)
    assert.equal(storage.compactedRevision, 2)
    assert.throws(() => storage.watch('pods/', 1, () => {}), CompactedError)
    assert.throws(() => storage.list('pods/', { revision: 1 }), CompactedError)
    assert.deepEqual(keys(storage, 'pods/', { revision: 2 }), ['pods/a', 'pods/b'])
    assert.deepEqual(keys(storage, 'pods/'), ['pods/b', 'pods/c'])
    const seen: string[] = []
    storage.watch('pods/', 2, events => { seen.push(...shape(events)) })
    assert.deepEqual(seen, ['3 pods/c ->3', '4 pods/a 1>-'])
  },
  async 'compaction cannot reach into the future'(storage) {
    await create(storage, 'pods/a')
    await storage.compact(100)
    assert.equal(storage.compactedRevision, 1)
    assert.equal((await create(storage, 'pods/b')).revision, 2)
  },
}
