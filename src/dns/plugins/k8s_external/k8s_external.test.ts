import assert from 'node:assert/strict'
import { test } from 'node:test'
import { failure, records, type Instance } from '../../plugin.ts'
import { ask, chainOf, name, optionsOf, testEnv } from '../../testing.ts'
import { address } from '../../wire/rdata.ts'
import { types } from '../../wire/types.ts'
import { brief, clusterOf, namespace, service, slice, type Objects } from '../kubernetes/testing.ts'
import { plugin } from './plugin.ts'

const objects: Objects = {
  namespaces: ['default', 'kube-system', 'empty'].map(namespace),
  services: [
    service('default/lb', '10.96.0.1', 'http:80 https:443', { type: 'LoadBalancer', ingress: ['192.0.2.10'] }),
    service('default/ext', '10.96.0.2', 'http:80', { externalIPs: ['192.0.2.11', '2001:db8::11'] }),
    service('default/inner', '10.96.0.3', 'http:80'),
    service('default/db', 'None', 'peer:5432'),
    service('kube-system/kube-dns', '10.96.0.10', 'dns/UDP:53', { externalIPs: ['192.0.2.53'] }),
    { ...service('default/named', '10.96.0.4', 'http:80'), status: { loadBalancer: { ingress: [{ hostname: 'lb.example.net' }] } } },
  ],
  slices: [slice('default/db-a', 'db', 'db-0=10.244.0.1 db-1=10.244.0.2', 'peer:15432'), slice('kube-system/kube-dns-a', 'kube-dns', '10.244.0.9', 'dns/UDP:53'), slice('default/inner-a', 'inner', '10.244.0.5', 'http:8080')],
}

function serverOf(lines: string, { synced = true } = {}) {
  let kubernetes: Instance
  const env = testEnv({ peer: of => of === 'kubernetes' ? kubernetes : undefined,
    lookup: query => query.name === name('lb.example.net') ? Promise.resolve(records({ answer: query.type === types.A ? [address(query.asked, 60, '198.51.100.1')] : [] })) : failure('nothing else is asked for') })
  kubernetes = clusterOf('kubernetes cluster.local', objects, { localIps: ['10.244.0.9'], synced }).instance
  const { serve, instance } = chainOf(plugin, lines, { env, next: () => records({ error: 'passed on' }) })
  const get = async (text: string) => {
    const [of, type] = text.split(' ') as [string, string]
    const query = ask(of.endsWith('.') ? of : `${of}.example.org`, type)
    const answer = await serve(query)
    return answer.error ?? brief(answer, query, 5)
  }
  return { get, instance, env }
}
const missing = 'NXDOMAIN example.org.', nodata = 'NODATA example.org.'

async function check(lines: string, cases: Record<string, string>): Promise<void> {
  const { get } = serverOf(lines)
  const got: Record<string, string> = {}
  for (const text of Object.keys(cases)) got[text] = await get(text)
  assert.deepEqual(got, cases)
}

test('Services by what reaches them from outside', () => check('k8s_external example.org', {
  'lb.default A': 'A 192.0.2.10', 'LB.Default A': 'A 192.0.2.10', 'lb.default AAAA': nodata, 'lb.default TXT': nodata, 'ext.default A': 'A 192.0.2.11', 'ext.default AAAA': 'AAAA 2001:db8::11',
  'inner.default A': missing, 'db.default A': missing, 'db-0.db.default A': missing, 'nothing.default A': missing, 'default A': nodata, 'empty A': nodata, 'nowhere A': missing, 'x.lb.default A': missing, 'a.b.c.lb.default A': missing,
  '_http._tcp.lb.default SRV': 'SRV 0 100 80 lb.default.example.org. + lb.default.example.org. A 192.0.2.10', '_http._udp.lb.default SRV': missing,
  'ext.default SRV': 'SRV 0 50 80 ext.default.example.org. + ext.default.example.org. A 192.0.2.11, ext.default.example.org. AAAA 2001:db8::11',
  'named.default A': 'CNAME lb.example.net., lb.example.net. A 198.51.100.1 @60', 'named.default AAAA': 'CNAME lb.example.net.', 'named.default TXT': 'CNAME lb.example.net.', '_http._tcp.named.default SRV': 'SRV 0 100 80 lb.example.net.', '_x._tcp.named.default SRV': missing,
  'other.test. A': 'passed on',
}))

