// Endpoints and EndpointSlices from end to end: readiness that flips in random order ends in what a
// fresh computation gives, and no reader sees a slice without an endpoint that was ready all along.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Endpoints, Pod, Service } from '#api/core/v1.ts'
import type { EndpointSlice } from '#api/discovery/v1.ts'
import { resources } from '#api/resources.ts'
import type { Informer } from '#client/informer.ts'
import { hollowCluster, type Hollow } from './hollow.ts'

let cluster: Hollow, pods: Informer<Pod>, slices: Informer<EndpointSlice>, endpoints: Informer<Endpoints>
before(async () => {
  cluster = await hollowCluster({ ends: pod => pod.metadata.labels?.lingers === undefined })
  pods = cluster.informer(resources.pods); slices = cluster.informer(resources.endpointslices); endpoints = cluster.informer(resources.endpoints)
  await Promise.all([slices.synced, endpoints.synced])
})
after(() => cluster.stop())

const seed = Number(process.env.SEED ?? Date.now() % 1_000_000)
let state = seed
const random = (n: number): number => { state = (Math.imul(state, 1103515245) + 12345) >>> 0; return (state >>> 8) % n }

const pod = (name: string, labels: Record<string, string>, port = 80): Pod => ({ apiVersion: 'v1', kind: 'Pod', metadata: { name, namespace: 'default', labels },
  spec: { containers: [{ name: 'c', image: 'nginx', ports: [{ name: 'web', containerPort: port }] }] } })
const service = (name: string, spec: Partial<Service['spec']>): Service => ({ apiVersion: 'v1', kind: 'Service', metadata: { name, namespace: 'default' },
  spec: { selector: { app: name }, ports: [{ port: 80, targetPort: 'web' }], ...spec } })
const slicesOf = (name: string) => slices.list().filter(slice => slice.metadata.labels?.['kubernetes.io/service-name'] === name)
const isReady = (candidate: Pod) => candidate.status?.conditions?.some(c => c.type === 'Ready' && c.status === 'True') === true
const readyIn = (name: string) => slicesOf(name).flatMap(slice => slice.endpoints ?? []).filter(endpoint => endpoint.conditions?.ready).map(endpoint => endpoint.addresses[0]!).sort()
const readyPods = (name: string) => pods.list().filter(candidate => candidate.metadata.labels?.app === name && isReady(candidate) && !candidate.metadata.deletionTimestamp).map(candidate => candidate.status!.podIP!).sort()

test(`readiness flips, pods come and go in random order (SEED=${seed})`, async () => {
  await cluster.client.create(resources.services, 'default', service('flip', {}))
  let next = 0
  const add = () => cluster.client.create(resources.pods, 'default', pod(`flip-${next++}`, { app: 'flip' }, next % 3 === 0 ? 8080 : 80))
  for (let i = 0; i < 20; i++) await add()
  await cluster.until('all pods ready', () => readyPods('flip').length === 20)
  for (let i = 0; i < 150; i++) {
    const mine = pods.list().filter(candidate => candidate.metadata.labels?.app === 'flip' && !candidate.metadata.deletionTimestamp)
    const chosen = mine[random(mine.length)]!
    const what = random(6)
    if (what === 0) await add()
    else if (what === 1 && mine.length > 3) await cluster.client.delete(resources.pods, 'default', chosen.metadata.name)
    else if (chosen.spec.nodeName && chosen.status?.podIP) await cluster.setReady(chosen, !isReady(chosen))
    if (random(4) === 0) await new Promise(setImmediate)
  }
  await cluster.until('all pods started', () => pods.list().every(candidate => candidate.metadata.labels?.app !== 'flip' || candidate.status?.podIP !== undefined))
  await cluster.until('slices equal to a fresh computation', () => JSON.stringify(readyIn('flip')) === JSON.stringify(readyPods('flip')))
  assert.ok(slicesOf('flip').length <= 2, 'one slice for each of the two target ports')
  for (const slice of slicesOf('flip')) assert.deepEqual(slice.ports!.length, 1)
  const fromEndpoints = () => (endpoints.get('default/flip')?.subsets ?? []).flatMap(subset => subset.addresses ?? []).map(address => address.ip).sort()
  await cluster.until('Endpoints agree', () => JSON.stringify(fromEndpoints()) === JSON.stringify(readyPods('flip')))
})

