// From a Service and its pods to endpoints and slices, as tables.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Node, Pod, Service } from '#api/core/v1.ts'
import type { EndpointSlice } from '#api/discovery/v1.ts'
import { groups } from './endpoints.ts'
import { slices } from './slices.ts'

const service = (spec: Partial<Service['spec']> = {}, labels: Record<string, string> = {}): Service => ({ apiVersion: 'v1', kind: 'Service', metadata: { name: 'web', namespace: 'ns', uid: 's', labels },
  spec: { selector: { app: 'web' }, clusterIP: '10.96.0.5', ipFamilies: ['IPv4'], ports: [{ name: 'http', port: 80, targetPort: 8080, protocol: 'TCP' }], ...spec } })
interface Words { ip?: string; ready?: boolean; leaving?: boolean; phase?: string; node?: string; port?: number; hostname?: string; subdomain?: string }
const pod = (name: string, { ip = `10.244.0.${name.charCodeAt(0)}`, ready = true, leaving = false, phase = 'Running', node = 'n1', port = 8080, hostname, subdomain }: Words = {}): Pod => ({
  apiVersion: 'v1', kind: 'Pod', metadata: { name, namespace: 'ns', uid: `u-${name}`, ...(leaving && { deletionTimestamp: 'now' }) },
  spec: { nodeName: node, containers: [{ name: 'c', image: 'i', ports: [{ name: 'web', containerPort: port }] }], ...(hostname && { hostname }), ...(subdomain && { subdomain }) },
  status: { phase, ...(ip && { podIP: ip, podIPs: ip.split(',').map(each => ({ ip: each })) }), conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }] },
})
const node = (name: string): Node => ({ metadata: { name, labels: { 'topology.kubernetes.io/zone': `zone-${name}` } }, spec: {} })
const groupsOf = (subject: Service, pods: Pod[]) => groups({ service: subject, pods, node })
const only = (subject: Service, one: Pod) => groupsOf(subject, [one])[0]!.endpoints[0]

const conditions: [what: string, words: Words, publish: boolean, want: object | undefined][] = [
  ['ready', {}, false, { ready: true, serving: true, terminating: false }],
  ['not ready', { ready: false }, false, { ready: false, serving: false, terminating: false }],
  ['terminating, still serving', { leaving: true }, false, { ready: false, serving: true, terminating: true }],
  ['terminating, not serving', { leaving: true, ready: false }, false, { ready: false, serving: false, terminating: true }],
  ['publishNotReadyAddresses', { ready: false, leaving: true }, true, { ready: true, serving: false, terminating: true }],
  ['no address yet', { ip: '' }, false, undefined],
  ['ended', { phase: 'Succeeded' }, true, undefined],
]
for (const [what, words, publish, want] of conditions) test(`conditions: ${what}`, () => assert.deepEqual(only(service({ publishNotReadyAddresses: publish }), pod('a', words))?.conditions, want))

test('an endpoint names pod, node and zone, and its hostname only below its own service', () => {
  assert.deepEqual(only(service(), pod('a', { hostname: 'h', subdomain: 'web' })), { addresses: ['10.244.0.97'], conditions: { ready: true, serving: true, terminating: false }, hostname: 'h',
    targetRef: { kind: 'Pod', namespace: 'ns', name: 'a', uid: 'u-a' }, nodeName: 'n1', zone: 'zone-n1' })
  assert.equal(only(service(), pod('a', { hostname: 'h', subdomain: 'other' }))!.hostname, undefined)
})

const hints: [distribution: string, want: object | undefined][] = [
  ['PreferClose', { forZones: [{ name: 'zone-n1' }] }], ['PreferSameZone', { forZones: [{ name: 'zone-n1' }] }],
  ['PreferSameNode', { forZones: [{ name: 'zone-n1' }], forNodes: [{ name: 'n1' }] }], ['', undefined],
]
for (const [trafficDistribution, want] of hints) test(`hints for ${trafficDistribution || 'none'}`, () => assert.deepEqual(only(service({ trafficDistribution }), pod('a'))!.hints, want))

test('a named port is looked up in each pod: one group for each number; a pod without it has none', () => {
  const named = service({ ports: [{ port: 80, targetPort: 'web', protocol: 'TCP', appProtocol: 'http' }] })
  const other = pod('c'); other.spec.containers[0]!.ports = []
  assert.deepEqual(groupsOf(named, [pod('a'), pod('b', { port: 9090 }), other]).map(group => [group.ports, group.endpoints.length]), [
    [[{ name: '', protocol: 'TCP', port: 8080, appProtocol: 'http' }], 1], [[{ name: '', protocol: 'TCP', port: 9090, appProtocol: 'http' }], 1], [[], 1]])
})

