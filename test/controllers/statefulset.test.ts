// StatefulSets from end to end: order, names, rollouts, history, deletion, with the real controllers
// and scheduler on an API server in memory.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { ControllerRevision, StatefulSet } from '#api/apps/v1.ts'
import type { Event, Pod } from '#api/core/v1.ts'
import { resources } from '#api/resources.ts'
import type { Informer } from '#client/informer.ts'
import { StatusError } from '#lib/errors.ts'
import { hollowCluster, type Hollow } from './hollow.ts'

/** Names of pods that the hollow kubelets leave alone. */
const held = new Set<string>()
let cluster: Hollow, sets: Informer<StatefulSet>, pods: Informer<Pod>, revisions: Informer<ControllerRevision>, events: Informer<Event>
before(async () => {
  cluster = await hollowCluster({ starts: pod => pod.status?.phase !== 'Failed' && !held.has(pod.metadata.name), ends: pod => !held.has(pod.metadata.name) })
  sets = cluster.informer(resources.statefulsets); pods = cluster.informer(resources.pods); revisions = cluster.informer(resources.controllerrevisions); events = cluster.informer(resources.events)
  await Promise.all([sets.synced, revisions.synced, events.synced])
})
after(() => cluster.stop())

const statefulSet = (name: string, replicas: number, spec: Partial<StatefulSet['spec']> = {}): StatefulSet => ({
  apiVersion: 'apps/v1', kind: 'StatefulSet', metadata: { name, namespace: 'default' },
  spec: { replicas, serviceName: `${name}-svc`, selector: { matchLabels: { app: name } }, ...spec,
    template: { metadata: { name: '', labels: { app: name } }, spec: { containers: [{ name: 'c', image: 'nginx:1' }], terminationGracePeriodSeconds: 0 } } },
})
const create = (name: string, replicas: number, spec: Partial<StatefulSet['spec']> = {}) => cluster.client.create(resources.statefulsets, 'default', statefulSet(name, replicas, spec))
const podsOf = (name: string) => pods.list().filter(pod => pod.metadata.labels?.app === name).sort((a, b) => a.metadata.name < b.metadata.name ? -1 : 1)
const namesOf = (name: string) => podsOf(name).map(pod => pod.metadata.name).join(' ')
const images = (name: string) => podsOf(name).map(pod => pod.spec.containers[0]!.image).join(' ')
const get = (name: string) => sets.get(`default/${name}`)!
const isDone = (name: string) => {
  const { spec, status, metadata } = get(name) ?? { spec: {}, metadata: {} }
  return status?.observedGeneration === metadata.generation && [status?.replicas, status?.readyReplicas ?? 0, status?.updatedReplicas ?? 0, podsOf(name).length].every(count => count === spec.replicas) &&
    status?.currentRevision === status?.updateRevision
}
const change = (name: string, spec: object) => cluster.client.patch(resources.statefulsets, 'default', name, { spec })
const setImage = (name: string, image: string) => cluster.client.patch(resources.statefulsets, 'default', name, { spec: { template: { spec: { containers: [{ name: 'c', image }] } } } }, { type: 'strategic' })
const eventsOf = (name: string) => events.list().filter(event => event.involvedObject.name === name && event.involvedObject.kind === 'StatefulSet').map(event => `${event.reason}: ${event.message}`)
/** What happened to pods, in order: `+web-0 -web-2`. */
function recordOf(name: string): string[] {
  const seen: string[] = []
  pods.onChange(({ old, now }) => {
    if ((now ?? old)!.metadata.labels?.app !== name) return
    if (!old) seen.push(`+${now!.metadata.name}`)
    if (!now) seen.push(`-${old!.metadata.name}`)
  })
  return seen
}

