// Scaling 3 to 10 to 1 to 0 and back while requests run: no connection is refused but at 0.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { background, eventually, fairway, manifest, startCluster, type TestCluster } from '../cluster.ts'

let cluster: TestCluster
before(async () => { cluster = await startCluster() }, { timeout: 120_000 })
after(async () => { await cluster?.remove() })

/** One client that asks again and again until told to stop; counts answers and failures. */
function requests(url: string) {
  const script = `ok=0; bad=0; trap 'echo "$ok answered, $bad failed"; exit 0' TERM; end=$(( $(date +%s) + 120 ))
while [ $(date +%s) -lt $end ]; do if curl -s -o /dev/null --max-time 3 ${url}; then ok=$((ok+1)); else bad=$((bad+1)); echo "failed with $?"; fi; done`
  const loop = background([fairway, 'shell', ...cluster.own, 'k8s-node01', '--', 'sh', '-c', script])
  return async () => {
    loop.child.kill('SIGTERM')
    await loop.ended
    const match = /(\d+) answered, (\d+) failed/.exec(loop.output())
    assert.ok(match, loop.output())
    return { answered: Number(match[1]), failed: Number(match[2]), output: loop.output() }
  }
}

test('3 to 10 to 1, a deleted pod, and 1 to 3, without one failed request', { timeout: 240_000 }, async () => {
  await cluster.kubectl(['create', '-f', manifest('c01-hostnames')])
  await cluster.readyPods('app=hostnames', 3)
  const url = `http://${await cluster.jsonpath(['service', 'hostnames'], '{.spec.clusterIP}')}/`
  await eventually(() => cluster.curl('k8s-node01', url))
  const stop = requests(url)
  for (const replicas of [10, 1, 3]) {
    await cluster.kubectl(['scale', 'deployment', 'hostnames', `--replicas=${replicas}`])
    await cluster.readyPods('app=hostnames', replicas)
  }
  const [first] = await cluster.readyPods('app=hostnames', 3)
  await cluster.kubectl(['delete', 'pod', first!.name])
  const now = await cluster.readyPods('app=hostnames', 3)
  assert.ok(!now.some(pod => pod.name === first!.name), 'a new pod took its place')
  const { answered, failed, output } = await stop()
  assert.equal(failed, 0, output)
  assert.ok(answered > 50, `only ${answered} requests`)
})

test('at 0 a connection is refused at once; back at 3 it is answered', { timeout: 120_000 }, async () => {
  const url = `http://${await cluster.jsonpath(['service', 'hostnames'], '{.spec.clusterIP}')}/`
  await cluster.kubectl(['scale', 'deployment', 'hostnames', '--replicas=0'])
  await eventually(async () => {
    const refused = await cluster.shell('k8s-node01', ['curl', '-sS', '--max-time', '3', url])
    assert.match(refused.stderr, /Connection refused|Couldn't connect|Failed to connect/)
    assert.equal(refused.code, 7)
  })
  await cluster.kubectl(['scale', 'deployment', 'hostnames', '--replicas=3'])
  const pods = await cluster.readyPods('app=hostnames', 3)
  await eventually(async () => assert.deepEqual([...new Set(await cluster.curls('k8s-node01', url, 30))].sort(), pods.map(pod => pod.name).sort()))
})

test('the pod that replaces a deleted one gets its traffic', { timeout: 60_000 }, async () => {
  const [first] = await cluster.readyPods('app=hostnames', 3)
  await cluster.kubectl(['delete', 'pod', first!.name])
  const pods = await cluster.readyPods('app=hostnames', 3)
  const url = `http://${await cluster.jsonpath(['service', 'hostnames'], '{.spec.clusterIP}')}/`
  await eventually(async () => assert.deepEqual([...new Set(await cluster.curls('k8s-node02', url, 30))].sort(), pods.map(pod => pod.name).sort()))
})
