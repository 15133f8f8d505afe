// Steps of a rollout as tables: sets in a few words, and what one step does to them.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Deployment, ReplicaSet } from '#api/apps/v1.ts'
import type { Pod } from '#api/core/v1.ts'
import { safeEncode, templateHash, fnv32a } from './hash.ts'
import { plan, type Plan } from './plan.ts'
import { fenceposts } from './replicasets.ts'
import { conditionOf } from './status.ts'

const now = Date.parse('2026-01-01T01:00:00Z')
const template = (image: string) => ({ metadata: { name: '', labels: { app: 'web' } }, spec: { containers: [{ name: 'c', image }] } })
interface Spec { replicas?: number; surge?: number | string; unavailable?: number | string; image?: string; more?: Partial<Deployment['spec']>; status?: Deployment['status'] }
const deployment = ({ replicas = 10, surge = '25%', unavailable = '25%', image = 'new', more = {}, status = {} }: Spec = {}): Deployment => ({
  apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'web', namespace: 'ns', uid: 'd', generation: 1, annotations: {} }, status,
  spec: { replicas, selector: { matchLabels: { app: 'web' } }, template: template(image), progressDeadlineSeconds: 600, revisionHistoryLimit: 10,
    strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: surge, maxUnavailable: unavailable } }, ...more },
})
/** `old 8/5` is a set of image `old` with 8 wanted and 5 available. `desired` is what it was last scaled for. */
let age = 0
const set = (text: string, { desired = 10, max = 13, revision = 1 } = {}): ReplicaSet => {
  const [image, counts] = text.split(' ') as [string, string], [wanted, available] = counts.split('/').map(Number) as [number, number]
  return { apiVersion: 'apps/v1', kind: 'ReplicaSet', metadata: { name: `web-${image}`, namespace: 'ns', uid: image, generation: 1, creationTimestamp: `2026-01-01T00:00:${String(age++ % 60).padStart(2, '0')}Z`,
    annotations: { 'deployment.kubernetes.io/desired-replicas': String(desired), 'deployment.kubernetes.io/max-replicas': String(max), 'deployment.kubernetes.io/revision': String(revision) } },
  spec: { replicas: wanted, selector: {}, template: template(image) }, status: { replicas: wanted, readyReplicas: available, availableReplicas: available, observedGeneration: 1 } }
}
/** `old 8>6` for each set whose number changes. */
const shown = ({ change, create, remove }: Plan): string[] => [...(create ? [`create ${create.spec.replicas}`] : []),
  ...change.filter(({ set: changed, from }) => changed.spec.replicas !== from).map(({ set: changed, from }) => `${changed.metadata.name.slice(4)} ${from}>${changed.spec.replicas}`).sort(), ...remove.map(gone => `remove ${gone.metadata.name.slice(4)}`)]

