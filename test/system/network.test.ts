// The pod network and the API from inside it, on a cluster of one node and on one of three.
import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { eventually, manifest, startCluster, type TestCluster } from '../cluster.ts'

suite('one node', () => {
  let cluster: TestCluster
  before(async () => { cluster = await startCluster('--nodes', '1') }, { timeout: 120_000 })
  after(async () => { await cluster?.remove() })

  test('Services between pods of one node need no br_netfilter', async () => {
    // With the bridge keeping its packets from iptables (or the module absent), translated answers must still come home.
    await cluster.shell('k8s-master01', ['sh', '-c', 'echo 0 > /proc/sys/net/bridge/bridge-nf-call-iptables || true'])
    await cluster.kubectl(['create', '-f', manifest('c01-hostnames')])
    const pods = await cluster.readyPods('app=hostnames', 3)
    const ip = await cluster.jsonpath(['service', 'hostnames'], '{.spec.clusterIP}')
    await eventually(() => cluster.curl('k8s-master01', ip))
    await cluster.kubectl(['run', 'caller', '--image=busybox', '--', 'sleep', '3600'])
    await cluster.readyPods('run=caller', 1)
    const { stdout } = await cluster.kubectl(['exec', 'caller', '--', 'sh', '-c', `for i in $(seq 20); do timeout 3 wget -qO- http://${ip}/ && echo; done`])
    const answers = stdout.trim().split('\n')
    assert.equal(answers.length, 20)
    for (const answer of answers) assert.ok(pods.some(pod => pod.name === answer), answer)
  })

  test('a Service without endpoints refuses every one of many connections at once', async () => {
    await cluster.kubectl(['create', 'service', 'clusterip', 'empty', '--tcp=80:80'])
    const ip = await cluster.jsonpath(['service', 'empty'], '{.spec.clusterIP}')
    const script = `for i in 1 2 3 4 5 6 7 8; do curl -s -o /dev/null --max-time 2 http://${ip}/; echo $?; done`
    await eventually(async () => assert.equal((await cluster.shell('k8s-master01', ['sh', '-c', script])).stdout, '7\n'.repeat(8)))
  })

  test('a pod reaches the API through the kubernetes Service with its token, and has the rights that RBAC gives it', async () => {
    await cluster.kubectl(['run', 'client', '--image=nginx'])
    await cluster.readyPods('run=client', 1)
    const account = '/var/run/secrets/kubernetes.io/serviceaccount'
    const get = async (path: string) => JSON.parse((await cluster.kubectl(['exec', 'client', '--', 'sh', '-c',
      `curl -s --cacert ${account}/ca.crt -H "Authorization: Bearer $(cat ${account}/token)" https://$KUBERNETES_SERVICE_HOST:$KUBERNETES_SERVICE_PORT${path}`])).stdout) as { kind: string; message?: string; items?: unknown[] }
    assert.match((await get('/api/v1/namespaces/default/pods')).message!, /User "system:serviceaccount:default:default" cannot list resource "pods"/)
    await cluster.kubectl(['create', 'rolebinding', 'viewer', '--clusterrole=view', '--serviceaccount=default:default'])
    assert.ok((await get('/api/v1/namespaces/default/pods')).items!.length > 0)
    assert.match((await get('/api/v1/namespaces/default/secrets')).message!, /cannot list resource "secrets"/)
    assert.equal((await get('/api/v1/nodes')).kind, 'Status')
  })
})

suite('three nodes', () => {
  let cluster: TestCluster
  before(async () => { cluster = await startCluster() }, { timeout: 120_000 })
  after(async () => { await cluster?.remove() })

  test('pods of two nodes see each other\'s own addresses; the client machine reaches nodes only', async () => {
    await cluster.kubectl(['create', '-f', '-'], { input: onePodEachWorker })
    const pods = await cluster.readyPods('app=echo', 2)
    const [from, to] = pods as [typeof pods[0], typeof pods[0]]
    assert.notEqual(from.node, to.node)
    const seen = await eventually(() => cluster.kubectl(['exec', from.name, '--', 'sh', '-c', `wget -qO- http://${to.ip}:8080/clientip || curl -s http://${to.ip}:8080/clientip`]))
    assert.match(seen.stdout, new RegExp(`^${from.ip.replaceAll('.', '\\.')}:\\d+$`))
    assert.notEqual((await cluster.shell('client', ['curl', '-s', '--max-time', '2', `http://${to.ip}:8080/`])).code, 0)
    assert.equal((await cluster.shell('client', ['ping', '-c1', '-W2', '192.168.109.101'])).code, 0)
  })
})

const onePodEachWorker = `apiVersion: apps/v1
kind: DaemonSet
metadata: {name: echo}
spec:
  selector: {matchLabels: {app: echo}}
  template:
    metadata: {labels: {app: echo}}
    spec:
      containers: [{name: echo, image: registry.k8s.io/e2e-test-images/agnhost:2.40, args: [netexec]}]
`
