import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { PodSpec } from '#api/core/v1.ts'
import { aPod } from '../testing.ts'
import { podHosts, podName } from './hosts.ts'

const head = '# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\nfe00::0\tip6-localnet\nfe00::0\tip6-mcastprefix\nfe00::1\tip6-allnodes\nfe00::2\tip6-allrouters\n'
const hosts = (spec: Partial<PodSpec>) => { const pod = aPod(spec, { name: 'web-0' }); return podHosts(pod, podName(pod, 'cluster.local'), '127.0.0.1\tnode\n') }

const cases: [what: string, spec: Partial<PodSpec>, text: string][] = [
  ['plain', {}, `${head}$POD_IP\tweb-0\n`],
  ['hostname and subdomain', { hostname: 'a', subdomain: 'b' }, `${head}$POD_IP\ta.b.default.svc.cluster.local\ta\n`],
  ['setHostnameAsFQDN', { subdomain: 'b', setHostnameAsFQDN: true }, `${head}$POD_IP\tweb-0.b.default.svc.cluster.local\tweb-0\n`],
  ['aliases', { hostAliases: [{ ip: '1.2.3.4', hostnames: ['x', 'y'] }] }, `${head}$POD_IP\tweb-0\n\n# Entries added by HostAliases.\n1.2.3.4\tx\ty\n`],
  ['host network', { hostNetwork: true, hostAliases: [{ ip: '1.2.3.4', hostnames: ['x'] }] }, '# Kubernetes-managed hosts file (host network).\n127.0.0.1\tnode\n\n# Entries added by HostAliases.\n1.2.3.4\tx\n'],
]
for (const [what, spec, expected] of cases) test(what, () => assert.equal(hosts(spec), expected))

test('names are cut at 63 characters, without a dash at the end', () => {
  const pod = aPod({}, { name: `${'a'.repeat(62)}-${'b'.repeat(9)}` })
  assert.equal(podName(pod, 'cluster.local').hostname, 'a'.repeat(62))
})

test('a full name that the kernel cannot hold is refused', () => {
  assert.throws(() => podName(aPod({ setHostnameAsFQDN: true, subdomain: 'b'.repeat(60) }), 'cluster.local'), /is too long \(64 characters is the max/)
})
