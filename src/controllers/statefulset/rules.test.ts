// What a StatefulSet does about its pods, as tables. A pod is its ordinal and its revision (o old,
// n new), then `?` not ready, `x` being deleted, `F` failed: `0n 1o?`. An answer is what is made (+) and deleted (-).
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { ControllerRevision, StatefulSet } from '#api/apps/v1.ts'
import type { Pod } from '#api/core/v1.ts'
import { missingLabels, ordinalOf, revisionOf, statefulPod, type Revision } from './identity.ts'
import { plan, type PlanInput } from './rules.ts'
import { sameStatus, status, unneeded } from './status.ts'

const now = Date.parse('2026-01-01T01:00:00Z')
const template = (image: string) => ({ metadata: { name: '', labels: { app: 'web' } }, spec: { containers: [{ name: 'c', image }] } })
const old: Revision = { name: 'web-old', template: template('i:1') }, update: Revision = { name: 'web-new', template: template('i:2') }

const set = (replicas: number, spec: Partial<StatefulSet['spec']> = {}): StatefulSet => ({ apiVersion: 'apps/v1', kind: 'StatefulSet', metadata: { name: 'web', namespace: 'ns', uid: 's', generation: 4 },
  spec: { replicas, selector: { matchLabels: { app: 'web' } }, serviceName: 'svc', template: update.template, ...spec } })
const pod = (word: string): Pod => {
  const [, ordinal, revision, flags] = /^(\d+)([on])([?xF]*)$/.exec(word)!, name = `web-${ordinal}`
  return { metadata: { name, namespace: 'ns', uid: `u${word}`, ...(flags!.includes('x') && { deletionTimestamp: 'x' }),
    labels: { app: 'web', 'controller-revision-hash': revision === 'o' ? old.name : update.name, 'statefulset.kubernetes.io/pod-name': name, 'apps.kubernetes.io/pod-index': ordinal! } },
    spec: { containers: [] }, status: { phase: flags!.includes('F') ? 'Failed' : 'Running', conditions: [{ type: 'Ready', status: flags!.includes('?') ? 'False' : 'True', lastTransitionTime: '2026-01-01T00:59:50Z' }] } }
}
const pods = (words: string) => words.split(' ').filter(word => word !== '').map(pod)
const input = (words: string, current = words.includes('o') ? old : update): PlanInput => ({ pods: pods(words), current, update, now })
const show = (subject: StatefulSet, given: PlanInput) => {
  const { create, remove } = plan(subject, given)
  return [...create.map(draft => `+${draft.metadata.name!.slice(4)}${draft.metadata.labels![ 'controller-revision-hash'] === old.name ? 'o' : 'n'}`), ...remove.map(gone => `-${gone.metadata.name.slice(4)}`)].join(' ')
}
const parallel = { podManagementPolicy: 'Parallel' }
const rolling = (rollingUpdate: object) => ({ updateStrategy: { type: 'RollingUpdate', rollingUpdate } })

