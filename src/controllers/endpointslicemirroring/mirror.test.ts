// From Endpoints made by hand to slices, as tables. A slice shows as `IPv4 http:80 10.0.0.1 10.0.0.2?`,
// the question mark on what is not ready; `+` made, `~` changed, `-` removed.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { EndpointAddress, Endpoints, EndpointSubset, Service } from '#api/core/v1.ts'
import type { EndpointSlice } from '#api/discovery/v1.ts'
import { isMirrored, maxEndpointsPerSubset, mirror, type Mirror } from './mirror.ts'

const endpoints = (subsets: EndpointSubset[] | undefined, metadata: Partial<Endpoints['metadata']> = {}): Endpoints =>
  ({ apiVersion: 'v1', kind: 'Endpoints', metadata: { name: 'web', namespace: 'ns', uid: 'e', ...metadata }, ...(subsets && { subsets }) })
/** `10.0.0.1 10.0.0.2?` at `http:80 https:443/TCP`. */
const subset = (addresses: string, ports = ':80'): EndpointSubset => {
  const all = addresses.split(' '), of = (list: string[]): EndpointAddress[] => list.map(ip => ({ ip: ip.replace('?', '') }))
  return { addresses: of(all.filter(ip => !ip.endsWith('?'))), notReadyAddresses: of(all.filter(ip => ip.endsWith('?'))),
    ports: ports.split(' ').filter(text => text !== '').map(text => { const [, name, port, protocol] = /^([^:]*):(\d+)(?:\/(.*))?$/.exec(text)!; return { ...(name && { name }), port: Number(port), protocol: protocol ?? 'TCP' } }) }
}
const text = (slice: EndpointSlice) => [slice.addressType, ...slice.ports!.map(port => `${port.name}:${port.port}${port.protocol === 'TCP' ? '' : `/${port.protocol}`}`),
  ...slice.endpoints!.map(({ addresses, conditions }) => `${addresses[0]}${conditions!.ready ? '' : '?'}`)].join(' ')
const show = ({ create, update, remove }: Mirror) => [...create.map(slice => `+${text(slice)}`), ...update.map(slice => `~${slice.metadata.name} ${text(slice)}`), ...remove.map(slice => `-${slice.metadata.name}`)]
let made = 0
/** As the server answers: with a name and a version. */
const stored = ({ create, update }: Mirror): EndpointSlice[] => [...update, ...create.map(slice => ({ ...slice, metadata: { ...slice.metadata, name: `web-${++made}`, uid: `s${made}`, resourceVersion: '7', creationTimestamp: 'then', generation: 1 } }))]

describe('made', () => {
  const table: [what: string, subsets: EndpointSubset[] | undefined, want: string[]][] = [
    ['nothing', undefined, []],
    ['one address', [subset('192.0.2.42', ':9376')], ['+IPv4 :9376 192.0.2.42']],
    ['not ready', [subset('10.0.0.1 10.0.0.2?')], ['+IPv4 :80 10.0.0.1 10.0.0.2?']],
    ['named ports', [subset('10.0.0.1', 'http:80 dns:53/UDP')], ['+IPv4 http:80 dns:53/UDP 10.0.0.1']],
    ['two subsets of different ports', [subset('10.0.0.1'), subset('10.0.0.2', ':81')], ['+IPv4 :80 10.0.0.1', '+IPv4 :81 10.0.0.2']],
    ['two subsets of the same ports', [subset('10.0.0.1'), subset('10.0.0.2')], ['+IPv4 :80 10.0.0.1 10.0.0.2']],
    ['both families', [subset('10.0.0.1 fd00::1 10.0.0.2 fd00::2?')], ['+IPv4 :80 10.0.0.1 10.0.0.2', '+IPv6 :80 fd00::1 fd00::2?']],
    ['no ports', [subset('10.0.0.1', '')], ['+IPv4 10.0.0.1']],
    ['an address in an odd form', [subset('fd00:0:0::0001')], ['+IPv6 :80 fd00::1']],
    ['the same address twice', [subset('10.0.0.1'), subset('10.0.0.1?')], ['+IPv4 :80 10.0.0.1?']],
  ]
  for (const [what, subsets, want] of table) test(what, () => assert.deepEqual(show(mirror(endpoints(subsets), [])), want))
})