const steps: [what: string, given: Deployment, sets: ReplicaSet[], want: string[]][] = [
  ['the first set has all', deployment(), [], ['create 10']],
  ['a new set gets what surge leaves', deployment(), [set('old 10/10')], ['create 3']],
  ['no surge: nothing yet', deployment({ surge: 0 }), [set('old 10/10')], ['create 0']],
  ['no surge: the old one gives first', deployment({ surge: 0 }), [set('old 10/10', { max: 10 }), set('new 0/0', { max: 10, revision: 2 })], ['old 10>8']],
  ['old goes as far as unavailable allows', deployment(), [set('old 10/10'), set('new 3/0', { revision: 2 })], ['old 10>8']],
  ['new grows into what old gave', deployment(), [set('old 8/8'), set('new 3/0', { revision: 2 })], ['new 3>5']],
  ['nothing while nothing becomes available', deployment(), [set('old 8/8'), set('new 5/0', { revision: 2 })], []],
  ['old pods that are not available go first', deployment(), [set('old 8/4'), set('new 5/4', { revision: 2 })], ['old 8>4']],
  ['an oversized new set shrinks', deployment(), [set('new 13/13')], ['new 13>10']],
  ['one set takes a new number at once', deployment({ replicas: 4 }), [set('new 10/10')], ['new 10>4']],
  ['in the middle of a rollout the number is shared in proportion', deployment({ replicas: 20 }), [set('old 8/8'), set('new 5/5', { revision: 2 })], ['new 5>10', 'old 8>15']],
  ['to zero', deployment({ replicas: 0 }), [set('old 8/8'), set('new 5/5', { revision: 2 })], ['new 5>0', 'old 8>0']],
  ['a saturated new set takes all from the old ones', deployment({ more: { paused: true } }), [set('old 2/2'), set('new 10/10', { revision: 2 })], ['old 2>0']],
  ['paused: no new set', deployment({ more: { paused: true } }), [set('old 10/10')], []],
  ['paused: scaled all the same', deployment({ replicas: 5, more: { paused: true } }), [set('old 10/10')], ['old 10>5']],
  ['undo grows the set that has the template', deployment({ image: 'old' }), [set('old 0/0'), set('mid 10/10', { revision: 2 })], ['old 0>3']],
  ['old sets beyond the limit go, oldest revision first', deployment({ more: { revisionHistoryLimit: 1 }, status: { replicas: 10, updatedReplicas: 10, availableReplicas: 10, observedGeneration: 1 } }),
    [set('a 0/0', { revision: 1 }), set('b 0/0', { revision: 2 }), set('c 0/0', { revision: 3 }), set('new 10/10', { revision: 4 })], ['remove a', 'remove b']],
]
for (const [what, given, sets, want] of steps) test(what, () => assert.deepEqual(shown(plan(given, { sets, pods: [], now })), want))

const pod = (owner: string, phase = 'Running'): Pod => ({ metadata: { name: 'p', ownerReferences: [{ apiVersion: 'apps/v1', kind: 'ReplicaSet', name: owner, uid: owner, controller: true }] }, spec: { containers: [] }, status: { phase } })
const recreate = { strategy: { type: 'Recreate' } }
const recreations: [what: string, sets: ReplicaSet[], pods: Pod[], want: string[]][] = [
  ['down first', [set('old 10/10')], [pod('old')], ['old 10>0']],
  ['waits for the old pods', [{ ...set('old 0/0') }], [pod('old')], []],
  ['finished pods are no pods', [set('old 0/0')], [pod('old', 'Succeeded')], ['create 10']],
  ['then all at once', [set('old 0/0'), set('new 0/0', { revision: 2 })], [pod('new')], ['new 0>10']],
]
for (const [what, sets, pods, want] of recreations) test(`Recreate: ${what}`, () => assert.deepEqual(shown(plan(deployment({ more: recreate }), { sets, pods, now })), want))

test('a rollout from any state ends, within its bounds at every step (random, seed printed)', t => {
  const seed = Number(process.env.SEED ?? Date.now() % 1_000_000)
  t.diagnostic(`SEED=${seed}`)
  let state = seed
  const random = (n: number) => { state = (Math.imul(state, 1103515245) + 12345) >>> 0; return (state >>> 8) % n }
  for (let round = 0; round < 200; round++) {
    const replicas = 1 + random(12), surge = random(4), unavailable = surge === 0 ? 1 + random(3) : random(4)
    const given = deployment({ replicas, surge, unavailable })
    let sets = [set(`old ${replicas}/${replicas}`, { desired: replicas, max: replicas + surge })]
    const { maxSurge, maxUnavailable } = fenceposts(given)
    for (let step = 0; ; step++) {
      assert.ok(step < 300, `SEED=${seed} round ${round}: does not end`)
      const next = plan(given, { sets, pods: [], now })
      if (next.create) sets = [...sets, { ...next.create, metadata: { ...next.create.metadata, uid: 'new' }, status: { replicas: 0 } }]
      sets = sets.map(each => next.change.find(({ set: changed }) => changed.metadata.uid === each.metadata.uid)?.set ?? each)
      // The replica set controller at work: pods come and become available one by one, and surplus ones go at once.
      sets = sets.map(each => { const wanted = each.spec.replicas ?? 0, had = each.status?.availableReplicas ?? 0, has = had > wanted ? wanted : had + (had < wanted ? random(2) : 0); return { ...each, status: { replicas: wanted, availableReplicas: has, readyReplicas: has } } })
      const total = sets.reduce((sum, each) => sum + (each.spec.replicas ?? 0), 0), available = sets.reduce((sum, each) => sum + (each.status?.availableReplicas ?? 0), 0)
      assert.ok(total <= replicas + maxSurge, `SEED=${seed}: ${total} pods`)
      assert.ok(available >= replicas - maxUnavailable, `SEED=${seed}: ${available} available`)
      if (sets.every(each => each.spec.replicas === (each.metadata.uid === 'new' ? replicas : 0)) && available === replicas && sets.length === 2) break
    }
  }
})