test('the zone itself', () => check('k8s_external example.org', {
  'example.org. SOA': 'SOA ns1.dns.example.org. hostmaster.dns.example.org. 1700000000 7200 1800 86400 5', 'example.org. NS': 'NS ns1.dns.example.org. + ns1.dns.example.org. A 192.0.2.53', 'example.org. A': nodata,
  'dns A': nodata, 'ns1.dns A': 'A 192.0.2.53', 'ns1.dns AAAA': nodata, 'ns2.dns A': missing, 'a.ns1.dns A': missing,
}))

test('options: headless, apex, ttl, fallthrough', async () => {
  await check('k8s_external example.org {\n headless\n apex names\n ttl 5\n fallthrough sub.example.org nothing.default.example.org\n}', {
    'db.default A': 'A 10.244.0.1, A 10.244.0.2', 'db-1.db.default A': 'A 10.244.0.2', '_peer._tcp.db.default SRV': 'SRV 0 50 15432 db-0.db.default.example.org., SRV 0 50 15432 db-1.db.default.example.org. + db-0.db.default.example.org. A 10.244.0.1, db-1.db.default.example.org. A 10.244.0.2',
    '10-244-0-5.inner.default A': 'A 10.244.0.5', 'inner.default A': missing, 'ns1.names A': 'A 192.0.2.53', 'x.nothing.default A': 'passed on', 'nothing.default A': 'passed on',
  })
  const { get } = serverOf('k8s_external example.org {\n ttl 60\n}')
  assert.equal(await get('lb.default A'), 'A 192.0.2.10 @60')
})

test('reverse zones: external addresses to names of the first zone', () => check('k8s_external example.org in-addr.arpa ip6.arpa', {
  '10.2.0.192.in-addr.arpa. PTR': 'PTR lb.default.example.org.', '99.2.0.192.in-addr.arpa. PTR': 'NXDOMAIN in-addr.arpa.', '1.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa. PTR': 'PTR ext.default.example.org.',
}))

test('not synced yet is a failure', async () => {
  const { get } = serverOf('k8s_external example.org', { synced: false })
  assert.match(await get('nothing.default A'), /k8s_external: not synced/)
})

test('a transfer', () => {
  const { instance } = serverOf('k8s_external example.org {\n headless\n}')
  const all = [...instance.transfer!(name('example.org'))!].flat()
  assert.deepEqual(all.map(record => record.type), [types.SOA, types.NS, types.A, types.A, types.A, types.A, types.A, types.A, types.AAAA, types.A, types.CNAME, types.A, types.SOA])
  assert.equal(instance.transfer!(name('cluster.local')), undefined)
})

test('without kubernetes there is nothing to answer, and that is told', async () => {
  const env = testEnv()
  const { instance, serve } = chainOf(plugin, 'k8s_external example.org', { env, next: () => failure('passed on') })
  await instance.start!()
  assert.match(env.logged[0]!, /no kubernetes in its server block/)
  assert.equal((await serve(ask('lb.default.example.org'))).error, 'passed on')
})

test('what is wrong in the Corefile is told', () => {
  for (const text of ['{\n apex a.b\n}', '{\n ttl x\n}', '{\n headless yes\n}', '{\n x\n}', 'a..b']) assert.throws(() => optionsOf(plugin, `k8s_external ${text}`), /Corefile:\d/, text)
  assert.deepEqual(optionsOf(plugin, 'k8s_external', { zones: [name('example.org')] }), { zones: [name('example.org')], apex: 'dns', ttl: 5, headless: false })
})
