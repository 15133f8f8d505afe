// What each option changes, and what becomes of questions beside the table's.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { failure, records, type Result } from '../../plugin.ts'
import { render } from '../../answer.ts'
import { Query } from '../../query.ts'
import { testEnv } from '../../testing.ts'
import { decode } from '../../wire/message.ts'
import { name as nameOf, ask, show } from '../../testing.ts'
import { flags, rcodes, types } from '../../wire/types.ts'
import { objects } from './cases.ts'
import { brief, clusterOf, externalName, fill, namespace, pod, question, service, slice, type Objects } from './testing.ts'

/** Each question with its answer, for a Corefile's lines. */
function check(lines: string, cases: Record<string, string>, given: Objects & Parameters<typeof clusterOf>[2] = objects): void {
  const { instance } = clusterOf(lines, given, given)
  const got = Object.fromEntries(Object.keys(cases).map(text => {
    const query = question(text), answer = instance.resolver.answer(query)
    assert.ok(!(answer instanceof Promise))
    return [text, answer ? brief(answer, query, instance.options.ttl) : 'passed on']
  }))
  assert.deepEqual(got, cases)
}
const missing = 'NXDOMAIN cluster.local.', nodata = 'NODATA cluster.local.'

test('pods disabled: no names of pods', () => check('kubernetes cluster.local', { '10-244-1-5.default.pod A': missing, 'default.pod A': missing, 'pod A': nodata }))

test('pods verified: only pods that are, in their namespace', () => check('kubernetes cluster.local {\n pods verified\n}', {
  '10-244-1-5.default.pod A': 'A 10.244.1.5', '10-244-1-5.other.pod A': missing, '1-2-3-4.default.pod A': missing, '2001-db8-2--9.other.pod AAAA': 'AAAA 2001:db8:2::9', '10-244-2-9.other.pod AAAA': nodata, 'default.pod A': nodata,
}))

test('namespaces: the others do not exist', () => check('kubernetes cluster.local in-addr.arpa {\n namespaces default\n}', {
  'web.default.svc A': 'A 10.96.0.20', 'web.other.svc A': missing, 'other.svc A': missing, 'default.svc A': nodata, '20.0.97.10.in-addr.arpa. PTR': 'NXDOMAIN in-addr.arpa.', '5.1.244.10.in-addr.arpa. PTR': 'PTR 10-244-1-5.web.default.svc.cluster.local.',
}))

test('namespace_labels: only namespaces that the selector lists, and no longer than it does', () => {
  const { instance, catalog } = clusterOf('kubernetes cluster.local {\n namespace_labels dns=yes\n}', objects)
  const get = (text: string) => { const query = question(text); return brief(instance.resolver.answer(query) as never, query, 5) }
  assert.equal(get('web.default.svc A'), 'A 10.96.0.20')
  assert.equal(get('web.late.svc A'), missing)
  catalog.changeNamespace(namespace('default'), undefined)
  assert.equal(get('web.default.svc A'), missing)
  catalog.changeNamespace(undefined, namespace('default'))
  assert.equal(get('web.default.svc A'), 'A 10.96.0.20')
})

test('noendpoints: no slices, no headless names', () => check('kubernetes cluster.local {\n noendpoints\n}', { 'web.default.svc A': 'A 10.96.0.20', 'db.default.svc A': missing, 'db-0.db.default.svc A': missing }, { services: objects.services! }))

test('ignore empty_service: Services without a ready endpoint do not exist', () => check('kubernetes cluster.local {\n ignore empty_service\n}', {
  'web.default.svc A': 'A 10.96.0.20', 'noendpoints.default.svc A': missing, 'unnamed.default.svc A': missing, 'ext.default.svc CNAME': 'CNAME www.example.com.', 'db.default.svc A': 'A 10.244.2.1, A 10.244.2.2',
}))

const podNames: Objects = { services: [service('default/db', 'None', 'p:1')], slices: [slice('default/db-a', 'db', `10.0.0.1@db-abc h=10.0.0.2@db-def 10.0.0.3 10.0.0.4@${'x'.repeat(64)}`, 'p:1')] }
test('endpoint_pod_names: hostname, then pod, then address', () => {
  check('kubernetes cluster.local {\n endpoint_pod_names\n}', {
    'db-abc.db.default.svc A': 'A 10.0.0.1', '10-0-0-1.db.default.svc A': missing, 'h.db.default.svc A': 'A 10.0.0.2', 'db-def.db.default.svc A': missing, '10-0-0-3.db.default.svc A': 'A 10.0.0.3', '10-0-0-4.db.default.svc A': 'A 10.0.0.4',
  }, podNames)
  check('kubernetes cluster.local', { 'db-abc.db.default.svc A': missing, '10-0-0-1.db.default.svc A': 'A 10.0.0.1' }, podNames)
})
test('ptr_hostname_only: no PTR without a hostname', () => check('kubernetes cluster.local in-addr.arpa {\n ptr_hostname_only\n}', { '1.0.0.10.in-addr.arpa. PTR': 'NXDOMAIN in-addr.arpa.', '2.0.0.10.in-addr.arpa. PTR': 'PTR h.db.default.svc.cluster.local.' }, podNames))