test('a pod that turns ready is in the slice within milliseconds', async () => {
  const [chosen] = pods.list().filter(candidate => candidate.metadata.labels?.app === 'flip')
  await cluster.setReady(chosen!, false)
  await cluster.until('not ready', () => !readyIn('flip').includes(chosen!.status!.podIP!))
  const began = performance.now()
  await cluster.setReady(chosen!, true)
  await cluster.until('ready', () => readyIn('flip').includes(chosen!.status!.podIP!))
  const took = performance.now() - began
  assert.ok(took < 100, `${took} ms`)
})

test('a pod that ends is terminating and serving, then gone', async () => {
  await cluster.client.create(resources.services, 'default', service('end', {}))
  await cluster.client.create(resources.pods, 'default', pod('end-0', { app: 'end', lingers: '' }))
  await cluster.until('one endpoint', () => readyIn('end').length === 1)
  const { name } = slicesOf('end')[0]!.metadata
  await cluster.client.delete(resources.pods, 'default', 'end-0')
  const conditions = () => slicesOf('end')[0]?.endpoints?.[0]?.conditions
  await cluster.until('terminating', () => conditions()?.terminating === true)
  assert.deepEqual(conditions(), { ready: false, serving: true, terminating: true })
  assert.equal(endpoints.get('default/end')?.subsets, undefined)
  await cluster.client.delete(resources.pods, 'default', 'end-0', { gracePeriodSeconds: 0 })
  await cluster.until('an empty slice', () => slicesOf('end')[0]?.endpoints?.length === 0 || slicesOf('end')[0]?.endpoints === undefined)
  assert.deepEqual(slicesOf('end').map(slice => slice.metadata.name), [name], 'the slice stayed the same object')
})

test('a Service without a selector is left alone, and takes its Endpoints along when it goes', async () => {
  await cluster.client.create<Service>(resources.services, 'default', { ...service('bare', {}), spec: { ports: [{ port: 80 }] } })
  await cluster.client.create(resources.endpoints, 'default', { apiVersion: 'v1', kind: 'Endpoints', metadata: { name: 'bare', namespace: 'default' }, subsets: [{ addresses: [{ ip: '10.1.2.3' }], ports: [{ port: 9376 }] }] } as Endpoints)
  await cluster.until('shown', () => endpoints.get('default/bare') !== undefined)
  assert.equal(endpoints.get('default/bare')!.subsets![0]!.addresses![0]!.ip, '10.1.2.3')
  await cluster.client.delete(resources.services, 'default', 'bare')
  await cluster.until('gone', () => endpoints.get('default/bare') === undefined)
})

test('250 pods fill three slices, and Endpoints hold them all', async () => {
  await cluster.client.create(resources.services, 'default', service('many', {}))
  for (const node of ['k8s-node01', 'k8s-node02']) await cluster.client.patch(resources.nodes, undefined, node, { status: { allocatable: { cpu: '4', memory: '8Gi', pods: '500' } } }, { subresource: 'status' })
  await Promise.all(Array.from({ length: 250 }, (_, i) => cluster.client.create(resources.pods, 'default', pod(`many-${i}`, { app: 'many' }))))
  await cluster.until('250 endpoints', () => readyIn('many').length === 250)
  const sizes = slicesOf('many').map(slice => slice.endpoints!.length)
  assert.ok(sizes.every(size => size <= 100) && sizes.length <= 5, `${sizes}`)
})
