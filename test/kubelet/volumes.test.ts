// Volumes as a pod's containers would see them: real files in a temporary folder, changed while the
// pod runs by what happens in the API.
import assert from 'node:assert/strict'
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { ConfigMap, Pod } from '#api/core/v1.ts'
import { resources } from '#api/resources.ts'
import { fakeRuntime } from '#kubelet/runtime/fake.ts'
import { systemClock } from '#lib/clock.ts'
import { podOf, testNode, type TestNode } from './cluster.ts'

const isReady = (pod: Pod | undefined) => pod?.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') === true
const configMap = (name: string, data: Record<string, string>): ConfigMap => ({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace: 'default' }, data })
const newFake = () => fakeRuntime({ clock: systemClock, images: ['web:1'] })
const folderOf = (node: TestNode, pod: Pod, plugin: string, name: string) => join(node.dataDir, 'nodes/node1/pods', pod.metadata.uid!, 'volumes', plugin, name)

test('a config map volume follows its config map', async () => {
  const fake = newFake()
  await using node = await testNode(fake)
  await node.client.create(resources.configmaps, 'default', configMap('settings', { color: 'blue' }))
  await node.client.create(resources.pods, 'default', podOf('p', {
    containers: [{ name: 'c', image: 'web:1', volumeMounts: [{ name: 'v', mountPath: '/etc/settings' }, { name: 'work', mountPath: '/work' }] }],
    volumes: [{ name: 'v', configMap: { name: 'settings' } as never }, { name: 'work', emptyDir: {} }],
  }))
  const pod = (await node.until('p', isReady))!
  const mounts = fake.configOf(fake.listContainers()[0]!.id).mounts
  const folder = folderOf(node, pod, 'kubernetes.io~configmap', 'v')
  assert.deepEqual(mounts[0], { hostPath: folder, containerPath: '/etc/settings', readonly: true })
  assert.equal(mounts[1]!.readonly, false)
  const color = () => readFileSync(join(folder, 'color'), 'utf8')
  assert.equal(color(), 'blue')
  await node.client.patch(resources.configmaps, 'default', 'settings', { data: { color: 'green' } })
  await node.settled(() => color() === 'green', 2_000)
  await node.client.delete(resources.pods, 'default', 'p')
  await node.until('p', found => !found)
  await node.settled(() => !readdirSync(join(node.dataDir, 'nodes/node1/pods')).includes(pod.metadata.uid!))
})

test('a pod waits for a volume\'s config map, says so, and starts when it is there', async () => {
  await using node = await testNode(newFake())
  await node.client.create(resources.pods, 'default', podOf('waits', { containers: [{ name: 'c', image: 'web:1' }], volumes: [{ name: 'v', configMap: { name: 'later' } as never }] }))
  const waiting = await node.until('waits', pod => pod?.status?.containerStatuses?.[0]?.state?.waiting !== undefined)
  assert.equal(waiting!.status!.containerStatuses![0]!.state!.waiting!.reason, 'ContainerCreating')
  await systemClock.sleep(50)
  assert.ok((await node.eventsOf('waits')).includes('FailedMount: MountVolume.SetUp failed for volume "v" : configmap "later" not found'))
  await node.client.create(resources.configmaps, 'default', configMap('later', {}))
  await node.until('waits', isReady, 2_000)
})

test('a downward API volume follows the labels', async () => {
  await using node = await testNode(newFake())
  await node.client.create(resources.pods, 'default', podOf('labelled', { containers: [{ name: 'c', image: 'web:1' }], volumes: [{ name: 'v', downwardAPI: { items: [{ path: 'labels', fieldRef: { fieldPath: 'metadata.labels' } }] } }] }, { labels: { a: '1' } }))
  const pod = (await node.until('labelled', isReady))!
  const labels = () => readFileSync(join(folderOf(node, pod, 'kubernetes.io~downward-api', 'v'), 'labels'), 'utf8')
  assert.equal(labels(), 'a="1"')
  await node.client.patch(resources.pods, 'default', 'labelled', { metadata: { labels: { a: '2' } } })
  await node.settled(() => labels() === 'a="2"', 2_000)
})

test('the service account\'s token, certificate and namespace are there', async () => {
  await using node = await testNode(newFake())
  await node.client.create(resources.configmaps, 'default', configMap('kube-root-ca.crt', { 'ca.crt': 'PEM' }))
  await node.client.create(resources.pods, 'default', podOf('account', { automountServiceAccountToken: true, containers: [{ name: 'c', image: 'web:1' }] }))
  const pod = (await node.until('account', isReady))!
  const folder = folderOf(node, pod, 'kubernetes.io~projected', pod.spec.volumes![0]!.name)
  assert.equal(readFileSync(join(folder, 'namespace'), 'utf8'), 'default')
  assert.equal(readFileSync(join(folder, 'ca.crt'), 'utf8'), 'PEM')
  const claims = JSON.parse(Buffer.from(readFileSync(join(folder, 'token'), 'utf8').split('.')[1]!, 'base64url').toString())
  assert.equal(claims.sub, 'system:serviceaccount:default:default')
  assert.equal(claims['kubernetes.io'].pod.uid, pod.metadata.uid)
})
