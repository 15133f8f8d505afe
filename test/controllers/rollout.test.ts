// Deployments from end to end: create, scale, roll out, undo, pause, with the real controllers and
// scheduler on an API server in memory.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Deployment, ReplicaSet } from '#api/apps/v1.ts'
import type { Event, Pod } from '#api/core/v1.ts'
import { resources } from '#api/resources.ts'
import type { Informer } from '#client/informer.ts'
import { hollowCluster, type Hollow } from './hollow.ts'

let cluster: Hollow, deployments: Informer<Deployment>, sets: Informer<ReplicaSet>, pods: Informer<Pod>, events: Informer<Event>
before(async () => {
  cluster = await hollowCluster()
  deployments = cluster.informer(resources.deployments); sets = cluster.informer(resources.replicasets); pods = cluster.informer(resources.pods); events = cluster.informer(resources.events)
  await Promise.all([deployments.synced, sets.synced])
})
after(() => cluster.stop())

const deployment = (name: string, replicas: number, spec: Partial<Deployment['spec']> = {}): Deployment => ({
  apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name, namespace: 'default' },
  spec: { replicas, selector: { matchLabels: { app: name } }, ...spec,
    template: { metadata: { name: '', labels: { app: name } }, spec: { containers: [{ name: 'c', image: 'nginx:1' }] } } },
})
const podsOf = (name: string) => pods.list().filter(pod => pod.metadata.labels?.app === name && !pod.metadata.deletionTimestamp)
const setsOf = (name: string) => sets.list().filter(set => set.metadata.labels?.app === name)
const get = (name: string) => deployments.get(`default/${name}`)!
const isDone = (name: string) => {
  const { spec, status, metadata } = get(name) ?? { spec: {}, metadata: {} }
  return status?.observedGeneration === metadata.generation && (status?.updatedReplicas ?? 0) === spec.replicas &&
    (status?.replicas ?? 0) === spec.replicas && (status?.availableReplicas ?? 0) === spec.replicas && podsOf(name).length === spec.replicas
}
const change = (name: string, spec: object) => cluster.client.patch(resources.deployments, 'default', name, { spec })
const setImage = (name: string, image: string) => cluster.client.patch(resources.deployments, 'default', name,
  { spec: { template: { spec: { containers: [{ name: 'c', image }] } } } }, { type: 'strategic' })

test('three replicas run on both nodes, and the status says so', async () => {
  await cluster.client.create(resources.deployments, 'default', deployment('web', 3))
  await cluster.until('web is done', () => isDone('web'))
  assert.equal(new Set(podsOf('web').map(pod => pod.spec.nodeName)).size, 2)
  const [set] = setsOf('web')
  assert.match(set!.metadata.name, /^web-[bcdfghjklmnpqrstvwxz2456789]{8,10}$/)
  assert.equal(set!.spec.selector.matchLabels!['pod-template-hash'], set!.metadata.name.slice('web-'.length))
  assert.equal(get('web').metadata.annotations?.['deployment.kubernetes.io/revision'], '1')
  assert.deepEqual(get('web').status!.conditions!.map(({ type, status, reason }) => `${type} ${status} ${reason}`).sort(),
    ['Available True MinimumReplicasAvailable', 'Progressing True NewReplicaSetAvailable'])
})

test('scaling 3 -> 10 -> 1 -> 0 and back', async () => {
  for (const replicas of [10, 1, 0, 3]) {
    await change('web', { replicas })
    await cluster.until(`${replicas} replicas`, () => isDone('web'))
  }
  const name = setsOf('web')[0]!.metadata.name
  for (const message of [`Scaled up replica set ${name} from 0 to 3`, `Scaled up replica set ${name} from 3 to 10`, `Scaled down replica set ${name} from 10 to 1`]) {
    await cluster.until(message, () => events.list().some(event => event.message === message && event.reason === 'ScalingReplicaSet'))
  }
})

