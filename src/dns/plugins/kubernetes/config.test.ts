import assert from 'node:assert/strict'
import { test } from 'node:test'
import { name, optionsOf } from '../../testing.ts'
import { plugin } from './plugin.ts'
import { selectorProblem } from './selector.ts'

const parse = (text: string, zones = ['.']) => optionsOf(plugin, text, { zones: zones.map(name) })

test('options and their defaults', () => {
  const plain = parse('kubernetes cluster.local')
  assert.deepEqual(plain, {
    zones: [name('cluster.local')], primary: name('cluster.local'), ttl: 5, pods: 'disabled', ignoreEmptyService: false, ptrHostnameOnly: false,
    api: {}, endpointPodNames: false, noEndpoints: false, startupTimeout: 5000,
  })
  const all = parse(`kubernetes in-addr.arpa cluster.local 2001:db8::/32 {
    endpoint https://192.168.109.1:6443 https://ignored:1
    tls client.crt /pki/client.key ca.crt
    namespaces a b
    labels app=web, tier in (x, y),!old
    pods verified
    endpoint_pod_names
    ttl 3600
    noendpoints
    fallthrough in-addr.arpa ip6.arpa
    ignore empty_service
    ptr_hostname_only
    startup_timeout 1m
    apiserver_qps 10.5
    apiserver_burst 20
    apiserver_max_inflight 5
  }`)
  assert.deepEqual({ ...all, namespaces: [...all.namespaces!] }, {
    zones: [name('in-addr.arpa'), name('cluster.local'), name('8.b.d.0.1.0.0.2.ip6.arpa')], primary: name('cluster.local'), ttl: 3600, pods: 'verified', ignoreEmptyService: true, ptrHostnameOnly: true,
    api: { endpoint: 'https://192.168.109.1:6443', tls: { cert: '/client.crt', key: '/pki/client.key', ca: '/ca.crt' } },
    namespaces: ['a', 'b'], labels: 'app=web, tier in (x, y),!old', endpointPodNames: true, noEndpoints: true,
    fallthrough: [name('in-addr.arpa'), name('ip6.arpa')], startupTimeout: 60_000,
  })
  assert.deepEqual(parse('kubernetes {\n kubeconfig kube.conf prod\n fallthrough\n namespace_labels a\n}', ['cluster.local', 'in-addr.arpa']), {
    ...plain, zones: [name('cluster.local'), name('in-addr.arpa')], api: { kubeconfig: { file: '/kube.conf', context: 'prod' } }, fallthrough: [name('.')], namespaceLabels: 'a',
  })
})

test('what is wrong is told with its line', () => {
  const cases: [body: string, problem: RegExp][] = [
    ['ttk 5', /Corefile:3 .*unknown property 'ttk' \(known: endpoint, /], ['constructor', /unknown property 'constructor'/], ['ttl', /argument count/], ['ttl 3601', /'3601' is not a whole number from 0 to 3600/], ['ttl -1', /from 0/], ['pods maybe', /wrong value for pods: maybe/],
    ['pods', /argument count/], ['ignore nothing', /unable to parse ignore value: 'nothing'/], ['noendpoints now', /argument count/], ['endpoint ftp://x', /no URL/], ['endpoint', /argument count/], ['tls a b', /argument count/],
    ['tls a b c', /tls is of the endpoint/], ['endpoint https://a\n kubeconfig b', /both say where/], ['labels a=b=c', /unable to parse label selector/], ['labels a in b', /no label key/], ['namespaces a\n namespace_labels b', /cannot both be set/],
    ['multicluster clusterset.local', /multicluster is not supported/], ['zonal', /zonal is not supported/], ['apiserver_qps no', /must be a number/], ['ttl 5 {\n }', /takes no block/], ['kubeconfig a b c', /argument count/], ['startup_timeout soon', /not a duration/], ['resyncperiod 5m', /unknown property/],
  ]
  for (const [body, problem] of cases) assert.throws(() => parse(`kubernetes cluster.local {\n ${body}\n}`), problem, body)
  assert.throws(() => parse('kubernetes in-addr.arpa 10.0.0.0/8'), /needs a zone that is no reverse zone/)
  assert.throws(() => parse('kubernetes a\nkubernetes b'), /only once/)
})

test('label selectors', () => {
  for (const text of ['a', '!a', 'a=b', 'a==b', 'a!=b', 'a in (b, c)', 'a notin (b)', 'a=', 'example.com/a=b', 'a>1', 'a,b in (c,d),e!=f']) assert.equal(selectorProblem(text), undefined, text)
  for (const text of ['', 'a,', '-a', 'a=b c', 'a in', 'a=ü', '/a', 'A.B/', 'a in (b!)']) assert.ok(selectorProblem(text), text)
})