test('pods come in order, each when the one before is ready, with names, hostnames and labels', async () => {
  held.add('web-1')
  const record = recordOf('web')
  await create('web', 3)
  await cluster.until('web-1 is there', () => namesOf('web') === 'web-0 web-1')
  await cluster.until('the status says one is ready', () => get('web').status?.readyReplicas === 1 && get('web').status?.replicas === 2)
  assert.equal(namesOf('web'), 'web-0 web-1', 'web-2 waits')
  held.delete('web-1')
  await cluster.setReady(podsOf('web')[1]!, true)
  await cluster.client.patch(resources.pods, 'default', 'web-1', { status: { phase: 'Running' } }, { type: 'strategic', subresource: 'status' })
  await cluster.until('web is done', () => isDone('web'))
  assert.deepEqual(record, ['+web-0', '+web-1', '+web-2'])
  const [, , last] = podsOf('web'), { metadata, spec } = last!
  const [revision] = revisions.list().filter(each => each.metadata.labels?.app === 'web')
  assert.match(revision!.metadata.name, /^web-[bcdfghjklmnpqrstvwxz2456789]{8,10}$/)
  assert.deepEqual(metadata.labels, { app: 'web', 'apps.kubernetes.io/pod-index': '2', 'controller-revision-hash': revision!.metadata.name, 'statefulset.kubernetes.io/pod-name': 'web-2' })
  assert.deepEqual([spec.hostname, spec.subdomain, spec.priority, spec.preemptionPolicy], ['web-2', 'web-svc', 0, 'PreemptLowerPriority'])
  const { conditions: _, ...status } = get('web').status!
  assert.deepEqual(status, { observedGeneration: 1, replicas: 3, readyReplicas: 3, availableReplicas: 3, currentReplicas: 3, updatedReplicas: 3, collisionCount: 0,
    currentRevision: revision!.metadata.name, updateRevision: revision!.metadata.name })
  await cluster.until('events', () => eventsOf('web').includes('SuccessfulCreate: create Pod web-2 in StatefulSet web successful'))
})

test('a pod that is deleted comes back under its name; one that fails too', async () => {
  const before = podsOf('web')[1]!
  await cluster.client.delete(resources.pods, 'default', 'web-1')
  await cluster.until('web-1 is new', () => isDone('web') && podsOf('web')[1]!.metadata.uid !== before.metadata.uid)
  const failed = podsOf('web')[0]!
  await cluster.client.patch(resources.pods, 'default', 'web-0', { status: { phase: 'Failed', conditions: [{ type: 'Ready', status: 'False' }] } }, { type: 'strategic', subresource: 'status' })
  await cluster.until('web-0 is new', () => isDone('web') && podsOf('web')[0]!.metadata.uid !== failed.metadata.uid)
})

test('labels that somebody removes come back', async () => {
  await cluster.client.patch(resources.pods, 'default', 'web-1', { metadata: { labels: { 'statefulset.kubernetes.io/pod-name': null } } })
  await cluster.until('it is back', () => podsOf('web')[1]!.metadata.labels?.['statefulset.kubernetes.io/pod-name'] === 'web-1')
})

test('scaling goes up in order and down from the highest', async () => {
  const record = recordOf('web')
  record.length = 0
  await change('web', { replicas: 5 })
  await cluster.until('five', () => isDone('web'))
  await change('web', { replicas: 1 })
  await cluster.until('one', () => isDone('web'))
  assert.deepEqual(record, ['+web-3', '+web-4', '-web-4', '-web-3', '-web-2', '-web-1'])
  await change('web', { replicas: 3 })
  await cluster.until('three', () => isDone('web'))
})

