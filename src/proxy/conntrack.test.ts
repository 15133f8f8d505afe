import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseFlows, staleFlows, udpTargets } from './conntrack.ts'
import type { ProxiedPort } from './state.ts'

const port = (addresses: string[], rest: Partial<ProxiedPort> = {}) => ({ protocol: 'UDP', clusterIP: '10.96.0.10', port: 53, nodePort: 30053, externalIPs: [], loadBalancerIPs: ['198.51.100.1'],
  reachable: addresses.map(address => ({ address })), ...rest }) as unknown as ProxiedPort

// As conntrack 1.4.7 prints them.
const listing = `udp      17 28 src=10.244.1.5 dst=10.96.0.10 sport=40000 dport=53 src=10.244.1.2 dst=10.244.1.5 sport=5353 dport=40000 mark=0 use=1
udp      17 28 src=10.244.1.5 dst=10.96.0.10 sport=40001 dport=53 src=10.244.1.3 dst=10.244.1.5 sport=5353 dport=40001 [ASSURED] mark=0 use=1
udp      17 5 src=10.244.1.5 dst=10.96.0.10 sport=40002 dport=53 [UNREPLIED] src=10.96.0.10 dst=10.244.1.5 sport=53 dport=40002 mark=0 use=1
udp      17 5 src=192.168.109.200 dst=192.168.109.101 sport=40003 dport=30053 src=10.244.1.3 dst=10.244.1.1 sport=5353 dport=40003 mark=0 use=1
udp      17 5 src=10.244.1.5 dst=203.0.113.9 sport=40004 dport=30053 src=203.0.113.9 dst=10.244.1.5 sport=30053 dport=40004 mark=0 use=1
udp      17 5 src=10.244.1.5 dst=10.244.1.3 sport=40005 dport=5353 src=10.244.1.3 dst=10.244.1.5 sport=5353 dport=40005 mark=0 use=1
conntrack v1.4.7 (conntrack-tools): 6 flow entries have been shown.`
const stale = (targets: ReturnType<typeof udpTargets>) => staleFlows(parseFlows(listing), targets, new Set(['192.168.109.101'])).map(flow => flow.sourcePort)

test('a listing is read', () => {
  assert.equal(parseFlows(listing).length, 6)
  assert.deepEqual(parseFlows('udp 17 1 src=fd00::0:5 dst=fd00:96::a sport=1 dport=53 src=fd00::2 dst=fd00::5 sport=53 dport=1')[0],
    { source: 'fd00::5', sourcePort: 1, destination: 'fd00:96::a', destinationPort: 53, replySource: 'fd00::2', replySourcePort: 53 })
})
test('flows to a removed endpoint, and those begun before there was one, are stale; all others are not ours', () => assert.deepEqual(stale(udpTargets([port(['10.244.1.2:5353'])])), [40001, 40002, 40003]))
test('with no endpoint left every flow is stale', () => assert.deepEqual(stale(udpTargets([port([])])), [40000, 40001, 40002, 40003]))
test('so are the flows of a Service that is gone', () => assert.deepEqual(stale(udpTargets([], udpTargets([port(['10.244.1.2:5353'])]))), [40000, 40001, 40002, 40003]))
test('TCP Services have no stale flows', () => assert.equal(udpTargets([port(['10.244.1.2:5353'], { protocol: 'TCP' })]).size, 0))
