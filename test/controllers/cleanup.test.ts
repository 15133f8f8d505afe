// What belongs to something that goes: namespaces with all they hold, dependents, accounts and CAs
// that every namespace has.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { DaemonSet } from '#api/apps/v1.ts'
import type { ConfigMap, Namespace, Node, Pod, ServiceAccount } from '#api/core/v1.ts'
import type { KubeObject } from '#api/object.ts'
import { resources } from '#api/resources.ts'
import type { Informer } from '#client/informer.ts'
import { hollowCluster, names, type Hollow } from './hollow.ts'

let cluster: Hollow, namespaces: Informer<Namespace>, pods: Informer<Pod>, maps: Informer<ConfigMap>, accounts: Informer<ServiceAccount>, nodes: Informer<Node>, daemons: Informer<DaemonSet>
before(async () => {
  cluster = await hollowCluster({ ends: pod => pod.metadata.labels?.lingers === undefined })
  namespaces = cluster.informer(resources.namespaces); pods = cluster.informer(resources.pods); maps = cluster.informer(resources.configmaps)
  accounts = cluster.informer(resources.serviceaccounts); nodes = cluster.informer(resources.nodes); daemons = cluster.informer(resources.daemonsets)
  await Promise.all([namespaces, pods, maps, accounts, nodes, daemons].map(informer => informer.synced))
})
after(() => cluster.stop())

const create = <T extends KubeObject>(resource: Parameters<typeof cluster.client.create>[0], namespace: string | undefined, object: T) => cluster.client.create<T>(resource, namespace, object)
const namespace = (name: string): Namespace => ({ apiVersion: 'v1', kind: 'Namespace', metadata: { name }, spec: {} })
const pod = (name: string, labels: Record<string, string> = {}): Pod => ({ apiVersion: 'v1', kind: 'Pod', metadata: { name, namespace: 'dev', labels }, spec: { containers: [{ name: 'c', image: 'nginx' }] } })
const map = (name: string, owner?: KubeObject, namespace = 'default'): ConfigMap => ({ apiVersion: 'v1', kind: 'ConfigMap',
  metadata: { name, namespace, ...(owner && { ownerReferences: [{ apiVersion: 'v1', kind: 'ConfigMap', name: owner.metadata.name, uid: owner.metadata.uid!, blockOwnerDeletion: true }] }) } })

test('a new namespace gets its account and the root CA, and gets them back', async () => {
  await create(resources.namespaces, undefined, namespace('dev'))
  await cluster.until('both', () => accounts.get('dev/default') !== undefined && maps.get('dev/kube-root-ca.crt')?.data?.['ca.crt'] === 'PEM')
  await cluster.client.delete(resources.configmaps, 'dev', 'kube-root-ca.crt')
  await cluster.client.delete(resources.serviceaccounts, 'dev', 'default')
  await cluster.until('both again', () => accounts.get('dev/default') !== undefined && maps.get('dev/kube-root-ca.crt') !== undefined)
})

test('a namespace that goes takes everything along, and says what it waits for', async () => {
  await create(resources.configmaps, 'dev', map('held', undefined, 'dev'))
  await cluster.client.patch(resources.configmaps, 'dev', 'held', { metadata: { finalizers: ['example.com/hold'] } })
  await create(resources.pods, 'dev', pod('slow', { lingers: '' }))
  await cluster.until('the pod runs', () => pods.get('dev/slow')?.status?.phase === 'Running')
  await cluster.client.delete(resources.namespaces, undefined, 'dev')
  const says = (type: string) => namespaces.get('dev')?.status?.conditions?.find(condition => condition.type === type)
  await cluster.until('it says what remains', () => says('NamespaceContentRemaining')?.status === 'True')
  assert.equal(says('NamespaceContentRemaining')!.message, 'Some resources are remaining: configmaps. has 1 resource instances, pods. has 1 resource instances')
  assert.equal(says('NamespaceFinalizersRemaining')!.message, 'Some content in the namespace has finalizers remaining: example.com/hold in 1 resource instances')
  await cluster.client.patch(resources.configmaps, 'dev', 'held', { metadata: { finalizers: null } })
  await cluster.client.delete(resources.pods, 'dev', 'slow', { gracePeriodSeconds: 0 })
  await cluster.until('gone', () => namespaces.get('dev') === undefined)
  assert.equal(maps.list().filter(object => object.metadata.namespace === 'dev').length, 0)
})

