import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hostPortRules, masqueradeRules, nodeLinks } from './network.ts'

const node = { nodeIp: '192.168.109.101', podCidr: '10.244.1.0/24', clusterCidr: '10.244.0.0/16' }

test('links and routes: a bridge with the first address, the other nodes by their addresses', () => {
  assert.deepEqual(nodeLinks(node, [node, { nodeIp: '192.168.109.100', podCidr: '10.244.0.0/24' }]), {
    links: [{ name: 'cni0', kind: 'bridge', addresses: ['10.244.1.1/24'] }], routes: [{ to: '10.244.0.0/24', via: '192.168.109.100' }] })
})
test('rules name what they mean and replace their own table only', () => {
  assert.match(masqueradeRules(node), /^add table ip fairway-pods\ndelete table ip fairway-pods\n[\s\S]*ip saddr 10.244.1.0\/24 ip daddr != 10.244.0.0\/16 oifname != "cni0" masquerade/)
  const text = hostPortRules([
    { hostIp: '0.0.0.0', hostPort: 80, podIp: '10.244.1.5', containerPort: 8080, protocol: 'TCP' },
    { hostIp: '192.168.109.101', hostPort: 53, podIp: '10.244.1.6', containerPort: 5353, protocol: 'UDP' }])
  assert.match(text, /map ports \{.*elements = \{ tcp \. 80 : 10\.244\.1\.5 \. 8080 \};/)
  assert.match(text, /map addressed \{.*elements = \{ 192\.168\.109\.101 \. udp \. 53 : 10\.244\.1\.6 \. 5353 \};/)
  assert.doesNotMatch(hostPortRules([]), /elements/)
})