test('two families: each pod in both, by its address of each', () => {
  const dual = groupsOf(service({ ipFamilies: ['IPv4', 'IPv6'] }), [pod('a', { ip: '10.1.0.1,fd00::1' }), pod('b', { ip: '10.1.0.2' })])
  assert.deepEqual(dual.map(group => [group.addressType, group.endpoints.map(endpoint => endpoint.addresses[0])]), [['IPv4', ['10.1.0.1', '10.1.0.2']], ['IPv6', ['fd00::1']]])
})

// ---- packing

const many = (count: number, from = 0) => Array.from({ length: count }, (_, i) => pod(`p${String(from + i).padStart(4, '0')}`, { ip: `10.244.${(from + i) >> 8}.${(from + i) & 255}` }))
const change = (subject: Service, pods: Pod[], existing: EndpointSlice[]) => {
  const { create, update, remove } = slices(subject, { groups: groupsOf(subject, pods), existing, trigger: undefined })
  const after = [...existing.filter(slice => !remove.includes(slice)).map(slice => update.find(changed => changed.metadata.uid === slice.metadata.uid) ?? slice),
    ...create.map((slice, i) => ({ ...slice, metadata: { ...slice.metadata, name: `web-${existing.length + i}`, uid: `slice-${existing.length + i}-${Math.random()}` } }))]
  return { create, update, remove, after, sizes: after.map(slice => slice.endpoints!.length) }
}

test('no pods: one empty slice without ports', () => {
  const { create, after } = change(service(), [], [])
  assert.deepEqual([create.length, create[0]!.endpoints, create[0]!.ports], [1, [], []])
  assert.deepEqual(change(service(), [], after).update, [])
})

test('a slice is labelled as the service and as ours', () => {
  const { create } = change(service({ clusterIP: 'None' }, { team: 'a', 'kubernetes.io/service-name': 'a lie' }), [pod('a')], [])
  const { metadata } = create[0]!
  assert.deepEqual(metadata.labels, { team: 'a', 'service.kubernetes.io/headless': '', 'kubernetes.io/service-name': 'web', 'endpointslice.kubernetes.io/managed-by': 'endpointslice-controller.k8s.io' })
  assert.deepEqual([metadata.generateName, metadata.ownerReferences![0]!.uid, metadata.ownerReferences![0]!.controller], ['web-', 's', true])
})

test('250 pods: slices of a hundred; one more joins the one with room; nothing else is written', () => {
  const first = change(service(), many(250), [])
  assert.deepEqual(first.sizes.sort(), [100, 100, 50])
  const second = change(service(), many(251), first.after)
  assert.deepEqual([second.create.length, second.update.length, second.remove.length], [0, 1, 0])
  assert.deepEqual(second.sizes.sort(), [100, 100, 51])
  assert.deepEqual(change(service(), many(251), second.after).update, [])
})

test('one pod turning ready writes one slice', () => {
  const before = change(service(), many(250), []).after
  const pods = many(250); pods[7]!.status!.conditions![0]!.status = 'False'
  const { create, update, remove } = change(service(), pods, before)
  assert.deepEqual([create.length, update.length, remove.length], [0, 1, 0])
})

test('the last pod gone: the same slice, empty; the first one back: the same slice again', () => {
  const one = change(service(), [pod('a')], [])
  const none = change(service(), [], one.after)
  assert.deepEqual([none.create.length, none.update.length, none.remove.length, none.sizes], [0, 1, 0, [0]])
  const back = change(service(), [pod('b')], none.after)
  assert.deepEqual([back.create.length, back.update.length, back.after[0]!.metadata.uid], [0, 1, one.after[0]!.metadata.uid])
})

test('packing stays within bounds over random changes (seed printed)', t => {
  const seed = Number(process.env.SEED ?? Date.now() % 1_000_000)
  t.diagnostic(`SEED=${seed}`)
  let state = seed
  const random = (n: number) => { state = (Math.imul(state, 1103515245) + 12345) >>> 0; return (state >>> 8) % n }
  let existing: EndpointSlice[] = []
  for (let i = 0; i < 100; i++) {
    const pods = many(450).filter(() => random(10) < i % 10).map(each => random(4) === 0 ? { ...each, spec: { ...each.spec, containers: [{ name: 'c', image: 'i', ports: [{ name: 'web', containerPort: 9090 }] }] } } : each)
    const named = service({ ports: [{ port: 80, targetPort: 'web' }] })
    existing = change(named, pods, existing).after
    assert.ok(existing.every(slice => slice.endpoints!.length <= 100), `SEED=${seed}`)
    const packed = existing.flatMap(slice => slice.endpoints!.map(endpoint => `${endpoint.addresses[0]}:${slice.ports![0]?.port}`)).sort()
    const wanted = pods.map(each => `${each.status!.podIP}:${each.spec.containers[0]!.ports![0]!.containerPort}`).sort()
    assert.deepEqual(packed, wanted, `SEED=${seed} step ${i}`)
  }
})
