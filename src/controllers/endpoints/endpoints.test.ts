import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { EndpointSubset, Pod, Service } from '#api/core/v1.ts'
import { endpoints } from './endpoints.ts'

const service = (spec: Partial<Service['spec']> = {}): Service => ({ metadata: { name: 'web', namespace: 'ns', labels: { team: 'a' } }, spec: { clusterIP: '10.96.0.1', selector: { app: 'web' }, ports: [{ name: 'http', port: 80, targetPort: 8080 }], ...spec } })
const pod = (n: number, { ready = true, port = 8080, leaving = false } = {}): Pod => ({ metadata: { name: `p${n}`, namespace: 'ns', uid: `u${n}`, ...(leaving && { deletionTimestamp: 'x' }) },
  spec: { containers: [{ name: 'c', image: 'i', ports: [{ name: 'web', containerPort: port }] }] },
  status: { phase: 'Running', podIP: `10.1.${n >> 8}.${n & 255}`, conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }] } })
const show = (subsets: EndpointSubset[] | undefined) => (subsets ?? []).map(subset =>
  `${(subset.addresses ?? []).map(a => a.ip)} | ${(subset.notReadyAddresses ?? []).map(a => a.ip)} | ${(subset.ports ?? []).map(p => `${p.name ?? ''}:${p.port}`)}`)
const of = (subject: Service, pods: Pod[]) => endpoints(subject, pods, { current: undefined, trigger: undefined })

const table: [what: string, subject: Service, pods: Pod[], want: string[]][] = [
  ['nothing', service(), [], []],
  ['ready and not', service(), [pod(2), pod(1), pod(3, { ready: false })], ['10.1.0.1,10.1.0.2 | 10.1.0.3 | http:8080']],
  ['one that is leaving is out', service(), [pod(1), pod(2, { leaving: true })], ['10.1.0.1 |  | http:8080']],
  ['publishNotReadyAddresses', service({ publishNotReadyAddresses: true }), [pod(1, { ready: false }), pod(2, { leaving: true })], ['10.1.0.1,10.1.0.2 |  | http:8080']],
  ['two ports of the same pods share a subset', service({ ports: [{ name: 'b', port: 2 }, { name: 'a', port: 1 }] }), [pod(1)], ['10.1.0.1 |  | a:1,b:2']],
  ['a named port that differs makes subsets', service({ ports: [{ name: 'n', port: 80, targetPort: 'web' }] }), [pod(1), pod(2, { port: 9 })], ['10.1.0.1 |  | n:8080', '10.1.0.2 |  | n:9']],
  ['headless without ports', service({ clusterIP: 'None', ports: [] }), [pod(1)], ['10.1.0.1 |  | ']],
]
for (const [what, subject, pods, want] of table) test(what, () => assert.deepEqual(show(of(subject, pods).subsets), want))

test('labels of the service, ours, and the headless one', () => {
  assert.deepEqual(of(service({ clusterIP: 'None' }), []).metadata.labels, { team: 'a', 'endpoints.kubernetes.io/managed-by': 'endpoint-controller', 'service.kubernetes.io/headless': '' })
})

test('more than a thousand are cut, ready ones kept, and it says so', () => {
  const pods = Array.from({ length: 1500 }, (_, n) => pod(n, { ready: n % 2 === 0 }))
  const { subsets, metadata } = of(service(), pods)
  assert.deepEqual([subsets![0]!.addresses!.length, subsets![0]!.notReadyAddresses!.length], [750, 250])
  assert.equal(metadata.annotations!['endpoints.kubernetes.io/over-capacity'], 'truncated')
  const all = of(service(), Array.from({ length: 1200 }, (_, n) => pod(n)))
  assert.equal(all.subsets![0]!.addresses!.length, 1000)
})
