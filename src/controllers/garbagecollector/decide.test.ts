import assert from 'node:assert/strict'
import { test } from 'node:test'
import { resources } from '#api/resources.ts'
import { blocking, verdict } from './decide.ts'
import { Graph, type Entry, type OwnerState } from './graph.ts'

const entry = (uid: string, { deleting = false, finalizers = [] as string[], owners = [] as string[] } = {}): Entry => ({ resource: resources.configmaps,
  metadata: { name: uid, namespace: 'n', uid, finalizers, ...(deleting && { deletionTimestamp: 'x' }), ownerReferences: owners.map(owner => ({ apiVersion: 'v1', kind: 'ConfigMap', name: owner, uid: owner, blockOwnerDeletion: true })) } })
const owners = (...states: OwnerState[]) => states.map((state, i) => ({ state, reference: { apiVersion: 'v1', kind: 'ConfigMap', name: `o${i}`, uid: `o${i}` } }))
const foreground = { deleting: true, finalizers: ['foregroundDeletion'] }

const table: [what: string, subject: Entry, states: OwnerState[], dependents: Entry[], want: object][] = [
  ['its owner is there', entry('a'), ['present'], [], { act: 'keep' }],
  ['no owner', entry('a'), [], [], { act: 'keep' }],
  ['going already', entry('a', { deleting: true }), ['absent'], [], { act: 'keep' }],
  ['its owner is gone', entry('a'), ['absent'], [], { act: 'delete', policy: 'Background', unblock: false }],
  ['one of two owners is gone', entry('a'), ['present', 'absent'], [], { act: 'dropReferences', uids: ['o1'] }],
  ['one of two owners waits', entry('a'), ['waiting', 'present'], [], { act: 'dropReferences', uids: ['o0'] }],
  ['an owner that cannot be looked up counts as there', entry('a'), ['unresolvable'], [], { act: 'keep' }],
  ['its owner waits, and it has dependents', entry('a'), ['waiting'], [entry('b')], { act: 'delete', policy: 'Foreground', unblock: false }],
  ['its owner waits, and a dependent of its own waits too: a circle', entry('a'), ['waiting'], [entry('b', foreground)], { act: 'delete', policy: 'Foreground', unblock: true }],
  ['its owner waits, and it has none', entry('a'), ['waiting'], [], { act: 'delete', policy: 'Background', unblock: false }],
  ['it was to orphan its own', entry('a', { finalizers: ['orphan'] }), ['absent'], [], { act: 'delete', policy: 'Orphan', unblock: false }],
]
for (const [what, subject, states, dependents, want] of table) test(what, () => assert.deepEqual(verdict(subject, owners(...states), dependents), want))

test('only those that ask for it block their owner', () => {
  const owner = entry('o', foreground), lax = entry('b', { owners: ['o'] })
  lax.metadata.ownerReferences![0]!.blockOwnerDeletion = false
  assert.deepEqual(blocking(owner, [entry('a', { owners: ['o'] }), lax]).map(each => each.metadata.uid), ['a'])
})

test('the graph knows dependents before and after their owner, and what is gone for good', () => {
  const graph = new Graph()
  graph.set(entry('child', { owners: ['o'] }))
  assert.deepEqual(graph.dependents('o').map(each => each.metadata.uid), ['child'])
  graph.set(entry('o'))
  graph.set(entry('child'))
  assert.equal(graph.hasDependents('o'), false)
  graph.delete('o')
  assert.equal(graph.isGone('o'), true)
})