const tables: Record<string, [what: string, subject: StatefulSet, pods: string, want: string][]> = {
  'in order': [
    ['the first alone', set(3), '', '+0n'],
    ['the second when the first is ready', set(3), '0n', '+1n'],
    ['not before', set(3), '0n?', ''],
    ['not before it is available', set(3, { minReadySeconds: 30 }), '0n', ''],
    ['all there', set(3), '0n 1n 2n', ''],
    ['a gap is closed', set(3), '0n 2n', '+1n'],
    ['one that is being deleted is waited for', set(3), '0n 1nx 2n', ''],
    ['one that failed is deleted', set(3), '0n 1nF', '-1'],
    ['one that failed and is being deleted is waited for', set(3), '0n 1nFx', ''],
    ['the highest goes first', set(1), '0n 1n 2n', '-2'],
    ['one at a time', set(1), '0n 1n 2nx', ''],
    ['none goes while one that stays is broken', set(1), '0n? 1n 2n', ''],
    ['a broken one lower down holds up the highest', set(0), '0n 1n? 2n', '-2'],
    ['two broken: the highest waits for the lower', set(0), '0n 1n? 2n?', ''],
    ['the broken highest goes', set(0), '0n 1n 2n?', '-2'],
    ['down to none', set(0), '0n', '-0'],
    ['from 3 on', set(2, { ordinals: { start: 3 } }), '', '+3n'],
    ['from 3 on: lower ones are too many, after the range is full', set(2, { ordinals: { start: 3 } }), '0n 3n 4n 5n', '-5'],
    ['nothing when it is deleted', { ...set(3), metadata: { ...set(3).metadata, deletionTimestamp: 'x' } }, '', ''],
  ],
  parallel: [
    ['all at once', set(3, parallel), '', '+0n +1n +2n'],
    ['whatever the others do', set(3, parallel), '0n? 2nx', '+1n'],
    ['all that are too many', set(1, parallel), '0n 1n 2n?', '-2 -1'],
    ['failed ones', set(3, parallel), '0nF 1n 2nF', '-0 -2'],
  ],
  'a rollout': [
    ['begins with the highest', set(3), '0o 1o 2o', '-2'],
    ['makes it anew', set(3), '0o 1o', '+2n'],
    ['waits for it', set(3), '0o 1o 2n?', ''],
    ['goes on', set(3), '0o 1o 2n', '-1'],
    ['ends', set(3), '0n 1n 2n', ''],
    ['one that died below it comes back new: the partition is 0', set(3, rolling({ partition: 0 })), '1o 2n', '+0n'],
    ['one that died below it comes back old when no partition was given', set(3), '1o 2n', '+0o'],
    ['stops at the partition', set(3, rolling({ partition: 2 })), '0o 1o 2n', ''],
    ['begins above the partition only', set(3, rolling({ partition: 3 })), '0o 1o 2o', ''],
    ['below the partition comes back old', set(3, rolling({ partition: 2 })), '0o 2n', '+1o'],
    ['a partition counts from the first ordinal', set(2, { ordinals: { start: 5 }, ...rolling({ partition: 1 }) }), '5o 6o', '-6'],
    ['two at once', set(4, rolling({ maxUnavailable: 2 })), '0o 1o 2o 3o', '-3 -2'],
    ['half, rounded down', set(3, rolling({ maxUnavailable: '50%' })), '0o 1o 2o', '-2'],
    ['OnDelete waits for people', set(3, { updateStrategy: { type: 'OnDelete' } }), '0o 1o 2o', ''],
    ['OnDelete makes what they deleted anew', set(3, { updateStrategy: { type: 'OnDelete' } }), '0o 2o', '+1n'],
    ['scaling comes first', set(2), '0o 1o 2o', '-2'],
    ['in order, a broken old one holds it up', set(3), '0o 1o? 2o', ''],
    ['parallel: a broken old one goes at once', set(3, parallel), '0o 1o? 2o', '-1'],
    ['parallel: as many as may be out', set(4, { ...parallel, ...rolling({ maxUnavailable: 2 }) }), '0o 1o 2o 3n?', '-2'],
    ['parallel: one at a time', set(3, parallel), '0o 1o 2o', '-2'],
  ],
}
for (const [title, table] of Object.entries(tables)) describe(title, () => {
  for (const [what, subject, words, want] of table) test(what, () => assert.equal(show(subject, input(words)), want))
})

test('a pod has its name as hostname, the service as subdomain, and the labels', () => {
  const { metadata, spec } = statefulPod(set(3), 2, update)
  assert.deepEqual(metadata.labels, { app: 'web', 'controller-revision-hash': 'web-new', 'statefulset.kubernetes.io/pod-name': 'web-2', 'apps.kubernetes.io/pod-index': '2' })
  assert.deepEqual([metadata.name, metadata.generateName, spec.hostname, spec.subdomain, spec.containers[0]!.image], ['web-2', undefined, 'web-2', 'svc', 'i:2'])
  assert.equal(metadata.ownerReferences![0]!.uid, 's')
})

test('whose name it is', () => {
  const cases: [name: string, ordinal: number | undefined][] = [['web-0', 0], ['web-12', 12], ['web-01', undefined], ['web', undefined], ['web-', undefined], ['web-x', undefined], ['web-a-1', undefined], ['other-1', undefined]]
  for (const [name, ordinal] of cases) assert.equal(ordinalOf(set(1), { metadata: { name }, spec: { containers: [] } }), ordinal, name)
})

