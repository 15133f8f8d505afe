// What a DaemonSet does about its nodes and pods, as tables.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { DaemonSet } from '#api/apps/v1.ts'
import type { Node, Pod } from '#api/core/v1.ts'
import { daemonPod, fit } from './nodes.ts'
import { plan } from './plan.ts'
import { history } from './revisions.ts'
import { status } from './status.ts'

const set = (spec: Partial<DaemonSet['spec']> = {}, pod: Partial<Pod['spec']> = {}): DaemonSet => ({ apiVersion: 'apps/v1', kind: 'DaemonSet', metadata: { name: 'agent', namespace: 'ns', uid: 'd', generation: 3 },
  spec: { selector: { matchLabels: { app: 'agent' } }, template: { metadata: { name: '', labels: { app: 'agent' } }, spec: { containers: [{ name: 'c', image: 'i' }], ...pod } }, ...spec } })
const node = (name: string, spec: Node['spec'] = {}, labels: Record<string, string> = {}): Node => ({ metadata: { name, labels }, spec })
let counter = 0
const pod = (nodeName: string, { hash = 'new', ready = true, phase = 'Running', leaving = false } = {}): Pod => ({ metadata: { name: `${nodeName}-${hash}-${counter++}`, namespace: 'ns', uid: `u${counter}`, creationTimestamp: `2026-01-01T00:00:${String(counter % 60).padStart(2, '0')}Z`,
  labels: { 'controller-revision-hash': hash }, ...(leaving && { deletionTimestamp: 'x' }) }, spec: { nodeName, containers: [] },
  status: { phase, conditions: [{ type: 'Ready', status: ready ? 'True' : 'False', lastTransitionTime: '2026-01-01T00:00:00Z' }] } })
const nodes = [node('a'), node('b'), node('c')]
const show = (subject: DaemonSet, pods: Pod[], over: Node[] = nodes) => {
  const { create, remove } = plan(subject, { nodes: over, pods, hash: 'new', now: Date.parse('2026-01-01T01:00:00Z') })
  return [...create.map(name => `+${name}`), ...remove.map(gone => `-${gone.metadata.name.split('-').slice(0, 2).join('-')}`).sort()].join(' ')
}
const rolling = (maxUnavailable: number | string, maxSurge: number | string = 0) => set({ updateStrategy: { type: 'RollingUpdate', rollingUpdate: { maxUnavailable, maxSurge } } })
const old = { hash: 'old' }, all = (words: Parameters<typeof pod>[1]) => nodes.map(each => pod(each.metadata.name, words))

const table: [what: string, subject: DaemonSet, pods: Pod[], want: string][] = [
  ['one for each node', set(), [], '+a +b +c'],
  ['all there', set(), all({}), ''],
  ['one is missing', set(), all({}).slice(1), '+a'],
  ['one too many: the oldest stays', set(), [...all({}), pod('a')], '-a-new'],
  ['a failed one is replaced', set(), [pod('a', { phase: 'Failed' }), ...all({}).slice(1)], '-a-new'],
  ['one that leaves is waited for', set(), [pod('a', { leaving: true }), ...all({}).slice(1)], ''],
  ['an update takes one at a time', rolling(1), all(old), '-a-old'],
  ['not while another is out', rolling(1), [pod('a', { ready: false }), ...all(old).slice(1)], ''],
  ['old ones that are down go at once', rolling(1), [pod('a', { ...old, ready: false }), ...all(old).slice(1)], '-a-old'],
  ['half, rounded up', rolling('50%'), all(old), '-a-old -b-old'],
  ['OnDelete waits for people', set({ updateStrategy: { type: 'OnDelete' } }), all(old), ''],
  ['surge starts beside the old one', rolling(0, 1), all(old), '+a'],
  ['surge: the old one goes when the new one is available', rolling(0, 1), [...all(old), pod('a')], '-a-old +b'],
  ['surge: the old one waits', rolling(0, 1), [...all(old), pod('a', { ready: false })], ''],
]
for (const [what, subject, pods, want] of table) test(what, () => assert.deepEqual(show(subject, pods).split(' ').sort(), want.split(' ').sort()))

