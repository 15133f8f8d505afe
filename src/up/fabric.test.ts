import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fabricCommands, machineCommands, machines } from './fabric.ts'

const all = machines({ nodes: 2, clusterCidr: '10.244.0.0/16' })

test('machines: nodes from .100 with a /24 each, the client at .200 with none', () => {
  assert.deepEqual(all.map(({ name, ip, podCidr }) => [name, ip, podCidr]), [
    ['k8s-master01', '192.168.109.100', '10.244.0.0/24'],
    ['k8s-node01', '192.168.109.101', '10.244.1.0/24'],
    ['client', '192.168.109.200', undefined],
  ])
})

test('the router makes every machine, and answers unreachable for what is not inside', () => {
  assert.equal(fabricCommands(all), `link set lo up
link add fabric type bridge
addr add 192.168.109.1/24 dev fabric
link set fabric up
route add unreachable default
netns add k8s-master01
link add fabric0 type veth peer name eth0 netns k8s-master01
link set fabric0 master fabric up
netns add k8s-node01
link add fabric1 type veth peer name eth0 netns k8s-node01
link set fabric1 master fabric up
netns add client
link add fabric2 type veth peer name eth0 netns client
link set fabric2 master fabric up
route add 10.244.0.0/24 via 192.168.109.100
route add 10.244.1.0/24 via 192.168.109.101
`)
})

test('a node has a default route to the router; the client machine has none out of the fabric', () => {
  assert.match(machineCommands(all[0]!), /route add default via 192\.168\.109\.1\n/)
  assert.match(machineCommands(all[2]!), /route add unreachable default\n/)
})
