import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ConfigMap, Container, Secret, Service } from '#api/core/v1.ts'
import { aPod, aSpec } from '../testing.ts'
import { environment, type EnvContext } from './env.ts'
import { expand } from './expansion.ts'
import { serviceEnv } from './service-env.ts'

const service = (namespace: string, name: string, clusterIP: string, ports: Service['spec']['ports']): Service =>
  ({ metadata: { name, namespace }, spec: { clusterIP, ports } })
const kubernetes = service('default', 'kubernetes', '10.96.0.1', [{ name: 'https', port: 443, protocol: 'TCP' }])
const myNginx = service('default', 'my-nginx', '10.96.7.7', [{ port: 80, protocol: 'TCP' }])

test('a09: the variables of a Service', () => {
  assert.deepEqual(serviceEnv([kubernetes, myNginx], 'default', true).filter(([name]) => name.startsWith('MY_NGINX')), [
    ['MY_NGINX_SERVICE_HOST', '10.96.7.7'], ['MY_NGINX_SERVICE_PORT', '80'], ['MY_NGINX_PORT', 'tcp://10.96.7.7:80'], ['MY_NGINX_PORT_80_TCP', 'tcp://10.96.7.7:80'],
    ['MY_NGINX_PORT_80_TCP_PROTO', 'tcp'], ['MY_NGINX_PORT_80_TCP_PORT', '80'], ['MY_NGINX_PORT_80_TCP_ADDR', '10.96.7.7'],
  ])
  assert.deepEqual(serviceEnv([kubernetes], 'default', true).slice(0, 3), [['KUBERNETES_SERVICE_HOST', '10.96.0.1'], ['KUBERNETES_SERVICE_PORT', '443'], ['KUBERNETES_SERVICE_PORT_HTTPS', '443']])
})

const hosts = (services: Service[], namespace: string, links: boolean) => serviceEnv(services, namespace, links).filter(([name]) => name.endsWith('_HOST')).map(([name, ip]) => `${name}=${ip}`)
for (const [what, services, namespace, links, expected] of [
  ['of other namespaces only kubernetes', [kubernetes, myNginx], 'dev', true, ['KUBERNETES_SERVICE_HOST=10.96.0.1']],
  ['without links only kubernetes', [kubernetes, myNginx], 'default', false, ['KUBERNETES_SERVICE_HOST=10.96.0.1']],
  ['headless ones have none', [service('dev', 'h', 'None', [])], 'dev', true, []],
  ['the own namespace\'s kubernetes wins', [kubernetes, service('dev', 'kubernetes', '10.96.9.9', [])], 'dev', true, ['KUBERNETES_SERVICE_HOST=10.96.9.9']],
] as [string, Service[], string, boolean, string[]][]) test(what, () => assert.deepEqual(hosts(services, namespace, links), expected))

// The table of upstream's expansion_test.go, in short.
for (const [input, output] of [
  ['$(A)', 'a'], ['x-$(A)-y', 'x-a-y'], ['$(A)$(B)', 'ab'], ['$$(A)', '$(A)'], ['$$$(A)', '$a'], ['$$$$(A)', '$$(A)'], ['$(none)', '$(none)'], ['$(A', '$(A'], ['$A', '$A'],
  ['$', '$'], ['$$', '$'], ['$()', '$()'], ['$((A))', '$((A))'], ['$(A)$', 'a$'], ['\n$(A)', '\na'], ['$(E)', ''],
] as const) test(`expand ${JSON.stringify(input)}`, () => assert.equal(expand(input, name => ({ A: 'a', B: 'b', E: '' } as Record<string, string>)[name]), output))

const map: ConfigMap = { metadata: { name: 'm', namespace: 'default' }, data: { a: '1', b: '2', 'bad=key': 'x' } }
const secret: Secret = { metadata: { name: 's', namespace: 'default' }, data: { pw: Buffer.from('geheim').toString('base64') } }
const context: EnvContext = {
  services: [kubernetes], podIps: ['10.244.1.2'], hostIps: ['192.168.109.101'], allocatable: { cpu: '2', memory: '4Gi' },
  objects: { configMap: (_, name) => name === 'm' ? map : undefined, secret: (_, name) => name === 's' ? secret : undefined },
}
const env = (rest: Partial<Container>) => {
  const container = aSpec('c', rest)
  const all = environment(aPod({ containers: [container], nodeName: 'n', enableServiceLinks: false }, { labels: { app: 'x' } }), container, context)
  return Object.fromEntries(all.filter(([name]) => !name.startsWith('KUBERNETES_')))
}

test('every source', () => {
  assert.deepEqual(env({ resources: { limits: { cpu: '1500m' }, requests: { memory: '1500Ki' } }, env: [
    { name: 'IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } }, { name: 'NODE', valueFrom: { fieldRef: { fieldPath: 'spec.nodeName' } } },
    { name: 'APP', valueFrom: { fieldRef: { fieldPath: "metadata.labels['app']" } } },
    { name: 'CPU', valueFrom: { resourceFieldRef: { resource: 'limits.cpu' } } }, { name: 'CPU_M', valueFrom: { resourceFieldRef: { resource: 'limits.cpu', divisor: '1m' } } },
    { name: 'MEM', valueFrom: { resourceFieldRef: { resource: 'limits.memory', divisor: '1Mi' } } }, { name: 'REQ', valueFrom: { resourceFieldRef: { resource: 'requests.memory', divisor: '1Mi' } } },
    { name: 'A', valueFrom: { configMapKeyRef: { name: 'm', key: 'a' } } }, { name: 'PW', valueFrom: { secretKeyRef: { name: 's', key: 'pw' } } },
    { name: 'NONE', valueFrom: { configMapKeyRef: { name: 'm', key: 'zz', optional: true } } },
    { name: 'URL', value: 'http://$(IP):$(PORT)/$(A)@$(KUBERNETES_SERVICE_HOST)' },
  ] }), { IP: '10.244.1.2', NODE: 'n', APP: 'x', CPU: '2', CPU_M: '1500', MEM: '4096', REQ: '2', A: '1', PW: 'geheim', URL: 'http://10.244.1.2:$(PORT)/1@10.96.0.1' })
})

test('envFrom with prefix; env wins; keys that are no names are left out', () => {
  assert.deepEqual(env({ envFrom: [{ prefix: 'P_', configMapRef: { name: 'm' } }, { secretRef: { name: 's' } }, { configMapRef: { name: 'none', optional: true } }], env: [{ name: 'pw', value: 'over $(P_a)' }] }),
    { P_a: '1', P_b: '2', pw: 'over 1' })
})

for (const [rest, message] of [
  [{ envFrom: [{ configMapRef: { name: 'none' } }] }, 'configmap "none" not found'],
  [{ envFrom: [{ secretRef: { name: 'none' } }] }, 'secret "none" not found'],
  [{ env: [{ name: 'A', valueFrom: { configMapKeyRef: { name: 'm', key: 'zz' } } }] }, "couldn't find key zz in ConfigMap default/m"],
  [{ env: [{ name: 'A', valueFrom: { secretKeyRef: { name: 's', key: 'zz' } } }] }, "couldn't find key zz in Secret default/s"],
] as [Partial<Container>, string][]) test(message, () => assert.throws(() => env(rest), { message }))
