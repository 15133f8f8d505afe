import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Pod } from '#api/core/v1.ts'
import { podsToDelete } from './ranking.ts'

const now = Date.parse('2026-01-01T12:00:00Z')
const ago = (minutes: number) => new Date(now - minutes * 60_000).toISOString()
interface Words { node?: string | undefined; phase?: string; ready?: number | undefined; restarts?: number; cost?: string; age?: number }
const pod = (name: string, { node = 'n', phase = 'Running', ready, restarts = 0, cost, age = 1000 }: Words = {}): Pod => ({
  metadata: { name, uid: name, creationTimestamp: ago(age), ...(cost !== undefined && { annotations: { 'controller.kubernetes.io/pod-deletion-cost': cost } }) },
  spec: { containers: [], ...(node && { nodeName: node }) },
  status: { phase, containerStatuses: [{ name: 'c', ready: true, restartCount: restarts, image: '', imageID: '' }], ...(ready !== undefined && { conditions: [{ type: 'Ready', status: 'True', lastTransitionTime: ago(ready) }] }) },
})
const table: [what: string, pods: Pod[], first: string][] = [
  ['no node yet', [pod('a', { ready: 9 }), pod('b', { node: '' })], 'b'],
  ['pending before running', [pod('a'), pod('b', { phase: 'Pending' })], 'b'],
  ['not ready before ready', [pod('a', { ready: 9 }), pod('b')], 'b'],
  ['the cheaper', [pod('a', { ready: 9, cost: '10' }), pod('b', { ready: 9, cost: '-5' })], 'b'],
  ['a cost that is no number counts as none', [pod('a', { ready: 9, cost: '1e9' }), pod('b', { ready: 9, cost: '-1' })], 'b'],
  ['the fuller node', [pod('a', { ready: 9, node: 'm' }), pod('b', { ready: 9 }), pod('c', { ready: 9 })], 'b'],
  ['the one that became ready later', [pod('a', { ready: 900 }), pod('b', { ready: 9 })], 'b'],
  ['about as long ready: by UID', [pod('b', { ready: 9 }), pod('a', { ready: 8.9 })], 'a'],
  ['more restarts', [pod('a'), pod('b', { restarts: 3 })], 'b'],
  ['the younger', [pod('a', { age: 1000 }), pod('b', { age: 5 })], 'b'],
]
for (const [what, pods, first] of table) test(`${what} goes first`, () => assert.equal(podsToDelete(pods, pods, { count: 1, now })[0]!.metadata.name, first))
