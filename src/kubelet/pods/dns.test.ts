import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { PodSpec } from '#api/core/v1.ts'
import { aPod } from '../testing.ts'
import { parseResolvConf, podDns } from './dns.ts'

const settings = { clusterDns: ['10.96.0.10'], clusterDomain: 'cluster.local', nodeResolvConf: '# node\nnameserver 192.168.109.1\nsearch example.com.\noptions rotate\n' }
const conf = (spec: Partial<PodSpec>, namespace = 'dev') => podDns(aPod(spec, { namespace }), settings)
const cluster = 'search dev.svc.cluster.local svc.cluster.local cluster.local example.com\nnameserver 10.96.0.10\noptions ndots:5\n'
const node = 'search example.com\nnameserver 192.168.109.1\noptions rotate\n'

const cases: [what: string, spec: Partial<PodSpec>, resolvConf: string][] = [
  ['ClusterFirst', { dnsPolicy: 'ClusterFirst' }, cluster],
  ['no policy', {}, cluster],
  ['a07: ClusterFirstWithHostNet', { dnsPolicy: 'ClusterFirstWithHostNet', hostNetwork: true }, cluster],
  ['a07: Default', { dnsPolicy: 'Default', hostNetwork: true }, node],
  ['a07: ClusterFirst on the host network', { dnsPolicy: 'ClusterFirst', hostNetwork: true }, node],
  ['a08: None with its own', { dnsPolicy: 'None', dnsConfig: { nameservers: ['1.2.3.4'], searches: ['ns1.svc.cluster-domain.example', 'my.dns.search.suffix'], options: [{ name: 'ndots', value: '2' }, { name: 'edns0' }] } },
    'search ns1.svc.cluster-domain.example my.dns.search.suffix\nnameserver 1.2.3.4\noptions ndots:2 edns0\n'],
  ['dnsConfig adds, and overrides options by name', { dnsConfig: { nameservers: ['1.1.1.1', '10.96.0.10'], searches: ['x.y', 'cluster.local'], options: [{ name: 'ndots', value: '1' }, { name: 'debug' }] } },
    'search dev.svc.cluster.local svc.cluster.local cluster.local example.com x.y\nnameserver 10.96.0.10\nnameserver 1.1.1.1\noptions ndots:1 debug\n'],
]
for (const [what, spec, expected] of cases) test(what, () => {
  const { resolvConf, warnings } = conf(spec)
  assert.equal(resolvConf, expected)
  assert.deepEqual(warnings, [])
})

test('a merged result over the limits is cut and said', () => {
  const { resolvConf, warnings } = conf({ dnsConfig: { nameservers: ['1.1.1.1', '2.2.2.2', '3.3.3.3'], searches: Array.from({ length: 32 }, (_, i) => `s${i}.example`) } })
  assert.deepEqual(parseResolvConf(resolvConf).nameservers, ['10.96.0.10', '1.1.1.1', '2.2.2.2'])
  assert.equal(parseResolvConf(resolvConf).searches.length, 32)
  assert.equal(warnings[0], 'Nameserver limits were exceeded, some nameservers have been omitted, the applied nameserver line is: 10.96.0.10 1.1.1.1 2.2.2.2')
  assert.match(warnings[1]!, /^Search Line limits were exceeded, some search paths have been omitted, the applied search line is: dev\.svc\.cluster\.local /)
})

test('searches are at most 2048 characters', () => {
  const { resolvConf, warnings } = conf({ dnsConfig: { searches: Array.from({ length: 20 }, (_, i) => `${String(i).padStart(200, 'x')}.example`) } })
  assert.ok(parseResolvConf(resolvConf).searches.join(' ').length <= 2048)
  assert.equal(warnings.length, 1)
})