test('conditions tell progress, completion and its absence', () => {
  const reasons = (given: Deployment, sets: ReplicaSet[]) => { const { status } = plan(given, { sets, pods: [], now }); return [conditionOf(status, 'Progressing')?.reason, conditionOf(status, 'Available')?.status] }
  const progressing = (reason: string, at: number) => ({ conditions: [{ type: 'Progressing', status: 'True', reason, lastUpdateTime: new Date(at).toISOString(), lastTransitionTime: new Date(at).toISOString() }] })
  assert.deepEqual(reasons(deployment(), []), ['NewReplicaSetCreated', 'False'])
  assert.deepEqual(reasons(deployment(), [set('new 10/5')]), ['ReplicaSetUpdated', 'False'])
  assert.deepEqual(reasons(deployment(), [set('new 10/10')]), ['NewReplicaSetAvailable', 'True'])
  const stuck = { ...progressing('ReplicaSetUpdated', now - 601_000), replicas: 10, updatedReplicas: 10, readyReplicas: 5, availableReplicas: 5 }
  assert.deepEqual(reasons(deployment({ status: stuck }), [set('new 10/5')]), ['ProgressDeadlineExceeded', 'False'])
  assert.deepEqual(reasons(deployment({ status: { ...stuck, ...progressing('ReplicaSetUpdated', now - 599_000) } }), [set('new 10/5')]), ['ReplicaSetUpdated', 'False'])
  assert.deepEqual(reasons(deployment({ more: { paused: true } }), [set('new 10/10')]), ['DeploymentPaused', 'True'])
})

test('a new set carries the hash, the annotations and its owner', () => {
  const given = deployment({ replicas: 3 })
  given.metadata.annotations = { 'kubectl.kubernetes.io/last-applied-configuration': '{}', 'kubernetes.io/change-cause': 'because' }
  const { create } = plan(given, { sets: [set('old 3/3', { desired: 3, max: 4, revision: 7 })], pods: [], now })
  const hash = templateHash(given.spec.template)
  assert.equal(create!.metadata.name, `web-${hash}`)
  assert.deepEqual(create!.metadata.annotations, { 'kubernetes.io/change-cause': 'because', 'deployment.kubernetes.io/revision': '8',
    'deployment.kubernetes.io/desired-replicas': '3', 'deployment.kubernetes.io/max-replicas': '4' })
  assert.deepEqual([create!.spec.selector.matchLabels, create!.spec.template!.metadata!.labels], [{ app: 'web', 'pod-template-hash': hash }, { app: 'web', 'pod-template-hash': hash }])
  assert.deepEqual(create!.metadata.ownerReferences, [{ apiVersion: 'apps/v1', kind: 'Deployment', name: 'web', uid: 'd', controller: true, blockOwnerDeletion: true }])
})

test('hashes: FNV-1a, upstream\'s alphabet, another one after a collision, the same for another order of keys', () => {
  assert.equal(fnv32a(''), 0x811c9dc5)
  assert.equal(fnv32a('foobar'), 0xbf9cf968)
  assert.equal(safeEncode('0123456789'), '456789bcdf')
  const template = deployment().spec.template
  assert.notEqual(templateHash(template), templateHash(template, 1))
  assert.equal(templateHash(template), templateHash({ spec: { containers: [{ image: 'new', name: 'c' }] }, metadata: { labels: { app: 'web' }, name: '' } }))
})