test('fallthrough: missing names are passed on, empty ones are not', () => {
  check('kubernetes cluster.local in-addr.arpa {\n fallthrough in-addr.arpa\n}', { '9.9.9.9.in-addr.arpa. PTR': 'passed on', '20.0.96.10.in-addr.arpa. PTR': 'PTR web.default.svc.cluster.local.', 'nothing.default.svc A': missing })
  check('kubernetes cluster.local {\n fallthrough\n}', { 'nothing.default.svc A': 'passed on', 'x A': 'passed on', 'default.svc A': nodata, 'web.default.svc AAAA': nodata })
})

test('several zones have the same names; PTR points into the first', () => check('kubernetes cluster.local k8s.example in-addr.arpa b.cluster.local', {
  'web.default.svc A': 'A 10.96.0.20', 'web.default.svc.k8s.example. A': 'A 10.96.0.20', 'web.default.svc.b.cluster.local. A': 'A 10.96.0.20', 'no.default.svc.b.cluster.local. A': 'NXDOMAIN b.cluster.local.',
  '20.0.96.10.in-addr.arpa. PTR': 'PTR web.default.svc.cluster.local.', '_http._tcp.web.default.svc.k8s.example. SRV': 'SRV 0 100 80 web.default.svc.k8s.example. + web.default.svc.k8s.example. A 10.96.0.20',
}))
test('the root as the zone', () => check('kubernetes .', { 'web.default.svc. A': 'A 10.96.0.20', 'nothing. A': 'NXDOMAIN .', '. SOA': 'SOA ns.dns. hostmaster. 1700000000 7200 1800 86400 5', '20.0.96.10.in-addr.arpa. PTR': 'PTR web.default.svc.' }))
test('the SOA lives no longer than five minutes, and says the TTL as its minimum', () => {
  const { instance } = clusterOf('kubernetes cluster.local {\n ttl 3600\n}', objects)
  const query = question('cluster.local. SOA'), missing = question('x A')
  assert.equal(brief(instance.resolver.answer(query) as never, query), 'SOA ns.dns.cluster.local. hostmaster.cluster.local. 1700000000 7200 1800 86400 3600 @300')
  assert.match(show(instance.resolver.answer(missing) as never, missing), /cluster\.local\.\t300\tIN\tSOA\t.* 3600$/)
})
test('a part of a reverse zone', () => check('kubernetes cluster.local 10.96.0.0/24', { '20.0.96.10.in-addr.arpa. PTR': 'PTR web.default.svc.cluster.local.', '20.0.97.10.in-addr.arpa. PTR': 'passed on', '0.96.10.in-addr.arpa. A': 'NODATA 0.96.10.in-addr.arpa.' }))

test('without endpoints of ours, NS are the addresses of this machine', () => check('kubernetes cluster.local', {
  'cluster.local. NS': 'NS ns.dns.cluster.local. + ns.dns.cluster.local. A 192.0.2.1, ns.dns.cluster.local. AAAA 2001:db8::53', 'ns.dns AAAA': 'AAAA 2001:db8::53',
}, { localIps: ['192.0.2.1', '2001:db8::53'] } as Objects))
test('as endpoints of a headless Service, NS are its endpoints', () => check('kubernetes cluster.local', {
  'cluster.local. NS': 'NS 10-0-0-1.dns.a.svc.cluster.local., NS two.dns.a.svc.cluster.local. + 10-0-0-1.dns.a.svc.cluster.local. A 10.0.0.1, two.dns.a.svc.cluster.local. A 10.0.0.2',
}, { services: [service('a/dns', 'None')], slices: [slice('a/dns-a', 'dns', '10.0.0.1 two=10.0.0.2')], localIps: ['10.0.0.1'] } as Objects))

test('before the first sync what is missing is a failure, and what is there is answered', () => {
  const { instance, catalog } = clusterOf('kubernetes cluster.local {\n fallthrough example.org\n}', { services: [service('default/web', '10.96.0.20', 'http:80')] }, { synced: false })
  const get = (text: string) => { const query = question(text); return show(instance.resolver.answer(query) as never, query).split('\n')[0] }
  assert.deepEqual([get('nothing.default.svc A'), get('web.default.svc AAAA'), get('web.default.svc A'), instance.ready()], ['SERVFAIL', 'SERVFAIL', 'NOERROR', false])
  catalog.synced = true
  assert.deepEqual([get('nothing.default.svc A'), get('web.default.svc AAAA'), instance.ready()], ['NXDOMAIN', 'NOERROR', true])
})

