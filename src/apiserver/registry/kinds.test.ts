// The smaller kinds: defaults, refusals and what may change of each.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { KubeObject } from '#api/object.ts'
import { resources } from '#api/resources.ts'
import { strategies } from './strategies.ts'
import type { Strategy } from './strategy.ts'
import { Machinery, refusals, Refused } from './testing.ts'

const strategy = (key: string) => strategies.get(key)! as Strategy
const create = (key: string, manifest: object, name = 'n') => new Machinery().create(strategy(key), { metadata: { name }, ...manifest }) as KubeObject & Record<string, unknown>

test('every stored kind has a strategy, and each is for its own resource', () => {
  const stored = Object.entries(resources).filter(([, { createOnly }]) => !createOnly)
  assert.deepEqual([...strategies.keys()].sort(), stored.map(([key]) => key).sort())
  for (const [key, resource] of stored) assert.equal(strategies.get(key)!.resource, resource)
})

test('an object of only a name is defaulted, refused or accepted, but breaks nothing', () => {
  for (const [key, one] of strategies) assert.doesNotThrow(() => refusals(one as never, { metadata: { name: 'n' } }), key)
})

const zeroPort = 'must be between 1 and 65535, inclusive'
const cases: [name: string, key: string, manifest: object, errors: string[]][] = [
  ['Endpoints (a02)', 'endpoints', { subsets: [{ addresses: [{ ip: '192.0.2.42' }], ports: [{ port: 9376 }] }] }, []],
  ['Endpoints on loopback', 'endpoints', { subsets: [{ addresses: [{ ip: '127.0.0.1' }], ports: [{ port: 1 }] }] },
    ['subsets[0].addresses[0].ip: Invalid value: "127.0.0.1": may not be in the loopback range (127.0.0.0/8, ::1/128)']],
  ['Endpoints without addresses', 'endpoints', { subsets: [{ ports: [{ port: 1 }] }] }, ['subsets[0]: Required value: must specify `addresses` or `notReadyAddresses`']],
  ['Endpoints of an odd port', 'endpoints', { subsets: [{ addresses: [{ ip: '192.0.2.1' }], ports: [{ port: 70000, name: 'a' }, { port: 1 }] }] },
    [`subsets[0].ports[0].port: Invalid value: 70000: ${zeroPort}`, 'subsets[0].ports[1].name: Required value']],
  ['an EndpointSlice', 'endpointslices', { addressType: 'IPv4', endpoints: [{ addresses: ['10.244.1.2'] }], ports: [{ port: 80 }] }, []],
  ['an EndpointSlice of no type', 'endpointslices', {}, ['addressType: Required value']],
  ['an EndpointSlice of an odd type', 'endpointslices', { addressType: 'IPv5' }, ['addressType: Unsupported value: "IPv5": supported values: "FQDN", "IPv4", "IPv6"']],
  ['an EndpointSlice of the other family', 'endpointslices', { addressType: 'IPv4', endpoints: [{ addresses: ['::1'] }] }, ['endpoints[0].addresses[0]: Invalid value: "::1": must be an IPv4 address']],
  ['an EndpointSlice of the link-local range', 'endpointslices', { addressType: 'IPv4', endpoints: [{ addresses: ['169.254.0.1'] }] },
    ['endpoints[0].addresses[0]: Invalid value: "169.254.0.1": may not be in the link-local range (169.254.0.0/16, fe80::/10)']],
  ['an EndpointSlice with a port name twice', 'endpointslices', { addressType: 'IPv4', ports: [{ name: 'a', port: 1 }, { name: 'a', port: 2 }] }, ['ports[1].name: Duplicate value: "a"']],
  ['a ConfigMap with a path for a key', 'configmaps', { data: { 'a/b': '' } },
    ["data[a/b]: Invalid value: \"a/b\": a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"]],
  ['a ConfigMap that is too big', 'configmaps', { data: { a: 'x'.repeat(1024 * 1024 + 1) } }, [': Too long: may not be more than 1048576 bytes']],
  ['a ConfigMap with one key twice', 'configmaps', { data: { a: '' }, binaryData: { a: '' } }, ['data[a]: Invalid value: "a": duplicate of key present in binaryData']],
  ['a TLS Secret without its key', 'secrets', { type: 'kubernetes.io/tls', data: { 'tls.crt': '' } }, ['data[tls.key]: Required value']],
  ['a docker Secret that is no JSON', 'secrets', { type: 'kubernetes.io/dockerconfigjson', data: { '.dockerconfigjson': 'e2E=' } },
    ['data[.dockerconfigjson]: Invalid value: "<secret contents redacted>": invalid character in JSON']],
  ['a token Secret of nobody', 'secrets', { type: 'kubernetes.io/service-account-token' }, ['metadata.annotations[kubernetes.io/service-account.name]: Required value']],
  ['a Node with an odd taint', 'nodes', { spec: { taints: [{ key: 'a', effect: 'Never' }] } }, ['spec.taints[0].effect: Unsupported value: "Never": supported values: "NoExecute", "NoSchedule", "PreferNoSchedule"']],
  ['a Node of an odd range', 'nodes', { spec: { podCIDR: '10.0.0.0' } }, ['spec.podCIDRs[0]: Invalid value: "10.0.0.0": must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)']],
  ['a Lease of no time', 'leases', { spec: { leaseDurationSeconds: 0 } }, ['spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0']],
  ['a Role without verbs', 'roles', { rules: [{ apiGroups: [''], resources: ['pods'] }] }, ['rules[0].verbs: Required value: verbs must contain at least one value']],
  ['a Role for URLs', 'roles', { rules: [{ verbs: ['get'], nonResourceURLs: ['/x'] }] }, ['rules[0].nonResourceURLs: Invalid value: ["/x"]: namespaced rules cannot apply to non-resource URLs']],
  ['a ClusterRole for nothing', 'clusterroles', { rules: [{ verbs: ['get'] }] },
    ['rules[0].apiGroups: Required value: resource rules must supply at least one api group', 'rules[0].resources: Required value: resource rules must supply at least one resource']],
  ['a binding of nothing', 'rolebindings', { roleRef: { kind: 'Deployment', name: 'x' } }, ['roleRef.kind: Unsupported value: "Deployment": supported values: "Role", "ClusterRole"']],
  ['a binding to a machine', 'clusterrolebindings', { roleRef: { kind: 'ClusterRole', name: 'x' }, subjects: [{ kind: 'Machine', name: 'm' }] },
    ['subjects[0].kind: Unsupported value: "Machine": supported values: "ServiceAccount", "User", "Group"']],
  ['a cluster binding to an account of no namespace', 'clusterrolebindings', { roleRef: { kind: 'ClusterRole', name: 'x' }, subjects: [{ kind: 'ServiceAccount', name: 'm' }] }, ['subjects[0].namespace: Required value']],
  ['an Event of another namespace', 'events', { involvedObject: { namespace: 'other' } }, ['involvedObject.namespace: Invalid value: "other": does not match event.namespace']],
  ['an Event about a node', 'events', { involvedObject: { kind: 'Node', name: 'n' } }, []],
  ['a new Event without its source', 'eventsV1', { eventTime: 't', type: 'Normal', reason: 'R', action: 'A', regarding: { namespace: 'default' } }, ['reportingController: Required value', 'reportingInstance: Required value']],
  ['a ControllerRevision of nothing', 'controllerrevisions', { revision: 1 }, ['data: Required value: data is mandatory']],
]
describe('refusals', () => {
  for (const [name, key, manifest, errors] of cases) test(name, () => assert.deepEqual(refusals(strategy(key) as never, { metadata: { name: 'n' }, ...manifest }), errors))
  test('a Namespace of two labels', () => assert.match(refusals(strategy('namespaces') as never, { metadata: { name: 'a.b' } })[0]!, /^metadata\.name: Invalid value: "a\.b": a lowercase RFC 1123 label/))
})

