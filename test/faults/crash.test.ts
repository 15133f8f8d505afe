// kill -9 of everything at once, then up: every object and every pod is back, every write that was
// answered is there, and nothing of the dead cluster is left.
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { eventually, manifest, newCluster } from '../cluster.ts'
import { hostState, processTree, processesOf } from '../host.ts'

const cluster = newCluster()
after(() => cluster.remove())

interface PodLine { name: string; uid: string; restarts: number }
async function podLines(): Promise<PodLine[]> {
  const { stdout } = await cluster.kubectl(['get', 'pods', '-A', '-o', 'json'])
  const { items } = JSON.parse(stdout) as { items: { metadata: { name: string; uid: string }; status: { containerStatuses?: { restartCount: number }[] } }[] }
  return items.map(pod => ({ name: pod.metadata.name, uid: pod.metadata.uid, restarts: pod.status.containerStatuses?.[0]?.restartCount ?? -1 }))
    .sort((a, b) => a.name < b.name ? -1 : 1)
}

test('kill -9 of the whole program, then up', { timeout: 240_000 }, async () => {
  const before = hostState()
  await cluster.up()
  await cluster.kubectl(['create', '-f', manifest('c01-hostnames')])
  await cluster.readyPods('app=hostnames', 3)
  const ip = await cluster.jsonpath(['service', 'hostnames'], '{.spec.clusterIP}')
  const pods = await podLines()

  // Writes go on until the kill; those that were answered are noted.
  const answered: string[] = []
  let going = true
  const writing = (async () => {
    for (let i = 0; going && i < 500; i++) {
      try { await cluster.kubectl(['create', 'configmap', `note-${i}`, `--from-literal=n=${i}`]); answered.push(`note-${i}`) } catch { return }
    }
  })()
  await eventually(async () => assert.ok(answered.length >= 5))
  const run = JSON.parse(readFileSync(join(cluster.dataDir, 'run.json'), 'utf8')) as { pid: number; innerPid: number }
  const inside = processTree(run.innerPid)
  process.kill(run.pid, 'SIGKILL')
  going = false
  await writing
  await eventually(async () => assert.deepEqual(inside.filter(pid => existsSync(`/proc/${pid}/ns/pid`)), []), 5000)
  await eventually(async () => assert.deepEqual(processesOf(cluster.dataDir), []), 5000)

  await cluster.up()
  const there = (await cluster.kubectl(['get', 'configmaps', '-o', 'name'])).stdout
  assert.deepEqual(answered.filter(name => !there.includes(`configmap/${name}\n`)), [], 'an answered write is lost')
  assert.equal(await cluster.jsonpath(['service', 'hostnames'], '{.spec.clusterIP}'), ip)
  await cluster.readyPods('app=hostnames', 3)
  assert.deepEqual(await podLines(), pods.map(pod => ({ ...pod, restarts: pod.restarts + 1 })))
  await eventually(async () => assert.equal(new Set(await cluster.curls('k8s-node01', `http://${ip}/`, 30)).size, 3))
  await cluster.down()
  assert.deepEqual(hostState(), before)
})
