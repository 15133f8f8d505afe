// Endpoints made by hand, and the slices that follow them, with the real controllers on an API server
// in memory: nothing rewrites what a person wrote.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Endpoints, EndpointSubset, Service } from '#api/core/v1.ts'
import type { EndpointSlice } from '#api/discovery/v1.ts'
import { resources } from '#api/resources.ts'
import type { Informer } from '#client/informer.ts'
import { hollowCluster, type Hollow } from './hollow.ts'

let cluster: Hollow, slices: Informer<EndpointSlice>, endpoints: Informer<Endpoints>
before(async () => {
  cluster = await hollowCluster()
  slices = cluster.informer(resources.endpointslices); endpoints = cluster.informer(resources.endpoints)
  await Promise.all([slices.synced, endpoints.synced])
  await cluster.client.create<Service>(resources.services, 'default', { apiVersion: 'v1', kind: 'Service', metadata: { name: 'hand' }, spec: { ports: [{ port: 80, targetPort: 9376 }] } })
})
after(() => cluster.stop())

const byHand = (subsets: EndpointSubset[], metadata: object = {}): Endpoints => ({ apiVersion: 'v1', kind: 'Endpoints', metadata: { name: 'hand', namespace: 'default', ...metadata }, subsets })
const one = (ip: string): EndpointSubset[] => [{ addresses: [{ ip }], ports: [{ port: 9376 }] }]
const slicesOf = (name: string) => slices.list().filter(slice => slice.metadata.labels?.['kubernetes.io/service-name'] === name)
const shown = () => slicesOf('hand').map(slice => `${slice.ports!.map(port => port.port).join()} ${slice.endpoints!.map(endpoint => endpoint.addresses[0]).join()}`).sort().join('; ')
const create = (object: Endpoints) => cluster.client.create(resources.endpoints, 'default', object)
const remove = () => cluster.client.delete(resources.endpoints, 'default', 'hand')
const quiet = () => new Promise(resolve => { setTimeout(resolve, 200) })

test('a slice follows the Endpoints; deleting and making them anew is respected, nothing rewrites them', async () => {
  await create(byHand(one('192.0.2.42')))
  await cluster.until('the mirror', () => shown() === '9376 192.0.2.42')
  const [{ metadata }] = slicesOf('hand') as [EndpointSlice]
  assert.match(metadata.name, /^hand-\w{5}$/)
  assert.equal(metadata.labels!['endpointslice.kubernetes.io/managed-by'], 'endpointslicemirroring-controller.k8s.io')
  const version = () => endpoints.get('default/hand')?.metadata.resourceVersion
  const before = version(), sliceBefore = metadata.resourceVersion
  await quiet()
  assert.deepEqual([version(), slicesOf('hand')[0]!.metadata.resourceVersion], [before, sliceBefore])
  await remove()
  await cluster.until('no mirror', () => shown() === '')
  await quiet()
  assert.equal(endpoints.get('default/hand'), undefined, 'nobody makes them again')
  await create(byHand(one('192.0.2.43')))
  await cluster.until('the new mirror', () => shown() === '9376 192.0.2.43')
  await remove()
  await create(byHand(one('192.0.2.44')))
  await cluster.until('at once', () => shown() === '9376 192.0.2.44' && slicesOf('hand')[0]!.metadata.ownerReferences![0]!.uid === endpoints.get('default/hand')!.metadata.uid)
})

test('changes follow: subsets, the skip label, a selector', async () => {
  const subsets: EndpointSubset[] = [...one('192.0.2.44'), { addresses: [{ ip: '192.0.2.45' }], ports: [{ port: 1000 }] }]
  await cluster.client.patch(resources.endpoints, 'default', 'hand', { subsets })
  await cluster.until('two slices', () => shown() === '1000 192.0.2.45; 9376 192.0.2.44')
  await cluster.client.patch(resources.endpoints, 'default', 'hand', { metadata: { labels: { 'endpointslice.kubernetes.io/skip-mirror': 'true' } } })
  await cluster.until('none', () => shown() === '')
  await cluster.client.patch(resources.endpoints, 'default', 'hand', { metadata: { labels: { 'endpointslice.kubernetes.io/skip-mirror': null } } })
  await cluster.until('two again', () => shown() === '1000 192.0.2.45; 9376 192.0.2.44')
  const [slice] = slicesOf('hand')
  await cluster.client.delete(resources.endpointslices, 'default', slice!.metadata.name)
  await cluster.until('one that somebody deleted is back', () => shown() === '1000 192.0.2.45; 9376 192.0.2.44' && slicesOf('hand').every(each => each.metadata.uid !== slice!.metadata.uid))
  await cluster.client.patch(resources.services, 'default', 'hand', { spec: { selector: { app: 'x' } } })
  await cluster.until('the selector\'s own slice only', () => slicesOf('hand').length === 1 && slicesOf('hand')[0]!.metadata.labels!['endpointslice.kubernetes.io/managed-by'] === 'endpointslice-controller.k8s.io')
})

test('with the Service goes all', async () => {
  await cluster.client.delete(resources.services, 'default', 'hand')
  await cluster.until('nothing is left', () => slicesOf('hand').length === 0 && endpoints.get('default/hand') === undefined)
})
