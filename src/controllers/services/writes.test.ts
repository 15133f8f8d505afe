import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { KubeObject } from '#api/object.ts'
import { Writes } from './writes.ts'

const object = (name: string, version: number): KubeObject => ({ metadata: { name, uid: `u-${name}`, resourceVersion: String(version) } })
const show = (objects: KubeObject[]) => objects.map(({ metadata }) => `${metadata.name}@${metadata.resourceVersion}`).sort().join(' ')
const all = () => true

test('what was written is there before the informer shows it, and no longer than that', () => {
  const writes = new Writes<KubeObject>()
  writes.wrote(object('a', 2), undefined)
  assert.equal(show(writes.over([object('b', 1)], all)), 'a@2 b@1')
  writes.seen(undefined, object('a', 1))
  assert.equal(show(writes.over([object('a', 1)], all)), 'a@2', 'an older version is no news')
  writes.seen(object('a', 1), object('a', 3))
  assert.equal(show(writes.over([object('a', 3)], all)), 'a@3')
})

test('an informer that was faster than the answer is believed', () => {
  const writes = new Writes<KubeObject>()
  writes.wrote(object('a', 2), object('a', 4))
  assert.equal(show(writes.over([object('a', 4)], all)), 'a@4')
})

test('what was removed is gone at once, and may come back', () => {
  const writes = new Writes<KubeObject>()
  writes.removed(object('a', 2))
  assert.equal(show(writes.over([object('a', 2)], all)), '')
  writes.seen(object('a', 2), undefined)
  writes.wrote(object('a', 5), undefined)
  assert.equal(show(writes.over([], all)), 'a@5')
})
