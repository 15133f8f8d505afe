import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Service } from '#api/core/v1.ts'
import type { EndpointSlice } from '#api/discovery/v1.ts'
import { Objects, RandomObjects } from './random.ts'
import { desiredPorts, ProxyState } from './state.ts'

const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31))

test(`changes one by one give what all objects at once give (SEED=${seed})`, () => {
  for (const family of [4, 6] as const) {
    const random = new RandomObjects(seed), objects = new Objects()
    const state = new ProxyState({ nodeName: 'n1', family })
    for (let i = 0; i < 1500; i++) {
      const change = random.change()
      objects.apply(change)
      const before = state.ports()
      const matters = state.applyChange(change)
      const after = state.ports()
      if (!matters) assert.deepEqual(after, before, `change ${i} was said not to matter`)
      if (i % 5 === 0) assert.deepEqual(after, desiredPorts(objects, { nodeName: 'n1', family }), `after change ${i}`)
    }
  }
})

test(`the state does not depend on the order of changes (SEED=${seed})`, () => {
  const random = new RandomObjects(seed), objects = new Objects()
  let seen = 0
  for (let round = 0; round < 10; round++) {
    for (let i = 0; i < 50; i++) objects.apply(random.change())
    const changes = [...objects.services.map(now => ({ kind: 'Service' as const, key: `default/${now.metadata.name}`, now })),
      ...objects.slices.map(now => ({ kind: 'EndpointSlice' as const, key: `default/${now.metadata.name}`, now })),
      ...objects.nodes.map(now => ({ kind: 'Node' as const, key: now.metadata.name, now }))]
    const wanted = desiredPorts(objects, { nodeName: 'n0', family: 4 })
    seen += wanted.length
    for (let turn = 0; turn < changes.length; turn++) {
      const state = new ProxyState({ nodeName: 'n0', family: 4 })
      for (const change of [...changes.slice(turn), ...changes.slice(0, turn)].reverse()) state.applyChange(change)
      assert.deepEqual(state.ports(), wanted)
    }
  }
  assert.ok(seen > 0, 'there were ports')
})

const service = (spec: Partial<Service['spec']>): Service => ({ metadata: { name: 'web', namespace: 'dev' },
  spec: { clusterIP: '10.96.0.1', ports: [{ name: 'http', port: 80, protocol: 'TCP' }], ...spec } })
const slice = (name: string, addresses: string[], rest: Partial<EndpointSlice> = {}): EndpointSlice => ({
  metadata: { name, namespace: 'dev', labels: { 'kubernetes.io/service-name': 'web' } }, addressType: 'IPv4',
  ports: [{ name: 'http', port: 8080, protocol: 'TCP' }], endpoints: addresses.map(address => ({ addresses: [address], nodeName: 'n1' })), ...rest })
const addresses = (slices: EndpointSlice[], spec: Partial<Service['spec']> = {}) =>
  desiredPorts({ services: [service(spec)], slices, nodes: [] }, { nodeName: 'n1', family: 4 })[0]?.cluster.map(endpoint => endpoint.address)

test('slices of one Service are merged, and an address counts once', () => {
  assert.deepEqual(addresses([slice('b', ['10.0.0.2', '10.0.0.1']), slice('a', ['10.0.0.2', '10.0.0.3'])]), ['10.0.0.1:8080', '10.0.0.2:8080', '10.0.0.3:8080'])
})

test('what cannot be an endpoint is none', () => {
  assert.deepEqual(addresses([slice('a', ['10.0.0.1', 'fd00::1', 'not an address', '10.0.0.01', '10.0.0.2"\n-A INPUT'])]), ['10.0.0.1:8080'])
  assert.deepEqual(addresses([slice('a', ['10.0.0.1'], { ports: [{ name: 'http' }] })]), [])
  assert.deepEqual(addresses([slice('a', ['10.0.0.1'], { ports: [{ name: 'http', port: 8080, protocol: 'UDP' }] })]), [])
  assert.deepEqual(addresses([slice('a', ['10.0.0.1'], { ports: undefined, endpoints: undefined })]), [])
})

test('an object that a person gave a text of rules as its name cannot write rules', () => {
  const named = { ...service({}), metadata: { name: 'a" -j ACCEPT\n-A INPUT', namespace: 'dev' } }
  assert.deepEqual(desiredPorts({ services: [named], slices: [], nodes: [] }, { nodeName: 'n1', family: 4 }), [])
})

test('a port that did not change stays the same object', () => {
  const state = new ProxyState({ nodeName: 'n1', family: 4 })
  state.applyChange({ kind: 'Service', key: 'dev/web', now: service({}) })
  const [before] = state.ports()
  assert.equal(state.applyChange({ kind: 'Service', key: 'dev/web', now: structuredClone(service({})) }), true)
  assert.equal(state.ports()[0], before)
})
