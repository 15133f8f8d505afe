// Walk-through d03 but for its names in DNS: a StatefulSet behind a headless Service, with the real
// kubectl of two versions on one cluster. Pods keep their names and host names, come and go in order.
import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { eventually, kubectlVersions, manifest, startCluster, type TestCluster } from '../cluster.ts'

let cluster: TestCluster
before(async () => { cluster = await startCluster() }, { timeout: 120_000 })
after(async () => { await cluster?.remove() })

const ready = (count: number) => cluster.readyPods('app=mongodb', count)

for (const version of kubectlVersions) suite(`with kubectl ${version}`, () => {
  const kubectl = (args: string[], options: { input?: string; fails?: boolean } = {}) => cluster.kubectl(args, { ...options, version })
  const output = async (...args: string[]) => (await kubectl(args)).stdout.trimEnd()
  const pods = (path: string) => cluster.jsonpath(['pods', '-l', 'app=mongodb', '--sort-by=.metadata.name'], `{range .items[*]}${path}{" "}{end}`)
  const rolledOut = () => output('rollout', 'status', 'statefulset/mongodb', '--timeout=60s')

  test('d03: three pods in order, each with its name as host name', async () => {
    await kubectl(['create', '-f', manifest('d03-mongodb-headless')])
    assert.equal(await output('create', '-f', manifest('d03-mongodb-statefulset')), 'statefulset.apps/mongodb created')
    assert.match(await rolledOut(), /partitioned roll out complete: 3 new pods have been updated\.\.\.$/)
    assert.match(await output('get', 'sts'), /^NAME +READY +AGE\nmongodb +3\/3 +\d+s$/)
    assert.deepEqual((await ready(3)).map(pod => pod.name).sort(), ['mongodb-0', 'mongodb-1', 'mongodb-2'])
    for (const name of ['mongodb-0', 'mongodb-2']) assert.equal(await output('exec', name, '--', 'hostname'), name)
    assert.match(await output('exec', 'mongodb-1', '--', 'cat', '/etc/hosts'), /^10\.244\.\d+\.\d+\s+mongodb-1\.mongodb-service-headless\.default\.svc\.cluster\.local\s+mongodb-1$/m)
    assert.equal(await pods('{.metadata.labels.statefulset\\.kubernetes\\.io/pod-name}={.metadata.labels.apps\\.kubernetes\\.io/pod-index}'), 'mongodb-0=0 mongodb-1=1 mongodb-2=2 ')
    await assertInOrder()
  })

  /** Each pod was made when the one before was ready. */
  async function assertInOrder(): Promise<void> {
    const events = await cluster.jsonpath(['events', '--field-selector=involvedObject.kind=StatefulSet,reason=SuccessfulCreate', '--sort-by=.firstTimestamp'], '{range .items[*]}{.message}{"\\n"}{end}')
    for (const ordinal of [0, 1, 2]) assert.match(events, new RegExp(`^create Pod mongodb-${ordinal} in StatefulSet mongodb successful$`, 'm'))
    const times = (await pods('{.metadata.creationTimestamp},{.status.conditions[?(@.type=="Ready")].lastTransitionTime}')).trim().split(' ').map(pair => pair.split(','))
    for (const [i, [created]] of times.entries()) if (i > 0) assert.ok(created! >= times[i - 1]![1]!, `mongodb-${i} was made at ${created}, the one before was ready at ${times[i - 1]![1]}`)
  }

  test('d03: the slice of the headless Service names the hosts', async () => {
    const names = await cluster.jsonpath(['endpointslices', '-l', 'kubernetes.io/service-name=mongodb-service-headless'], '{range .items[*].endpoints[*]}{.hostname}{" "}{end}')
    assert.deepEqual(names.trim().split(' ').sort(), ['mongodb-0', 'mongodb-1', 'mongodb-2'])
  })

  test('d03: a pod that is deleted comes back under its name, and the slice follows', async () => {
    const uid = () => cluster.jsonpath(['pod', 'mongodb-1'], '{.metadata.uid}')
    const before = await uid()
    await kubectl(['delete', 'pod', 'mongodb-1', '--now'])
    await eventually(async () => assert.notEqual(await uid(), before))
    const pod = (await ready(3)).find(each => each.name === 'mongodb-1')!
    assert.equal(await eventually(() => cluster.curl('k8s-master01', `http://${pod.ip}:27017/hostname`)), 'mongodb-1')
    await eventually(async () => assert.equal(await cluster.jsonpath(['endpointslices', '-l', 'kubernetes.io/service-name=mongodb-service-headless'],
      '{.items[0].endpoints[?(@.hostname=="mongodb-1")].addresses[0]}'), pod.ip))
  })

  test('d03: scaling goes up in order and down from the highest', async () => {
    assert.equal(await output('scale', 'statefulset/mongodb', '--replicas=5'), 'statefulset.apps/mongodb scaled')
    await rolledOut()
    assert.deepEqual((await ready(5)).map(pod => pod.name).sort().slice(3), ['mongodb-3', 'mongodb-4'])
    await kubectl(['scale', 'statefulset/mongodb', '--replicas=2'])
    assert.deepEqual((await ready(2)).map(pod => pod.name).sort(), ['mongodb-0', 'mongodb-1'])
    await kubectl(['scale', 'statefulset/mongodb', '--replicas=3'])
    await ready(3)
  })

  test('d03: a rolling update by partition, its history, undo and restart', async () => {
    const value = () => pods('{.spec.containers[0].env[0].value}')
    await kubectl(['patch', 'statefulset', 'mongodb', '-p', '{"spec":{"updateStrategy":{"rollingUpdate":{"partition":2}}}}'])
    assert.equal(await output('set', 'env', 'statefulset/mongodb', 'COLOUR=blue'), 'statefulset.apps/mongodb env updated')
    assert.match(await rolledOut(), /partitioned roll out complete: 1 new pods have been updated\.\.\.$/)
    assert.equal((await value()).trim(), 'blue', 'the highest ordinal alone')
    await kubectl(['patch', 'statefulset', 'mongodb', '-p', '{"spec":{"updateStrategy":{"rollingUpdate":{"partition":0}}}}'])
    await rolledOut()
    await ready(3)
    assert.equal(await value(), 'blue blue blue ')
    assert.match(await output('rollout', 'history', 'statefulset/mongodb'), /\n1 +<none>\n2 +<none>$/)
    assert.equal(await output('rollout', 'undo', 'statefulset/mongodb'), 'statefulset.apps/mongodb rolled back')
    await rolledOut()
    await ready(3)
    assert.equal((await value()).trim(), '')
    assert.equal(await output('rollout', 'restart', 'statefulset/mongodb'), 'statefulset.apps/mongodb restarted')
    await rolledOut()
    await ready(3)
    assert.match(await output('exec', 'mongodb-2', '--', 'hostname'), /^mongodb-2$/)
  })

  test('d03: deleted, with all its pods and revisions', async () => {
    await kubectl(['delete', '-f', manifest('d03-mongodb-statefulset'), '-f', manifest('d03-mongodb-headless')])
    await eventually(async () => assert.equal(await output('get', 'pods,controllerrevisions', '-l', 'app=mongodb', '-o', 'name'), ''))
  })

  test('claims for volumes are refused by name', async () => {
    const text = (await kubectl(['create', '-f', manifest('d03-mongodb-statefulset'), '--dry-run=client', '-o', 'json'])).stdout
    const set = JSON.parse(text) as { spec: object }
    Object.assign(set.spec, { volumeClaimTemplates: [{ metadata: { name: 'data' }, spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } } }] })
    assert.match((await kubectl(['create', '-f', '-'], { input: JSON.stringify(set), fails: true })).stderr, /The StatefulSet "mongodb" is invalid: spec\.volumeClaimTemplates: Forbidden: PersistentVolumeClaims are not served by this cluster/)
  })
})