test('a rollout goes from the highest ordinal down, stops at the partition, and can be taken back', async () => {
  const record = recordOf('web')
  record.length = 0
  await change('web', { updateStrategy: { rollingUpdate: { partition: 2 } } })
  await setImage('web', 'nginx:2')
  await cluster.until('web-2 is new', () => images('web') === 'nginx:1 nginx:1 nginx:2' && get('web').status?.updatedReplicas === 1 && get('web').status?.readyReplicas === 3)
  assert.notEqual(get('web').status!.currentRevision, get('web').status!.updateRevision)
  assert.equal(get('web').status!.currentReplicas, 2)
  await cluster.client.delete(resources.pods, 'default', 'web-1')
  await cluster.until('web-1 comes back old', () => record.includes('+web-1') && images('web') === 'nginx:1 nginx:1 nginx:2' && get('web').status?.readyReplicas === 3)
  record.length = 0
  await change('web', { updateStrategy: { rollingUpdate: { partition: 0 } } })
  await cluster.until('all are new', () => isDone('web') && images('web') === 'nginx:2 nginx:2 nginx:2')
  assert.deepEqual(record, ['-web-1', '+web-1', '-web-0', '+web-0'])
  const numbers = () => revisions.list().filter(each => each.metadata.labels?.app === 'web').map(each => each.revision).sort()
  assert.deepEqual(numbers(), [1, 2])
  await setImage('web', 'nginx:1')
  await cluster.until('all are as they were', () => isDone('web') && images('web') === 'nginx:1 nginx:1 nginx:1')
  assert.deepEqual(numbers(), [2, 3], 'the first revision is the newest now')
})

test('history is cut at revisionHistoryLimit', async () => {
  await change('web', { revisionHistoryLimit: 1 })
  for (const image of ['nginx:3', 'nginx:4']) {
    await setImage('web', image)
    await cluster.until(`${image} everywhere`, () => isDone('web') && images('web') === `${image} ${image} ${image}`)
  }
  await cluster.until('two are left', () => revisions.list().filter(each => each.metadata.labels?.app === 'web').length === 2)
})

test('parallel: all at once, up and down', async () => {
  for (const name of ['par-0', 'par-1', 'par-2']) held.add(name)
  await create('par', 3, { podManagementPolicy: 'Parallel' })
  await cluster.until('all three, none ready', () => namesOf('par') === 'par-0 par-1 par-2')
  held.clear()
  await change('par', { replicas: 0 })
  await cluster.until('none', () => namesOf('par') === '')
})

test('OnDelete: a new template waits for people', async () => {
  await create('od', 2, { updateStrategy: { type: 'OnDelete' } })
  await cluster.until('two', () => get('od')?.status?.readyReplicas === 2)
  await setImage('od', 'nginx:2')
  await cluster.until('seen', () => get('od').status?.observedGeneration === 2)
  assert.equal(images('od'), 'nginx:1 nginx:1')
  await cluster.client.delete(resources.pods, 'default', 'od-0')
  await cluster.until('od-0 is new', () => images('od') === 'nginx:2 nginx:1')
})

test('ordinals from 5', async () => {
  await create('five', 2, { ordinals: { start: 5 } })
  await cluster.until('two', () => isDone('five'))
  assert.equal(namesOf('five'), 'five-5 five-6')
})

test('deleting it deletes its pods and its history; orphans are adopted by the next of its name', async () => {
  await cluster.client.delete(resources.statefulsets, 'default', 'five', { propagationPolicy: 'Orphan' })
  await cluster.until('they are nobody\'s', () => !get('five') && podsOf('five').length === 2 && podsOf('five').every(pod => !pod.metadata.ownerReferences?.length))
  const before = podsOf('five').map(pod => pod.metadata.uid)
  await create('five', 2, { ordinals: { start: 5 } })
  await cluster.until('adopted', () => isDone('five') && podsOf('five').every(pod => pod.metadata.ownerReferences?.[0]?.uid === get('five').metadata.uid))
  assert.deepEqual(podsOf('five').map(pod => pod.metadata.uid), before)
  for (const name of ['five', 'od', 'web']) await cluster.client.delete(resources.statefulsets, 'default', name)
  await cluster.until('nothing is left', () => ['five', 'od', 'web'].every(name => podsOf(name).length === 0) && revisions.list().every(each => each.metadata.ownerReferences?.[0]?.kind !== 'StatefulSet' || each.metadata.labels?.app === 'par'))
})