test('dependents go with their owner; an owner that never was is no owner', async () => {
  const owner = await create(resources.configmaps, 'default', map('owner'))
  await create(resources.configmaps, 'default', map('child', owner))
  await create(resources.configmaps, 'default', map('stray', { ...owner, metadata: { ...owner.metadata, uid: '00000000-0000-0000-0000-000000000000' } }))
  await cluster.until('the stray gone', () => maps.get('default/child') !== undefined && maps.get('default/stray') === undefined)
  await cluster.client.delete(resources.configmaps, 'default', 'owner', { propagationPolicy: 'Background' })
  await cluster.until('both gone', () => maps.get('default/owner') === undefined && maps.get('default/child') === undefined)
})

test('an object with two owners goes with the last', async () => {
  const [a, b] = [await create(resources.configmaps, 'default', map('a')), await create(resources.configmaps, 'default', map('b'))]
  const shared = map('shared', a)
  shared.metadata.ownerReferences!.push({ ...shared.metadata.ownerReferences![0]!, name: 'b', uid: b.metadata.uid! })
  await create(resources.configmaps, 'default', shared)
  await cluster.client.delete(resources.configmaps, 'default', 'a', { propagationPolicy: 'Background' })
  await cluster.until('one owner left', () => maps.get('default/shared')?.metadata.ownerReferences?.length === 1)
  await cluster.client.delete(resources.configmaps, 'default', 'b', { propagationPolicy: 'Background' })
  await cluster.until('gone', () => maps.get('default/shared') === undefined)
})

test('foreground: the owner waits for what blocks it, through every level', async () => {
  const top = await create(resources.configmaps, 'default', map('top'))
  const middle = await create(resources.configmaps, 'default', map('middle', top))
  await create(resources.configmaps, 'default', map('bottom', middle))
  await cluster.client.patch(resources.configmaps, 'default', 'bottom', { metadata: { finalizers: ['example.com/hold'] } })
  await cluster.client.delete(resources.configmaps, 'default', 'top', { propagationPolicy: 'Foreground' })
  await cluster.until('bottom deleting', () => maps.get('default/bottom')?.metadata.deletionTimestamp !== undefined)
  assert.deepEqual(names(maps.list().filter(object => ['top', 'middle', 'bottom'].includes(object.metadata.name))), ['default/bottom', 'default/middle', 'default/top'])
  await cluster.client.patch(resources.configmaps, 'default', 'bottom', { metadata: { finalizers: null } })
  await cluster.until('all gone', () => ['top', 'middle', 'bottom'].every(name => maps.get(`default/${name}`) === undefined))
})

test('a daemon runs on every node that fits, also on one that comes later', async () => {
  const set: DaemonSet = { apiVersion: 'apps/v1', kind: 'DaemonSet', metadata: { name: 'agent', namespace: 'default' },
    spec: { selector: { matchLabels: { app: 'agent' } }, template: { metadata: { name: '', labels: { app: 'agent' } }, spec: { containers: [{ name: 'c', image: 'agent:1' }] } } } }
  await create(resources.daemonsets, 'default', set)
  const mine = () => pods.list().filter(candidate => candidate.metadata.labels?.app === 'agent' && !candidate.metadata.deletionTimestamp)
  await cluster.until('two', () => daemons.get('default/agent')?.status?.numberAvailable === 2)
  const joined = structuredClone(nodes.get('k8s-node01')!)
  await create(resources.nodes, undefined, { ...joined, metadata: { ...joined.metadata, name: 'k8s-node03', uid: undefined, resourceVersion: undefined } as Node['metadata'], spec: {} })
  await cluster.until('three', () => daemons.get('default/agent')?.status?.numberAvailable === 3)
  assert.deepEqual(mine().map(candidate => candidate.spec.nodeName).sort(), ['k8s-node01', 'k8s-node02', 'k8s-node03'])
  await cluster.client.patch(resources.daemonsets, 'default', 'agent', { spec: { template: { spec: { containers: [{ name: 'c', image: 'agent:2' }] } } } }, { type: 'strategic' })
  await cluster.until('all new', () => mine().length === 3 && mine().every(candidate => candidate.spec.containers[0]!.image === 'agent:2') && daemons.get('default/agent')?.status?.updatedNumberScheduled === 3)
})

test('nodes have pod ranges of their own', () => {
  const ranges = nodes.list().map(node => node.spec.podCIDR)
  assert.deepEqual(ranges.sort(), ['10.244.0.0/24', '10.244.1.0/24', '10.244.2.0/24'])
})
