import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Endpoint } from '../endpoints.ts'
import { Affinity, Balancer } from './balancer.ts'

const endpoint = (name: string): Endpoint => ({ ip: name, port: 80, address: name, isLocal: false, ready: true, serving: true, terminating: false, nodeName: '', zoneHints: [], nodeHints: [] })
const endpoints = (names: string) => names.split(' ').filter(Boolean).map(endpoint)
const take = (balancer: Balancer, count: number, client = 'x', now = 0) =>
  Array.from({ length: count }, () => balancer.choose({ client, now })?.ip ?? '-').join(' ')

test('strict rotation, in the order of addresses', () => {
  const balancer = new Balancer()
  assert.equal(take(balancer, 1), '-')
  balancer.update(endpoints('a b c'), 0)
  // for i in `seq 3`; do curl $SVC; done, over and over: each pod in its turn
  assert.equal(take(balancer, 7), 'a b c a b c a')
})

const changes: { name: string; before: string; taken: number; after: string; then: string }[] = [
  { name: 'one is added behind the turn', before: 'a b c', taken: 1, after: 'a b c d', then: 'b c d a' },
  { name: 'one is added before the turn', before: 'b c d', taken: 1, after: 'a b c d', then: 'c d a b' },
  { name: 'the one whose turn it is goes', before: 'a b c', taken: 1, after: 'a c', then: 'c a c' },
  { name: 'the last goes when it has the turn', before: 'a b c', taken: 2, after: 'a b', then: 'a b a' },
  { name: 'one that had its turn goes', before: 'a b c', taken: 2, after: 'b c', then: 'c b c' },
  { name: 'all are replaced', before: 'a b', taken: 1, after: 'c d', then: 'c d c' },
  { name: 'none is left', before: 'a b', taken: 1, after: '', then: '- - -' },
  { name: 'the first come', before: '', taken: 0, after: 'a b', then: 'a b a' },
]
for (const { name, before, taken, after, then } of changes) {
  test(`a change does not start the rotation again: ${name}`, () => {
    const balancer = new Balancer()
    balancer.update(endpoints(before), 0)
    take(balancer, taken)
    balancer.update(endpoints(after), 0)
    assert.equal(take(balancer, then.split(' ').length), then)
  })
}

test('affinity keeps a client at its endpoint until its time is over; each use starts the time anew', () => {
  const balancer = new Balancer()
  balancer.update(endpoints('a b c'), 10)
  assert.equal(take(balancer, 3, 'x', 0), 'a a a')
  assert.equal(take(balancer, 2, 'y', 0), 'b b')
  assert.equal(take(balancer, 1, 'x', 9_999), 'a')
  assert.equal(take(balancer, 1, 'y', 10_000), 'c')
  assert.equal(take(balancer, 1, 'x', 19_998), 'a')
  assert.equal(take(balancer, 1, 'x', 29_998), 'a')
})

test('an endpoint that failed costs the client its affinity', () => {
  const balancer = new Balancer()
  balancer.update(endpoints('a b c'), 10)
  assert.equal(take(balancer, 2), 'a a')
  assert.equal(balancer.choose({ client: 'x', now: 0, failed: new Set(['a']) })?.ip, 'b')
  assert.equal(take(balancer, 2), 'b b')
  balancer.forget('x')
  assert.equal(take(balancer, 2), 'c c')
})

test('who failed is passed over, whoever else took a turn meanwhile', () => {
  const balancer = new Balancer()
  balancer.update(endpoints('a b c'), 0)
  assert.equal(take(balancer, 3), 'a b c')
  assert.equal(balancer.choose({ client: 'x', now: 0, failed: new Set(['a', 'b']) })?.ip, 'c')
  assert.equal(balancer.choose({ client: 'x', now: 0, failed: new Set(['a', 'b', 'c']) }), undefined)
  assert.equal(take(balancer, 3), 'a b c')
})

test('affinity to a removed endpoint is affinity to none; to one that stays it lives on', () => {
  const balancer = new Balancer()
  balancer.update(endpoints('a b c'), 10)
  assert.equal(`${take(balancer, 1, 'x')} ${take(balancer, 1, 'y')}`, 'a b')
  balancer.update(endpoints('b c'), 10)
  assert.equal(take(balancer, 2, 'x'), 'c c')
  assert.equal(take(balancer, 2, 'y'), 'b b')
})

test('Local and Cluster share the affinity as far as they share endpoints', () => {
  const affinity = new Affinity(), cluster = new Balancer(affinity), local = new Balancer(affinity)
  cluster.update(endpoints('a b'), 10)
  local.update(endpoints('b'), 10)
  assert.equal(take(cluster, 1, 'x'), 'a')
  assert.equal(take(local, 1, 'x'), 'b')
  assert.equal(take(cluster, 1, 'x'), 'b')
})

test('what is over is forgotten, and there is an end to what is remembered', () => {
  const affinity = new Affinity()
  affinity.set('x', 'a', 5)
  affinity.set('y', 'a', 15)
  affinity.expire(10)
  assert.deepEqual([affinity.size, affinity.get('y', 10)], [1, 'a'])
  for (let i = 0; i < 100_010; i++) affinity.set(`client ${i}`, 'a', 100)
  assert.equal(affinity.size, 100_000)
  assert.equal(affinity.get('y', 10), undefined)
  assert.equal(affinity.get('client 100009', 10), 'a')
})