test('targets of ExternalName that the upstream fails, denies, or leads back', async () => {
  const get = async (lookup: (query: Query) => Result, text = 'ext.default.svc A') => {
    const { instance } = clusterOf('kubernetes cluster.local', objects, { env: testEnv({ lookup }) })
    const query = question(text), answer = await instance.resolver.answer(query)!
    return brief(answer, query, 5)
  }
  assert.equal(await get(() => failure('down')), 'SERVFAIL CNAME www.example.com.')
  assert.equal(await get(() => Promise.resolve(records({ rcode: rcodes.REFUSED }))), 'SERVFAIL CNAME www.example.com.')
  assert.equal(await get(() => records({ rcode: rcodes.NXDOMAIN })), 'NXDOMAIN CNAME www.example.com.')
  assert.equal(await get(() => records({ flags: flags.TC })), 'CNAME www.example.com. TC')
  // Two clusters whose Services point at each other: the chain ends, and says so.
  const here = clusterOf('kubernetes cluster.local', { services: [externalName('a/x', 'x.a.svc.there.example')] }, { env: testEnv({ lookup: query => there.instance.resolver.answer(query)! }) })
  const there = clusterOf('kubernetes there.example', { services: [externalName('a/x', 'x.a.svc.cluster.local')] }, { env: testEnv({ lookup: query => here.instance.resolver.answer(query)! }) })
  const query = question('x.a.svc A')
  assert.match(brief(await here.instance.resolver.answer(query)!, query, 5), /^SERVFAIL/)
})
test('a long chain inside the zone is cut', () => {
  const services = Array.from({ length: 20 }, (_, i) => externalName(`a/x${i}`, `x${i + 1}.a.svc.cluster.local`))
  check('kubernetes cluster.local', { 'x0.a.svc A': nodata, 'x11.a.svc A': `NXDOMAIN cluster.local. CNAME x12.a.svc.cluster.local., ${Array.from({ length: 8 }, (_, i) => `x${i + 12}.a.svc.cluster.local. CNAME x${i + 13}.a.svc.cluster.local.`).join(', ')}` }, { services })
})

test('answers that do not fit are cut at a record, with TC; any part of the addresses may be the one sent', () => {
  const ips = Array.from({ length: 5000 }, (_, i) => `10.1.${i >> 8}.${i & 255}`)
  let chance = 0
  const { instance } = clusterOf('kubernetes cluster.local', { services: [service('a/big', 'None', 'p:1')], slices: [slice('a/big-a', 'big', ips.join(' '), 'p:1')] }, { env: testEnv({ random: () => chance }) })
  for (const [text, size, dnssec] of [['big.a.svc A', 512, false], ['big.a.svc A', 1232, true], ['_p._tcp.big.a.svc SRV', 512, false], ['_p._tcp.big.a.svc SRV', 1232, true], ['big.a.svc SRV', 65_535, true]] as const) {
    for (chance of [0, 0.5, 0.999]) {
      const query = ask(`${text.split(' ')[0]}.cluster.local`, text.split(' ')[1]!, { dnssec })
      query.size = size
      const sent = render(query, instance.resolver.answer(query) as never)
      const message = decode(sent)
      assert.ok(sent.length <= size && sent.length > size * 0.9, `${text}: ${sent.length} of ${size}`)
      assert.equal((message.flags & flags.TC) !== 0, true, text)
      assert.ok(message.answer.length > 5 && message.answer.every(record => record.type === (text.endsWith('SRV') ? types.SRV : types.A)))
      if (text === 'big.a.svc A') assert.deepEqual([...message.answer[0]!.data], chance === 0 ? [10, 1, 0, 0] : [10, 1, ...message.answer[0]!.data.subarray(2)])
    }
  }
  const whole = ask('big.a.svc.cluster.local', 'A')
  whole.size = 65_535
  assert.equal(decode(render(whole, instance.resolver.answer(whole) as never)).answer.length, Math.floor((65_535 - whole.end) / 16))
})
test('additional records are left out before any of the answer', () => {
  const { instance } = clusterOf('kubernetes cluster.local', { services: [service('a/mid', 'None', 'p:1')], slices: [slice('a/mid-a', 'mid', Array.from({ length: 8 }, (_, i) => `10.1.0.${i}`).join(' '), 'p:1')] })
  const query = ask('_p._tcp.mid.a.svc.cluster.local', 'SRV')
  query.size = 512
  const message = decode(render(query, instance.resolver.answer(query) as never))
  assert.equal(message.answer.length, 8)
  assert.ok(message.additional.length > 0 && message.additional.length < 8, String(message.additional.length))
  assert.equal(message.flags & flags.TC, 0)
})