test('a revision whose name another has gets the next one', async () => {
  await create('twin', 1)
  await cluster.until('twin is done', () => isDone('twin'))
  const { metadata } = revisions.get(`default/${get('twin').status!.updateRevision}`)!
  await cluster.client.delete(resources.statefulsets, 'default', 'twin')
  await cluster.until('it is gone', () => !get('twin') && podsOf('twin').length === 0 && !revisions.get(`default/${metadata.name}`))
  await cluster.client.create<ControllerRevision>(resources.controllerrevisions, 'default', { metadata: { name: metadata.name }, data: { spec: {} }, revision: 1 })
  await create('twin', 1)
  await cluster.until('twin is done', () => isDone('twin'))
  assert.equal(get('twin').status!.collisionCount, 1)
  assert.notEqual(get('twin').status!.updateRevision, metadata.name)
  await cluster.client.delete(resources.statefulsets, 'default', 'twin')
})

const seed = Number(process.env.SEED ?? Date.now() % 1_000_000)
for (const policy of ['OrderedReady', 'Parallel']) test(`random changes come to rest as asked (${policy}, SEED=${seed})`, async () => {
  let state = seed
  const random = (n: number): number => { state = (Math.imul(state, 1103515245) + 12345) >>> 0; return (state >>> 8) % n }
  const name = policy.toLowerCase(), broken: string[] = []
  const isReady = (pod: Pod) => pod.status?.phase === 'Running' && pod.status.conditions?.some(c => c.type === 'Ready' && c.status === 'True') && !pod.metadata.deletionTimestamp
  pods.onChange(({ old, now }) => {
    if (old || now!.metadata.labels?.app !== name || policy === 'Parallel') return
    // In order, and only the controller deletes: all pods below one that is made are there.
    const ordinal = Number(now!.metadata.labels['apps.kubernetes.io/pod-index'])
    const missing = Array.from({ length: ordinal }, (_, i) => `${name}-${i}`).filter(each => !pods.get(`default/${each}`))
    if (missing.length > 0) broken.push(`${now!.metadata.name} before ${missing.join()}`)
  })
  await create(name, 3, { podManagementPolicy: policy })
  for (let i = 0; i < 60; i++) {
    const mine = podsOf(name), chosen = mine[random(Math.max(1, mine.length))], what = random(5)
    if (what === 0) await change(name, { replicas: 1 + random(5) })
    else if (what === 1) await setImage(name, `nginx:${random(4)}`)
    else if (what === 2 && chosen && policy === 'Parallel') await cluster.client.delete(resources.pods, 'default', chosen.metadata.name).catch(() => {})
    else if (what === 3 && chosen && isReady(chosen)) { await cluster.setReady(chosen, false).catch(() => {}); await cluster.setReady(chosen, true).catch(() => {}) }
    else for (let turn = random(20); turn > 0; turn--) await new Promise(setImmediate)
  }
  await cluster.until('at rest', () => isDone(name) && podsOf(name).every(isReady))
  const { spec } = get(name)
  assert.equal(namesOf(name), Array.from({ length: spec.replicas! }, (_, i) => `${name}-${i}`).join(' '))
  assert.ok(podsOf(name).every(pod => pod.spec.containers[0]!.image === spec.template.spec.containers[0]!.image))
  assert.deepEqual(broken, [])
  await cluster.client.delete(resources.statefulsets, 'default', name)
  await cluster.until('gone', () => podsOf(name).length === 0)
})

test('claims for volumes are refused by name', async () => {
  await assert.rejects(create('claims', 1, { volumeClaimTemplates: [{ metadata: { name: 'data' }, spec: {} }] }), (error: StatusError) => {
    assert.match(error.message, /^StatefulSet\.apps "claims" is invalid: spec\.volumeClaimTemplates: Forbidden: PersistentVolumeClaims are not served/)
    return true
  })
})

test('a pod of an unknown priority class is refused, and the set says so', async () => {
  const set = statefulSet('prio', 1)
  set.spec.template.spec.priorityClassName = 'y'
  await cluster.client.create(resources.statefulsets, 'default', set)
  await cluster.until('the event', () => eventsOf('prio').includes('FailedCreate: create Pod prio-0 in StatefulSet prio failed error: pods "prio-0" is forbidden: no PriorityClass with name y was found'))
  await cluster.client.delete(resources.statefulsets, 'default', 'prio')
})
