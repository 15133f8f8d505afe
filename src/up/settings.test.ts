import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { UserError } from '#lib/errors.ts'
import { nodeNames, settingsFrom, type Settings } from './settings.ts'

const settings = (...argv: string[]) => settingsFrom(argv) as Settings

test('without flags: three nodes and the ranges that kubeadm has', () => {
  const { name, nodes, clusterCidr, serviceCidr, serviceNodePortRange, proxyMode, apiPort, install, detach } = settings()
  assert.deepEqual({ name, nodes, clusterCidr, serviceCidr, serviceNodePortRange, proxyMode, apiPort, install, detach }, {
    name: 'default', nodes: 3, clusterCidr: '10.244.0.0/16', serviceCidr: '10.96.0.0/12', serviceNodePortRange: '30000-32767',
    proxyMode: 'iptables', apiPort: undefined, install: true, detach: false })
})

const refused: [name: string, argv: string[], message: RegExp][] = [
  ['an unknown flag', ['--nodez', '3'], /Unknown option '--nodez'.*up --help/],
  ['an argument', ['other'], /up takes no argument, and "other" is one/],
  ['a flag without its value', ['--nodes'], /'--nodes <value>' argument missing/],
  ['no node', ['--nodes', '0'], /--nodes 0: expected a whole number from 1 to 100/],
  ['words for numbers', ['--nodes', 'three'], /--nodes three: expected a whole number/],
  ['a bad name', ['--name', 'My Cluster'], /--name My Cluster: use up to 32 lower-case/],
  ['no CIDR', ['--service-cidr', '10.96.0.0'], /--service-cidr 10\.96\.0\.0: expected a range/],
  ['ranges that overlap', ['--cluster-cidr', '10.100.0.0/16'], /--cluster-cidr 10\.100\.0\.0\/16 overlaps --service-cidr 10\.96\.0\.0\/12/],
  ['a range over the fabric', ['--cluster-cidr', '192.168.0.0/16'], /overlaps the fabric 192\.168\.109\.0\/24/],
  ['too small a cluster range', ['--cluster-cidr', '10.244.0.0/23'], /too small: each of the 3 nodes needs a \/24/],
  ['a cluster range below one node', ['--cluster-cidr', '10.244.0.0/25', '--nodes', '1'], /too small/],
  ['too small a service range', ['--service-cidr', '10.96.0.0/29'], /--service-cidr 10\.96\.0\.0\/29 is too small/],
  ['too large a service range', ['--service-cidr', '10.0.0.0/8', '--cluster-cidr', '172.20.0.0/16'], /too large/],
  ['a port range that is none', ['--service-node-port-range', '32767-30000'], /expected a range such as 30000-32767/],
  ['a mode that is not here', ['--proxy-mode', 'kernelspace'], /--proxy-mode: kernelspace .* is not supported: use .*iptables/],
  ['IPv6', ['--cluster-cidr', 'fd00::/56'], /IPv4 clusters only/],
]
for (const [name, argv, message] of refused) test(`refuses ${name}`, () => {
  assert.throws(() => settings(...argv), (error: Error) => error instanceof UserError && message.test(error.message))
})

test('--config is the same settings as YAML; flags win; an unknown key is refused with what is known', () => {
  const folder = mkdtempSync(join(tmpdir(), 'fairway-settings-'))
  const file = join(folder, 'cluster.yaml')
  try {
    writeFileSync(file, 'nodes: 5\nserviceCidr: 10.0.0.0/16\nname: five\n')
    assert.equal(settings('--config', file).nodes, 5)
    assert.equal(settings('--config', file, '--nodes', '2').nodes, 2)
    assert.equal(settings('--config', file).serviceCidr, '10.0.0.0/16')
    writeFileSync(file, 'nodez: 5\n')
    assert.throws(() => settings('--config', file), /cluster\.yaml: unknown key "nodez"; known are apiPort, clusterCidr/)
    writeFileSync(file, 'nodes: [\n')
    assert.throws(() => settings('--config', file), /cluster\.yaml:\d+:\d+: /)
  } finally { rmSync(folder, { recursive: true }) }
})

test('nodes are named as in the source documents', () => {
  assert.deepEqual(nodeNames(3), ['k8s-master01', 'k8s-node01', 'k8s-node02'])
})