test('a rollout never has fewer or more pods than allowed, and undo returns to the first set', async () => {
  const before = setsOf('web')[0]!.metadata.name
  let least = Infinity, most = 0
  pods.onChange(() => {
    const mine = podsOf('web')
    most = Math.max(most, mine.length)
    least = Math.min(least, mine.filter(pod => pod.status?.conditions?.some(c => c.type === 'Ready' && c.status === 'True')).length)
  })
  await setImage('web', 'nginx:2')
  await cluster.until('the new image everywhere', () => isDone('web') && podsOf('web').every(pod => pod.spec.containers[0]!.image === 'nginx:2'))
  assert.ok(most <= 4, `${most} pods at once: maxSurge is 25 % of 3, rounded up`)
  assert.ok(least >= 3, `${least} ready pods: maxUnavailable is 25 % of 3, rounded down`)
  assert.equal(setsOf('web').length, 2)
  await setImage('web', 'nginx:1')
  await cluster.until('the old image everywhere', () => isDone('web') && podsOf('web').every(pod => pod.spec.containers[0]!.image === 'nginx:1'))
  const first = sets.get(`default/${before}`)!
  assert.equal(first.metadata.annotations?.['deployment.kubernetes.io/revision'], '3')
  assert.equal(first.metadata.annotations?.['deployment.kubernetes.io/revision-history'], '1')
  assert.equal(get('web').metadata.annotations?.['deployment.kubernetes.io/revision'], '3')
})

test('a deleted pod is replaced', async () => {
  const [pod] = podsOf('web')
  await cluster.client.delete(resources.pods, 'default', pod!.metadata.name)
  await cluster.until('three others', () => podsOf('web').length === 3 && isDone('web') && !podsOf('web').some(other => other.metadata.uid === pod!.metadata.uid))
})

test('Recreate starts nothing new before all old pods have ended', async () => {
  await cluster.client.create(resources.deployments, 'default', deployment('rec', 2, { strategy: { type: 'Recreate' } }))
  await cluster.until('rec is done', () => isDone('rec'))
  let mixed = false
  pods.onChange(() => { mixed ||= new Set(pods.list().filter(pod => pod.metadata.labels?.app === 'rec').map(pod => pod.spec.containers[0]!.image)).size > 1 })
  await setImage('rec', 'nginx:2')
  await cluster.until('rec is done again', () => isDone('rec') && podsOf('rec').every(pod => pod.spec.containers[0]!.image === 'nginx:2'))
  assert.equal(mixed, false)
})

test('a paused deployment scales but does not roll out', async () => {
  await change('web', { paused: true })
  await setImage('web', 'nginx:3')
  await change('web', { replicas: 5 })
  await cluster.until('five pods and the pause shown', () => podsOf('web').length === 5 && get('web').status?.conditions?.some(c => c.reason === 'DeploymentPaused') === true)
  assert.ok(podsOf('web').every(pod => pod.spec.containers[0]!.image === 'nginx:1'))
  await change('web', { paused: null })
  await cluster.until('the third image everywhere', () => isDone('web') && podsOf('web').every(pod => pod.spec.containers[0]!.image === 'nginx:3'))
})

test('old sets beyond revisionHistoryLimit go', async () => {
  await change('web', { revisionHistoryLimit: 1 })
  await cluster.until('two sets', () => setsOf('web').length === 2)
})

test('a pod that loses the label is let go and replaced; one that gets it back is adopted', async () => {
  const [pod] = podsOf('web')
  const hash = pod!.metadata.labels!['pod-template-hash']
  await cluster.client.patch(resources.pods, 'default', pod!.metadata.name, { metadata: { labels: { 'pod-template-hash': null } } })
  await cluster.until('let go and replaced', () => !pods.get(`default/${pod!.metadata.name}`)?.metadata.ownerReferences?.length && podsOf('web').length === 6)
  await cluster.client.patch(resources.pods, 'default', pod!.metadata.name, { metadata: { labels: { 'pod-template-hash': hash } } })
  await cluster.until('adopted, and one too many ended', () => podsOf('web').length === 5 && podsOf('web').every(other => other.metadata.ownerReferences?.length === 1))
})

test('deleting a deployment in the foreground takes sets and pods first', async () => {
  await cluster.client.delete(resources.deployments, 'default', 'web', { propagationPolicy: 'Foreground' })
  await cluster.until('all gone', () => !get('web') && setsOf('web').length === 0 && podsOf('web').length === 0)
})

test('deleting with orphans leaves sets and pods without an owner', async () => {
  await cluster.client.delete(resources.deployments, 'default', 'rec', { propagationPolicy: 'Orphan' })
  await cluster.until('only the deployment gone', () => !get('rec') && setsOf('rec').every(set => !set.metadata.ownerReferences?.length))
  assert.equal(podsOf('rec').length, 2)
})
