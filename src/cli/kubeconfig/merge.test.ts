import assert from 'node:assert/strict'
import { test } from 'node:test'
import { merged, without, type Kubeconfig } from './merge.ts'

const named = (name: string, more: object = {}) => ({ name, ...more })
const config = (name: string): Kubeconfig =>
  ({ clusters: [named(name)], contexts: [named(name)], users: [named(name)], 'current-context': name })
const theirs: Kubeconfig = { ...config('work'), preferences: { colors: true } }

test('merging adds our entries, makes our context current and keeps the rest', () => {
  const result = merged(theirs, config('fairway'))
  assert.deepEqual(result.contexts!.map(context => context.name), ['work', 'fairway'])
  assert.equal(result['current-context'], 'fairway')
  assert.deepEqual(result.preferences, { colors: true })
})

test('merging again replaces our entries', () => {
  const again = merged(merged(theirs, config('fairway')), { ...config('fairway'), users: [named('fairway', { user: 'new' })] })
  assert.deepEqual(again.users, [named('work'), named('fairway', { user: 'new' })])
})

test('removing takes out our entries alone, and unsets the current context only when it was ours', () => {
  const result = without(merged(theirs, config('fairway')), 'fairway')
  assert.deepEqual(result.clusters, [named('work')])
  assert.equal(result['current-context'], '')
  assert.equal(without({ ...merged(theirs, config('fairway')), 'current-context': 'work' }, 'fairway')['current-context'], 'work')
})

test('a person without a kubeconfig gets one', () => {
  assert.deepEqual(merged(undefined, config('fairway')).users, [named('fairway')])
})
