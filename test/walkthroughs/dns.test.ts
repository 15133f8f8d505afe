// The first of the walk-throughs about names, on a cluster that is started with --dns.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { eventually, manifest, startCluster, type TestCluster } from '../cluster.ts'

let cluster: TestCluster
before(async () => { cluster = await startCluster('--dns') }, { timeout: 120_000 })
after(async () => { await cluster?.remove() })

const dig = async (...query: string[]) => (await cluster.shell('k8s-master01', ['dig', '@10.96.0.10', '+noall', '+answer', '+time=2', '+tries=1', ...query])).stdout
  .split('\n').filter(Boolean).map(line => line.replaceAll(/\s+/g, ' ').trim())

test('resolv.conf: the search path of the pod\'s namespace and five dots', async () => {
  await cluster.kubectl(['create', 'ns', 'dev'])
  await cluster.kubectl(['create', '-f', manifest('b01-deployment')])
  const [pod] = await cluster.readyPods('app=nginx-pod', 3, 'dev')
  const { stdout } = await cluster.kubectl(['exec', pod!.name, '-n', 'dev', '--', 'cat', '/etc/resolv.conf'])
  assert.deepEqual(stdout.trim().split('\n').sort(), ['nameserver 10.96.0.10', 'options ndots:5', 'search dev.svc.cluster.local svc.cluster.local cluster.local'])
})

test('a Service is reached by its name, from its namespace and from another', async () => {
  await cluster.kubectl(['create', '-f', manifest('b02-service-clusterip')])
  const ip = await cluster.jsonpath(['service', 'service-clusterip', '-n', 'dev'], '{.spec.clusterIP}')
  await eventually(async () => assert.deepEqual(await dig('service-clusterip.dev.svc.cluster.local'), [`service-clusterip.dev.svc.cluster.local. 30 IN A ${ip}`]))
  const [pod] = await cluster.readyPods('app=nginx-pod', 3, 'dev')
  const get = async (pod: string, namespace: string, name: string) => (await cluster.kubectl(['exec', pod, '-n', namespace, '--', 'curl', '-sS', '--max-time', '5', `http://${name}/`])).stdout
  assert.match(await get(pod!.name, 'dev', 'service-clusterip'), /Welcome to nginx!/)
  await cluster.kubectl(['run', 'caller', '--image=nginx'])
  await cluster.readyPods('run=caller', 1)
  assert.match(await get('caller', 'default', 'service-clusterip.dev'), /Welcome to nginx!/)
})

test('b03: a headless Service has one address a ready pod, and no rule', async () => {
  await cluster.kubectl(['create', '-f', manifest('b03-service-headliness')])
  const pods = await cluster.readyPods('app=nginx-pod', 3, 'dev')
  await eventually(async () => assert.deepEqual((await dig('service-headliness.dev.svc.cluster.local')).map(line => line.split(' ')[4]).sort(), pods.map(pod => pod.ip).sort()))
  assert.match((await cluster.kubectl(['get', 'svc', 'service-headliness', '-n', 'dev'])).stdout, /service-headliness +ClusterIP +None +<none> +80\/TCP/)
  assert.doesNotMatch((await cluster.shell('k8s-node01', ['iptables-save'])).stdout, /service-headliness/)
})

test('d03: the pods of a StatefulSet have names that follow them', async () => {
  await cluster.kubectl(['create', '-f', manifest('d03-mongodb-headless'), '-f', manifest('d03-mongodb-statefulset')])
  await cluster.readyPods('app=mongodb', 3)
  const name = 'mongodb-0.mongodb-service-headless.default.svc.cluster.local'
  const address = async () => cluster.jsonpath(['pod', 'mongodb-0'], '{.status.podIP}')
  await eventually(async () => assert.deepEqual((await dig(name)).map(line => line.split(' ')[4]), [await address()]))
  await cluster.kubectl(['delete', 'pod', 'mongodb-0'])
  await cluster.readyPods('app=mongodb', 3)
  await eventually(async () => assert.deepEqual((await dig(name)).map(line => line.split(' ')[4]), [await address()]), 2000)
})

test('c04, b06: an ExternalName is a CNAME; names outside get SERVFAIL at once, for there is no upstream', async () => {
  await cluster.kubectl(['create', '-f', '-'], { input: 'apiVersion: v1\nkind: Service\nmetadata: {name: external}\nspec: {type: ExternalName, externalName: www.example.com}\n' })
  await eventually(async () => assert.match((await dig('external.default.svc.cluster.local')).join('\n'), /^external\.default\.svc\.cluster\.local\. 30 IN CNAME www\.example\.com\.$/m))
  const { stdout } = await cluster.shell('k8s-node02', ['dig', '@10.96.0.10', '+time=2', '+tries=1', 'www.example.com'])
  assert.match(stdout, /status: SERVFAIL/)
  assert.ok(Number(/Query time: (\d+) msec/.exec(stdout)![1]) < 1000)
})