test('the case of the question comes back', () => {
  const { instance } = clusterOf('kubernetes cluster.local', objects)
  for (const text of ['wEb.DEFAULT.svc.Cluster.Local', 'web.default.svc.cluster.local']) {
    const query = ask(text, 'A')
    const message = decode(render(query, instance.resolver.answer(query) as never))
    assert.equal(message.questions[0]!.name, nameOf(text))
    assert.equal(message.answer[0]!.name, nameOf(text))
  }
})
test('other classes are not ours', () => {
  const { instance } = clusterOf('kubernetes cluster.local', objects)
  assert.equal(instance.resolver.answer(Query.make(nameOf('web.default.svc.cluster.local'), types.A, { class: 3 })), undefined)
})

test('its names are for no cache to keep, but reverse names that fall through', () => {
  const { instance } = clusterOf('kubernetes cluster.local in-addr.arpa ip6.arpa {\n fallthrough in-addr.arpa cluster.local\n}', objects)
  assert.deepEqual(['web.default.svc A', 'nothing A', '1.0.0.10.in-addr.arpa. PTR', '1.ip6.arpa. PTR', 'example.org. A'].map(text => instance.owns(question(text))), [true, true, false, true, false])
})

test('metadata', () => {
  const { instance } = clusterOf('kubernetes cluster.local {\n pods verified\n}', objects)
  const labels = (text: string, address = '10.9.9.9') => Object.fromEntries([...instance.metadata(ask(text, 'SRV', { origin: { address } }))].map(([label, value]) => [label.slice('kubernetes/'.length), value()]))
  assert.deepEqual(labels('_http._tcp.web.default.svc.cluster.local'), { 'port-name': 'http', protocol: 'tcp', endpoint: '', service: 'web', namespace: 'default', kind: 'svc' })
  assert.deepEqual(labels('db-0.db.default.svc.cluster.local', '10.244.1.5'), { 'port-name': '', protocol: '', endpoint: 'db-0', service: 'db', namespace: 'default', kind: 'svc', 'client-namespace': 'default', 'client-pod-name': 'p1' })
  assert.deepEqual(labels('x.cluster.local'), { 'parse-error': 'invalid query name' })
  assert.deepEqual(labels('example.org', '192.168.109.100'), {})
})

test('search paths are of known pods with an address of their own', () => {
  const { instance, catalog } = clusterOf('kubernetes cluster.local {\n pods verified\n}', objects)
  const path = (text: string, address: string) => instance.searchPath!(ask(text, 'A', { origin: { address } }))
  assert.deepEqual(path('x.default.svc.cluster.local', '10.244.1.5'), ['default.svc.cluster.local', 'svc.cluster.local', 'cluster.local', '.'].map(nameOf))
  assert.equal(path('x.default.svc.cluster.local', '192.168.109.100'), undefined)
  assert.equal(path('x.default.svc.cluster.local', '10.9.9.9'), undefined)
  assert.equal(path('example.org', '10.244.1.5'), undefined)
  // An address that has gone from one pod to another: for a moment both are known.
  fill(catalog, { pods: [pod('other/new', '10.244.1.5')] })
  assert.equal(path('x.other.svc.cluster.local', '10.244.1.5')![0], nameOf('other.svc.cluster.local'))
  assert.equal(path('x.default.svc.cluster.local', '10.244.1.5')![0], nameOf('default.svc.cluster.local'))
  assert.equal(clusterOf('kubernetes cluster.local', objects).instance.searchPath, undefined)
})

test('a transfer has each name that is answered', () => {
  const { instance } = clusterOf('kubernetes cluster.local in-addr.arpa', objects, { localIps: ['10.244.0.2'] })
  for (const zone of ['cluster.local', 'in-addr.arpa']) {
    const all = [...instance.transfer(nameOf(zone))!].flat()
    assert.deepEqual([all[0]!.type, all.at(-1)!.type, all.slice(1, -1).some(({ type }) => type === types.SOA)], [types.SOA, types.SOA, false])
    assert.ok(all.length > (zone === 'cluster.local' ? 100 : 20), String(all.length))
    for (const record of all) {
      const query = Query.make(record.name, record.type)
      const answer = decode(render(query, instance.resolver.answer(query) as never)).answer
      assert.ok(answer.some(({ data, ttl }) => data.equals(record.data) && ttl === record.ttl), show(records({ answer: [record] }), query))
    }
  }
  assert.equal(instance.transfer(nameOf('example.org')), undefined)
  assert.equal([...instance.transfer(nameOf('cluster.local'), instance.source.catalog.serial)!].flat().length, 1)
})