const fits: [what: string, subject: DaemonSet, on: Node, want: string][] = [
  ['a plain node', set(), node('a'), 'run stay'],
  ['another selector', set({}, { nodeSelector: { disk: 'ssd' } }), node('a'), 'no go'],
  ['a taint', set(), node('a', { taints: [{ key: 'k', effect: 'NoSchedule' }] }), 'no stay'],
  ['a taint that evicts', set(), node('a', { taints: [{ key: 'k', effect: 'NoExecute' }] }), 'no go'],
  ['tolerated', set({}, { tolerations: [{ operator: 'Exists' }] }), node('a', { taints: [{ key: 'k', effect: 'NoExecute' }] }), 'run stay'],
  ['a node in trouble', set(), node('a', { unschedulable: true, taints: ['not-ready', 'unreachable'].map(key => ({ key: `node.kubernetes.io/${key}`, effect: 'NoExecute' })) }), 'run stay'],
  ['no network, own network', set(), node('a', { taints: [{ key: 'node.kubernetes.io/network-unavailable', effect: 'NoSchedule' }] }), 'no stay'],
  ['no network, the host\'s', set({}, { hostNetwork: true }), node('a', { taints: [{ key: 'node.kubernetes.io/network-unavailable', effect: 'NoSchedule' }] }), 'run stay'],
]
for (const [what, subject, on, want] of fits) test(`fit: ${what}`, () => {
  const { shouldRun, shouldContinue } = fit(subject, on)
  assert.equal(`${shouldRun ? 'run' : 'no'} ${shouldContinue ? 'stay' : 'go'}`, want)
})

test('a daemon pod is pinned to its node and tolerates trouble', () => {
  const made = daemonPod(set(), 'a', 'h')
  assert.deepEqual(made.spec.affinity!.nodeAffinity!.requiredDuringSchedulingIgnoredDuringExecution!.nodeSelectorTerms, [{ matchFields: [{ key: 'metadata.name', operator: 'In', values: ['a'] }] }])
  assert.equal(made.spec.tolerations!.length, 6)
  assert.deepEqual(made.metadata.labels, { app: 'agent', 'controller-revision-hash': 'h' })
})

test('status counts what is desired, there, ready, new and out of place', () => {
  const tainted = node('d', { taints: [{ key: 'k', effect: 'NoSchedule' }] })
  assert.deepEqual(status(set(), { nodes: [...nodes, tainted], pods: [pod('a'), pod('b', { ready: false, hash: 'old' }), pod('d')], hash: 'new', now: Date.parse('2026-01-01T01:00:00Z') }),
    { desiredNumberScheduled: 3, currentNumberScheduled: 2, numberMisscheduled: 1, numberReady: 1, numberAvailable: 1, numberUnavailable: 2, updatedNumberScheduled: 1, observedGeneration: 3 })
})

test('history: a revision for each template, renumbered on return, cut at the limit but not under living pods', () => {
  const first = history(set(), [], new Set())
  assert.deepEqual([first.act, first.current.revision], ['create', 1])
  const second = history(set({}, { hostNetwork: true }), [first.current], new Set())
  assert.deepEqual([second.act, second.current.revision], ['create', 2])
  assert.notEqual(second.current.metadata.name, first.current.metadata.name)
  const back = history(set(), [first.current, second.current], new Set())
  assert.deepEqual([back.act, back.current.revision, back.current.metadata.name], ['update', 3, first.current.metadata.name])
  const { remove } = history(set({ revisionHistoryLimit: 0 }), [first.current, second.current], new Set([second.current.metadata.labels!['controller-revision-hash']!]))
  assert.deepEqual(remove, [])
  assert.equal(history(set({ revisionHistoryLimit: 0 }), [first.current, second.current], new Set()).remove.length, 1)
})