describe('defaults', () => {
  test('a Namespace', () => {
    const { spec, status, metadata } = create('namespaces', { status: { phase: 'Terminating' } }, 'dev')
    assert.deepEqual([spec, status, metadata.labels], [{ finalizers: ['kubernetes'] }, { phase: 'Active' }, { 'kubernetes.io/metadata.name': 'dev' }])
  })
  test('a Secret\'s stringData becomes data', () => {
    const { data, stringData, type } = create('secrets', { data: { a: 'eA==' }, stringData: { b: 'y' } })
    assert.deepEqual([data, stringData, type], [{ a: 'eA==', b: 'eQ==' }, undefined, 'Opaque'])
  })
  test('an EndpointSlice\'s ports', () => {
    assert.deepEqual(create('endpointslices', { addressType: 'IPv4', ports: [{ port: 80 }] }).ports, [{ port: 80, name: '', protocol: 'TCP' }])
  })
  test('a Node may bring its status, and has both forms of its range', () => {
    const { spec, status } = create('nodes', { spec: { podCIDR: '10.244.1.0/24' }, status: { capacity: { memory: '1024Ki' } } })
    assert.deepEqual(spec, { podCIDR: '10.244.1.0/24', podCIDRs: ['10.244.1.0/24'] })
    assert.deepEqual(status, { capacity: { memory: '1Mi' }, allocatable: { memory: '1Mi' } })
  })
  test('a binding\'s groups', () => {
    const { roleRef, subjects } = create('rolebindings', { roleRef: { kind: 'Role', name: 'r' }, subjects: [{ kind: 'User', name: 'u' }, { kind: 'ServiceAccount', name: 's' }] })
    assert.deepEqual(roleRef, { kind: 'Role', name: 'r', apiGroup: 'rbac.authorization.k8s.io' })
    assert.deepEqual(subjects, [{ kind: 'User', name: 'u', apiGroup: 'rbac.authorization.k8s.io' }, { kind: 'ServiceAccount', name: 's' }])
  })
})

