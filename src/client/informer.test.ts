// What an informer does when the world misbehaves: a transport that answers as the test tells it to.
// Against the real API server it is tested in test/client.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ConfigMap } from '#api/core/v1.ts'
import { resources } from '#api/resources.ts'
import { silent } from '#lib/log.ts'
import { Client } from './client.ts'
import { handClock } from './handclock.ts'
import { startInformer } from './informer.ts'
import type { ApiRequest, Transport, WatchEvent } from './transport.ts'

const map = (name: string, version: number, uid = name): ConfigMap => ({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace: 'n', resourceVersion: String(version), uid } })

type Stream = (WatchEvent | Error)[]
interface Script { readonly lists: (ConfigMap[] | Error)[]; readonly watches: Stream[] }

/** Lists and watches in order; a watch beyond the script stays silent until the signal. */
function scripted({ lists, watches }: Script) {
  const requests: string[] = []
  const transport: Transport = {
    async request() {
      requests.push('list')
      const list = lists.shift()!
      if (list instanceof Error) throw list
      return { metadata: { resourceVersion: '100' }, items: list }
    },
    async *watch({ query, signal }: ApiRequest) {
      requests.push(`watch ${query!.resourceVersion}`)
      const events = watches.shift()
      if (!events) { await new Promise(resolve => signal!.addEventListener('abort', resolve)); return }
      for (const event of events) { if (event instanceof Error) throw event; yield event }
    },
    async *stream() {}, close() {},
  }
  const clock = handClock(), stop = new AbortController(), changes: string[] = []
  const informer = startInformer<ConfigMap>(new Client(transport), resources.configmaps, { log: silent, signal: stop.signal, clock })
  const text = (object: ConfigMap | undefined) => object ? `${object.metadata.name}@${object.metadata.resourceVersion}` : '-'
  informer.onChange(({ old, now }) => changes.push(`${text(old)} > ${text(now)}`))
  const run = async () => { for (let i = 0; i < 60; i++) await clock.advance(1000) ; stop.abort() }
  return { informer, requests, changes, run, stop }
}
const gone: WatchEvent = { type: 'ERROR', object: { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', code: 410, reason: 'Expired', message: 'too old' } }

test('a lost watch resumes from the last version, bookmarks included', async () => {
  const { requests, changes, run } = scripted({ lists: [[map('a', 1)]], watches: [
    [{ type: 'MODIFIED', object: map('a', 101) }, new Error('connection lost')],
    [{ type: 'BOOKMARK', object: map('', 120) }],
    [new Error('refused')],
  ] })
  await run()
  assert.deepEqual(requests, ['list', 'watch 100', 'watch 101', 'watch 120', 'watch 120'])
  assert.deepEqual(changes, ['- > a@1', 'a@1 > a@101'])
})

test('410 lists anew without emptying the copy; what is gone is a deletion', async () => {
  const seen: string[][] = []
  const script = scripted({ lists: [[map('a', 1), map('b', 2), map('c', 3)], [map('b', 2), map('c', 130), map('d', 140)]], watches: [[gone]] })
  script.informer.onChange(() => seen.push(script.informer.list().map(object => object.metadata.name)))
  await script.run()
  assert.deepEqual(script.requests, ['list', 'watch 100', 'list', 'watch 100'])
  assert.deepEqual(script.changes.slice(3), ['a@1 > -', 'c@3 > c@130', '- > d@140'])
  assert.ok(seen.slice(3).every(names => names.length >= 2), 'never empty')
})

test('a refused list is tried again, later each time', async () => {
  const { requests, informer, run } = scripted({ lists: [new Error('no'), new Error('no'), [map('a', 1)]], watches: [] })
  await run()
  assert.deepEqual(requests, ['list', 'list', 'list', 'watch 100'])
  await informer.synced
})

test('deleted and made again unseen: a deletion and an addition', async () => {
  const { changes, run } = scripted({ lists: [[map('a', 1, 'one')]], watches: [[{ type: 'MODIFIED', object: map('a', 105, 'two') }]] })
  await run()
  assert.deepEqual(changes, ['- > a@1', 'a@1 > -', '- > a@105'])
})

test('a handler that throws harms nobody; a later handler is told what is here', async () => {
  const { informer, changes, run } = scripted({ lists: [[map('a', 1)]], watches: [[{ type: 'DELETED', object: map('a', 101) }]] })
  informer.onChange(() => { throw new Error('broken') })
  await informer.synced
  const late: string[] = []
  informer.onChange(({ now, old }) => late.push(now ? `+${now.metadata.name}` : `-${old!.metadata.name}`))
  await run()
  assert.deepEqual(changes, ['- > a@1', 'a@1 > -'])
  assert.deepEqual(late, ['+a', '-a'])
})

test('an index follows every change', async () => {
  const labelled = (version: number, value: string): ConfigMap => ({ ...map('a', version), metadata: { ...map('a', version).metadata, labels: { k: value } } })
  const { informer, run } = scripted({ lists: [[labelled(1, 'x')]], watches: [[{ type: 'MODIFIED', object: labelled(101, 'y') }]] })
  informer.addIndex('k', object => [object.metadata.labels!.k!])
  await informer.synced
  assert.equal(informer.byIndex('k', 'x').length, 1)
  await run()
  assert.deepEqual([informer.byIndex('k', 'x').length, informer.byIndex('k', 'y').length], [0, 1])
  assert.throws(() => informer.byIndex('other', 'x'), /no index other/)
})

test('the signal ends it before it is synced', async () => {
  const { informer, stop } = scripted({ lists: [new Error('no')], watches: [] })
  stop.abort(new Error('enough'))
  await assert.rejects(informer.synced, /enough/)
})
