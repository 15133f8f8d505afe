// Walk-through a02: a Service without a selector, whose Endpoints a person writes, with the real
// kubectl of two versions. The listener here is a pod that no selector picks.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { after, before, suite, test } from 'node:test'
import { eventually, kubectlVersions, manifest, startCluster, type TestCluster } from '../cluster.ts'

let cluster: TestCluster, listener: string
before(async () => {
  cluster = await startCluster()
  await cluster.kubectl(['create', '-f', '-'], { input: listenerPod })
  listener = (await cluster.readyPods('run=listener', 1))[0]!.ip
}, { timeout: 120_000 })
after(async () => { await cluster?.remove() })

const nodes = ['k8s-master01', 'k8s-node01', 'k8s-node02']

for (const version of kubectlVersions) suite(`with kubectl ${version}`, () => {
  const kubectl = (args: string[], options: { input?: string } = {}) => cluster.kubectl(args, { ...options, version })
  /** `name 9376 192.0.2.42` of each slice of the Service. */
  const slices = () => cluster.jsonpath(['endpointslices', '-l', 'kubernetes.io/service-name=my-service,endpointslice.kubernetes.io/managed-by=endpointslicemirroring-controller.k8s.io'],
    '{range .items[*]}{.ports[*].port} {.endpoints[*].addresses[0]}{"\\n"}{end}')
  const follows = (shown: string) => eventually(async () => assert.equal(await slices(), shown === '' ? '' : `${shown}\n`))
  const endpoints = (path: string) => cluster.jsonpath(['endpoints', 'my-service'], path)
  const refused = async (ip: string) => assert.notEqual((await cluster.shell('k8s-node01', ['curl', '-s', '--max-time', '2', `http://${ip}/`])).code, 0)
  const byHand = (ip: string) => readFileSync(manifest('a02-service-without-selector'), 'utf8').split('---\n')[1]!.replace('192.0.2.42', ip)

  test('a02: the slice mirrors what was written, and traffic goes there', async () => {
    await kubectl(['create', '-f', manifest('a02-service-without-selector')])
    await follows('9376 192.0.2.42')
    assert.match((await kubectl(['get', 'endpoints', 'my-service'])).stdout, /my-service +192\.0\.2\.42:9376 +\d+s/)
    const ip = await cluster.jsonpath(['service', 'my-service'], '{.spec.clusterIP}')
    await kubectl(['replace', '-f', '-'], { input: byHand(listener) })
    await follows(`9376 ${listener}`)
    for (const node of nodes) assert.equal(await eventually(() => cluster.curl(node, `http://${ip}/hostname`)), 'listener', node)
    assert.match((await kubectl(['describe', 'service', 'my-service'])).stdout, new RegExp(`^Endpoints: +${listener.replaceAll('.', '\\.')}:9376$`, 'm'))
  })

  test('a02: deleting and making the Endpoints anew by hand is respected, nothing rewrites them', async () => {
    const ip = await cluster.jsonpath(['service', 'my-service'], '{.spec.clusterIP}'), before = await endpoints('{.metadata.resourceVersion}')
    await sleep(1000)
    assert.equal(await endpoints('{.metadata.resourceVersion}'), before)
    await kubectl(['delete', 'endpoints', 'my-service'])
    await follows('')
    await eventually(() => refused(ip))
    await sleep(1000)
    assert.equal((await kubectl(['get', 'endpoints', 'my-service', '--ignore-not-found', '-o', 'name'])).stdout, '')
    await kubectl(['create', '-f', '-'], { input: byHand(listener) })
    await follows(`9376 ${listener}`)
    assert.equal(await eventually(() => cluster.curl('k8s-node02', `http://${ip}/hostname`)), 'listener')
    assert.equal(await endpoints('{.subsets[*].addresses[*].ip} {.metadata.labels}'), `${listener} `)
  })

  test('a02: the slice of the Service kubernetes has no mirror; with the Service goes all', async () => {
    assert.equal(await cluster.jsonpath(['endpointslices', '-l', 'kubernetes.io/service-name=kubernetes'], '{.items[*].metadata.name}'), 'kubernetes')
    await kubectl(['delete', 'service', 'my-service'])
    await follows('')
    await eventually(async () => assert.equal((await kubectl(['get', 'endpoints', 'my-service', '--ignore-not-found', '-o', 'name'])).stdout, ''))
  })
})

const listenerPod = `apiVersion: v1
kind: Pod
metadata: {name: listener, labels: {run: listener}}
spec:
  containers: [{name: netexec, image: 'registry.k8s.io/e2e-test-images/agnhost:2.40', args: [netexec, --http-port=9376, --udp-port=-1]}]
`
