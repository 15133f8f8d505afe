// Signs of life, taints, evictions and pod ranges, as tables.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Node, Pod, Taint, Toleration } from '#api/core/v1.ts'
import { parseCidr } from '#net/ip.ts'
import { freeCidr } from './cidrs.ts'
import { lostConditions } from './health.ts'
import { taints, untilEviction } from './taints.ts'

const now = Date.parse('2026-01-01T00:10:00Z')
const node = (conditions: Record<string, string>, spec: Node['spec'] = {}): Node => ({ metadata: { name: 'n', creationTimestamp: '2026-01-01T00:00:00Z' }, spec,
  status: { conditions: Object.entries(conditions).map(([type, status]) => ({ type, status })) } })

const lost: [what: string, subject: Node, silentFor: number, want: string[] | undefined][] = [
  ['alive', node({ Ready: 'True' }), 49_000, undefined],
  ['silent', node({ Ready: 'True', DiskPressure: 'False' }), 51_000, ['Ready Unknown NodeStatusUnknown', 'MemoryPressure Unknown NodeStatusNeverUpdated', 'DiskPressure Unknown NodeStatusUnknown', 'PIDPressure Unknown NodeStatusNeverUpdated']],
  ['known to be lost', node({ Ready: 'Unknown', MemoryPressure: 'Unknown', DiskPressure: 'Unknown', PIDPressure: 'Unknown' }), 99_000, undefined],
  ['never heard of, with more patience', node({}), 59_000, undefined],
]
for (const [what, subject, silentFor, want] of lost) test(`health: ${what}`, () => {
  const found = lostConditions(subject, { lastSeen: now - silentFor, now })
  assert.deepEqual(found?.map(({ type, status, reason }) => `${type} ${status} ${reason}`), want)
})

const show = (list: Taint[]) => list.map(taint => `${taint.key.replace('node.kubernetes.io/', '')}:${taint.effect}`)
const tainted: [what: string, subject: Node, want: string[]][] = [
  ['ready: those of people stay', node({ Ready: 'True' }, { taints: [{ key: 'mine', effect: 'NoSchedule' }, { key: 'node.kubernetes.io/not-ready', effect: 'NoExecute' }] }), ['mine:NoSchedule']],
  ['not ready', node({ Ready: 'False' }), ['not-ready:NoSchedule', 'not-ready:NoExecute']],
  ['silent', node({ Ready: 'Unknown' }), ['unreachable:NoSchedule', 'unreachable:NoExecute']],
  ['under pressure and cordoned', node({ Ready: 'True', MemoryPressure: 'True' }, { unschedulable: true }), ['memory-pressure:NoSchedule', 'unschedulable:NoSchedule']],
  ['new: what it registered with stays until it reports', node({}, { taints: [{ key: 'node.kubernetes.io/not-ready', effect: 'NoSchedule' }] }), ['not-ready:NoSchedule']],
]
for (const [what, subject, want] of tainted) test(`taints: ${what}`, () => assert.deepEqual(show(taints(subject, now)), want))

const noExecute: Taint = { key: 'k', effect: 'NoExecute', timeAdded: '2026-01-01T00:09:00Z' }
const evictions: [what: string, tolerations: Toleration[], list: Taint[], want: number | undefined][] = [
  ['no taint', [], [], undefined],
  ['NoSchedule drives nobody away', [], [{ key: 'k', effect: 'NoSchedule' }], undefined],
  ['not tolerated', [], [noExecute], 0],
  ['tolerated for ever', [{ operator: 'Exists' }], [noExecute], undefined],
  ['tolerated for five minutes, one of them gone', [{ key: 'k', operator: 'Exists', tolerationSeconds: 300 }], [noExecute], 240_000],
  ['time is up', [{ key: 'k', operator: 'Exists', tolerationSeconds: 30 }], [noExecute], 0],
]
for (const [what, tolerations, list, want] of evictions) test(`eviction: ${what}`, () => {
  const pod: Pod = { metadata: { name: 'p' }, spec: { containers: [], tolerations } }
  assert.equal(untilEviction(pod, list, now), want)
})

test('pod ranges: the first free one, whatever its neighbours are; none when all are taken', () => {
  const options = { clusterCidr: parseCidr('10.244.0.0/22')!, maskSize: 24 }
  const holding = (...podCIDRs: string[]) => podCIDRs.map(cidr => node({}, { podCIDR: cidr, podCIDRs: [cidr] }))
  assert.equal(freeCidr(holding(), options), '10.244.0.0/24')
  assert.equal(freeCidr(holding('10.244.0.0/24', '10.244.2.0/24'), options), '10.244.1.0/24')
  assert.equal(freeCidr(holding('10.244.0.0/23', '192.168.0.0/24'), options), '10.244.2.0/24')
  assert.equal(freeCidr(holding('10.244.0.0/22'), options), undefined)
})