describe('changed', () => {
  const table: [what: string, before: EndpointSubset[], after: EndpointSubset[] | undefined, want: string[]][] = [
    ['nothing', [subset('10.0.0.1 fd00::1')], [subset('10.0.0.1 fd00::1')], []],
    ['another address', [subset('10.0.0.1')], [subset('10.0.0.2')], ['~0 IPv4 :80 10.0.0.2']],
    ['no longer ready', [subset('10.0.0.1')], [subset('10.0.0.1?')], ['~0 IPv4 :80 10.0.0.1?']],
    ['other ports: the slice is used again', [subset('10.0.0.1')], [subset('10.0.0.1', ':81')], ['~0 IPv4 :81 10.0.0.1']],
    ['the other family: it cannot be', [subset('10.0.0.1')], [subset('fd00::1')], ['+IPv6 :80 fd00::1', '-0']],
    ['one subset less', [subset('10.0.0.1'), subset('10.0.0.2', ':81')], [subset('10.0.0.1')], ['-1']],
    ['no subsets', [subset('10.0.0.1 fd00::1')], undefined, ['-0', '-1']],
  ]
  for (const [what, before, after, want] of table) test(what, () => {
    const existing = stored(mirror(endpoints(before), [])).map((slice, i) => ({ ...slice, metadata: { ...slice.metadata, name: String(i) } }))
    assert.deepEqual(show(mirror(endpoints(after), existing)), want)
  })
  test('the same Endpoints made anew own their slices', () => {
    const existing = stored(mirror(endpoints([subset('10.0.0.1')]), []))
    assert.equal(mirror(endpoints([subset('10.0.0.1')], { uid: 'other' }), existing).update[0]!.metadata.ownerReferences![0]!.uid, 'other')
  })
  test('two slices of one set of ports become one', () => {
    const existing = [...stored(mirror(endpoints([subset('10.0.0.1')]), [])), ...stored(mirror(endpoints([subset('10.0.0.1')]), []))]
    assert.deepEqual(show(mirror(endpoints([subset('10.0.0.1')]), existing)), [`-${existing[1]!.metadata.name}`])
  })
})

test('labels, annotations, owner, and what an address says of its pod', () => {
  const target = { kind: 'Pod', namespace: 'ns', name: 'p', uid: 'u' }
  const made = mirror(endpoints([{ addresses: [{ ip: '10.0.0.1', hostname: 'h', nodeName: 'n1', targetRef: target }], ports: [{ port: 80, appProtocol: 'http' }] }],
    { labels: { team: 'a', 'kubernetes.io/service-name': 'x' }, annotations: { note: 'b', 'kubectl.kubernetes.io/last-applied-configuration': '{}', 'endpoints.kubernetes.io/last-change-trigger-time': 't' } }), []).create[0]!
  assert.deepEqual(made.metadata.labels, { team: 'a', 'kubernetes.io/service-name': 'web', 'endpointslice.kubernetes.io/managed-by': 'endpointslicemirroring-controller.k8s.io' })
  assert.deepEqual(made.metadata.annotations, { note: 'b' })
  assert.equal(made.metadata.generateName, 'web-')
  assert.deepEqual(made.metadata.ownerReferences, [{ apiVersion: 'v1', kind: 'Endpoints', name: 'web', uid: 'e', controller: true, blockOwnerDeletion: true }])
  assert.deepEqual(made.endpoints, [{ addresses: ['10.0.0.1'], conditions: { ready: true }, hostname: 'h', nodeName: 'n1', targetRef: target }])
  assert.deepEqual(made.ports, [{ name: '', port: 80, protocol: 'TCP', appProtocol: 'http' }])
})

test('no more than a thousand of a subset, and what is no address is left out', () => {
  const many = (count: number, third: number) => Array.from({ length: count }, (_, i) => `10.${third}.${i >> 8}.${i & 255}`).join(' ')
  const one = mirror(endpoints([subset(`none ${many(1200, 0)}`)]), [])
  assert.deepEqual([one.create[0]!.endpoints!.length, one.invalid, one.skipped], [maxEndpointsPerSubset, 1, 200])
  const two = mirror(endpoints([subset(many(700, 0)), subset(many(700, 1), ':81'), subset(many(700, 2))]), [])
  assert.deepEqual([two.create.map(slice => slice.endpoints!.length), two.skipped], [[1000, 700], 400])
})

describe('which are mirrored', () => {
  const service = (spec: Partial<Service['spec']> = {}): Service => ({ metadata: { name: 'web' }, spec })
  const table: [what: string, object: Endpoints, of: Service | undefined, want: boolean][] = [
    ['of a Service without a selector', endpoints([]), service(), true],
    ['of one with an empty selector', endpoints([]), service({ selector: {} }), true],
    ['of one with a selector', endpoints([]), service({ selector: { app: 'a' } }), false],
    ['of none', endpoints([]), undefined, false],
    ['skip-mirror', endpoints([], { labels: { 'endpointslice.kubernetes.io/skip-mirror': 'true' } }), service(), false],
    ['skip-mirror that says no', endpoints([], { labels: { 'endpointslice.kubernetes.io/skip-mirror': 'false' } }), service(), true],
    ['the lock of a leader election', endpoints([], { annotations: { 'control-plane.alpha.kubernetes.io/leader': '{}' } }), service(), false],
  ]
  for (const [what, object, of, want] of table) test(what, () => assert.equal(isMirrored(object, of), want))
})
