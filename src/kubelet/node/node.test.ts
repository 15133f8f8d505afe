import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Node } from '#api/core/v1.ts'
import { newNode, nodeStatus, peersOf } from './node.ts'

const facts = { cpus: 2, memoryBytes: 8 << 20, diskBytes: 1 << 20, architecture: 'arm64', kernelVersion: '6.1', osImage: 'Debian', machineId: 'm', bootId: 'b', fairwayVersion: '0.1.0' }
const settings = { name: 'k8s-master01', internalIp: '192.168.109.100', podCidr: '10.244.0.0/24', labels: { 'node-role.kubernetes.io/control-plane': '' }, taints: [{ key: 'node-role.kubernetes.io/control-plane', effect: 'NoSchedule' }] }

test('registration', () => {
  const { metadata, spec } = newNode(settings, facts)
  assert.equal(metadata.labels!['kubernetes.io/arch'], 'arm64')
  assert.equal(metadata.labels!['kubernetes.io/hostname'], 'k8s-master01')
  assert.equal(metadata.labels!['node-role.kubernetes.io/control-plane'], '')
  assert.deepEqual(spec, { podCIDR: '10.244.0.0/24', podCIDRs: ['10.244.0.0/24'], taints: settings.taints })
})

test('status, and its transition times', () => {
  const first = nodeStatus(settings, facts, { now: 0 })
  assert.deepEqual(first.addresses, [{ type: 'InternalIP', address: '192.168.109.100' }, { type: 'Hostname', address: 'k8s-master01' }])
  assert.equal(first.capacity!.memory, '8192Ki')
  assert.equal(first.nodeInfo!.containerRuntimeVersion, 'fairway://0.1.0')
  const ready = (status: typeof first) => status.conditions!.find(({ type }) => type === 'Ready')!
  const later = nodeStatus(settings, facts, { now: 60_000, previous: first })
  assert.deepEqual([ready(later).lastTransitionTime, ready(later).lastHeartbeatTime], ['1970-01-01T00:00:00Z', '1970-01-01T00:01:00Z'])
  assert.equal(ready(nodeStatus(settings, facts, { now: 60_000, previous: first, unhealthy: 'no' })).lastTransitionTime, '1970-01-01T00:01:00Z')
})

test('peers: those of this machine, and others by their objects', () => {
  const other: Node = { metadata: { name: 'far' }, spec: { podCIDR: '10.244.9.0/24' }, status: { addresses: [{ type: 'InternalIP', address: '192.168.109.109' }] } }
  assert.deepEqual(peersOf([settings, { ...settings, name: 'b', internalIp: '192.168.109.101', podCidr: '10.244.1.0/24' }], [other, { metadata: { name: 'new' }, spec: {} }], 'k8s-master01'),
    [{ nodeIp: '192.168.109.101', podCidr: '10.244.1.0/24' }, { nodeIp: '192.168.109.109', podCidr: '10.244.9.0/24' }])
})