test('labels that were taken away are put back', () => {
  const bare = pod('1n')
  delete bare.metadata.labels!['apps.kubernetes.io/pod-index']
  assert.deepEqual(missingLabels(set(2), bare), { 'statefulset.kubernetes.io/pod-name': 'web-1', 'apps.kubernetes.io/pod-index': '1' })
  assert.deepEqual(plan(set(2), { pods: [pod('0n'), bare], current: update, update, now }).relabel.map(each => each.pod.metadata.name), ['web-1'])
  assert.equal(missingLabels(set(2), pod('1n')), undefined)
})

test('random sets: in order, one step changes one pod, never below a broken one; repeated, it comes to rest as asked', () => {
  const seed = Number(process.env.SEED ?? Date.now() % 1e6)
  let state = seed
  const next = (below: number) => { state = (state * 1103515245 + 12345) & 0x7fffffff; return (state >> 8) % below }
  for (let round = 0; round < 100; round++) {
    const ordered = next(2) === 0, subject = set(next(5), { ...(!ordered && parallel), ordinals: { start: next(3) } })
    let live = Array.from({ length: next(7) }, (_, i) => pod(`${i}${next(2) ? 'o' : 'n'}`))
    for (let step = 0; ; step++) {
      assert.ok(step < 60, `SEED=${seed} round ${round} never rests: ${live.map(each => each.metadata.name).join()}`)
      const { create, remove } = plan(subject, { pods: live, current: old, update, now })
      if (create.length + remove.length === 0) break
      if (ordered) assert.ok(create.length + remove.length === 1, `SEED=${seed}`)
      live = live.filter(each => !remove.includes(each))
      for (const draft of create) live.push(pod(`${draft.metadata.name!.slice(4)}${draft.metadata.labels!['controller-revision-hash'] === old.name ? 'o' : 'n'}`))
    }
    const first = subject.spec.ordinals!.start!
    assert.deepEqual(live.map(each => ordinalOf(subject, each)!).sort(), Array.from({ length: subject.spec.replicas! }, (_, i) => first + i), `SEED=${seed}`)
    assert.ok(live.every(each => revisionOf(each) === update.name), `SEED=${seed}`)
  }
})

describe('status', () => {
  const cases: [what: string, subject: StatefulSet, pods: string, want: string][] = [
    ['in the middle of a rollout', set(3), '0o 1ox 2n?', '3 pods, 2 ready, 2 available, 1 current, 1 updated, web-old -> web-new'],
    ['it is over', set(3), '0n 1n 2n', '3 pods, 3 ready, 3 available, 3 current, 3 updated, web-new -> web-new'],
    ['not while one is not ready', set(2), '0n 1n?', '2 pods, 1 ready, 1 available, 0 current, 2 updated, web-old -> web-new'],
    ['not while there are too many', set(1), '0n 1n', '2 pods, 2 ready, 2 available, 0 current, 2 updated, web-old -> web-new'],
    ['OnDelete never ends', set(1, { updateStrategy: { type: 'OnDelete' } }), '0n', '1 pods, 1 ready, 1 available, 0 current, 1 updated, web-old -> web-new'],
    ['ready, not yet available', set(1, { minReadySeconds: 30 }), '0o', '1 pods, 1 ready, 0 available, 1 current, 0 updated, web-old -> web-new'],
    ['none', set(0), '', '0 pods, 0 ready, 0 available, 0 current, 0 updated, web-new -> web-new'],
  ]
  for (const [what, subject, words, want] of cases) test(what, () => {
    const made = status(subject, input(words, old))
    assert.equal(`${made.replicas} pods, ${made.readyReplicas} ready, ${made.availableReplicas} available, ${made.currentReplicas} current, ${made.updatedReplicas} updated, ${made.currentRevision} -> ${made.updateRevision}`, want)
    assert.ok(sameStatus(made, { ...made }) && !sameStatus({ ...made, currentRevision: 'x' }, made))
  })
})

test('old revisions go beyond the limit, those in use stay', () => {
  const revisions = ['a', 'b', 'old', 'c', 'new'].map((name, i): ControllerRevision => ({ metadata: { name: `web-${name}` }, revision: i }))
  const of = (limit: number) => unneeded(set(1, { revisionHistoryLimit: limit }), revisions, input('0o')).map(({ metadata }) => metadata.name)
  assert.deepEqual([of(10), of(1), of(0), of(-1)], [[], ['web-a', 'web-b'], ['web-a', 'web-b', 'web-c'], []])
})