describe('updates', () => {
  const updates: [name: string, key: string, manifest: object, change: object, errors: string[]][] = [
    ['a Secret\'s type', 'secrets', { type: 'a' }, { type: 'b' }, ['type: Invalid value: "b": field is immutable']],
    ['an immutable ConfigMap', 'configmaps', { immutable: true, data: { a: '1' } }, { data: { a: '2' } }, ['data: Forbidden: field is immutable when `immutable` is set']],
    ['immutability', 'configmaps', { immutable: true }, { immutable: false }, ['immutable: Forbidden: field is immutable when `immutable` is set']],
    ['an immutable Secret', 'secrets', { immutable: true, data: { a: '' } }, { data: { a: 'eA==' } }, ['data: Forbidden: field is immutable when `immutable` is set']],
    ['a role reference', 'rolebindings', { roleRef: { kind: 'Role', name: 'r' } }, { roleRef: { kind: 'Role', name: 's' } },
      ['roleRef: Invalid value: {"kind":"Role","name":"s","apiGroup":"rbac.authorization.k8s.io"}: cannot change roleRef']],
    ['a slice\'s type', 'endpointslices', { addressType: 'IPv4' }, { addressType: 'IPv6' }, ['addressType: Invalid value: "IPv6": field is immutable']],
    ['a revision\'s data', 'controllerrevisions', { data: { a: 1 } }, { data: { a: 2 } }, ['data: Invalid value: {"a":2}: field is immutable']],
    ['a node\'s range', 'nodes', { spec: { podCIDR: '10.0.0.0/24' } }, { spec: { podCIDR: '10.0.1.0/24' } }, ['spec.podCIDRs: Forbidden: node updates may not change podCIDR except from "" to valid']],
    ['a namespace\'s finalizers stay', 'namespaces', {}, { spec: { finalizers: [] } }, []],
  ]
  for (const [name, key, manifest, change, errors] of updates) test(name, () => {
    const machinery = new Machinery(), old = machinery.create(strategy(key), { metadata: { name: 'n' }, ...manifest })
    let found: readonly string[] = []
    try { machinery.update(strategy(key), old, draft => Object.assign(draft, structuredClone(change))) }
    catch (error) { if (!(error instanceof Refused)) throw error; found = error.errors }
    assert.deepEqual(found, errors)
  })
})

test('Endpoints warn on every request', () => {
  assert.equal(strategy('endpoints').deprecation, 'v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice')
})

test('field selectors', () => {
  const fields = (key: string, manifest: object) => strategy(key).selectableFields!(create(key, manifest))
  assert.equal(fields('pods', { spec: { nodeName: 'n1', containers: [{ name: 'c', image: 'i' }] } })['spec.nodeName'], 'n1')
  assert.equal(fields('services', { spec: { clusterIP: 'None' } })['spec.clusterIP'], 'None')
  assert.equal(fields('secrets', { type: 'a/b' }).type, 'a/b')
  const event = fields('events', { involvedObject: { kind: 'Pod', name: 'p', namespace: 'default' }, source: { component: 'kubelet' } })
  assert.deepEqual([event['involvedObject.kind'], event['involvedObject.name'], event.source], ['Pod', 'p', 'kubelet'])
  assert.equal(fields('eventsV1', { regarding: { kind: 'Pod', namespace: 'default' } })['regarding.kind'], 'Pod')
})
