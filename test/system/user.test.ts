// The same commands for an ordinary user, in a user namespace, with nothing of the host changed.
import assert from 'node:assert/strict'
import { accessSync, constants } from 'node:fs'
import { after, test } from 'node:test'
import { eventually, execute, manifest, newUserCluster } from '../cluster.ts'
import { hostState, processesOf } from '../host.ts'

const cluster = newUserCluster()
after(() => cluster.remove())

// Another user must be able to read the checkout and make user namespaces.
const allowed = (await execute([...cluster.as, 'unshare', '--user', '--map-root-user', 'test', '-r', import.meta.filename])).code === 0
const readable = (() => { try { accessSync(import.meta.filename, constants.R_OK); return true } catch { return false } })()

test('up, a Service that carries packets, and down, as an ordinary user',
  { timeout: 240_000, skip: allowed && readable ? false : 'this machine gives ordinary users no user namespace, or hides the checkout from them' }, async () => {
    const before = hostState()
    const up = await cluster.up()
    assert.match(up.stdout, /\(as an ordinary user: no cgroup limits, no eBPF/)
    await cluster.kubectl(['create', '-f', manifest('c01-hostnames')])
    const pods = await cluster.readyPods('app=hostnames', 3)
    const ip = await cluster.jsonpath(['service', 'hostnames'], '{.spec.clusterIP}')
    await eventually(async () => assert.deepEqual([...new Set(await cluster.curls('k8s-node01', `http://${ip}/`, 30))].sort(), pods.map(pod => pod.name).sort()))
    assert.match((await cluster.shell('k8s-node02', ['iptables-save', '-t', 'nat'])).stdout, /KUBE-SVC-ODX2UBAZM7RQWOIU/)
    await cluster.kubectl(['run', 'web', '--image=nginx'])
    const [web] = await cluster.readyPods('run=web', 1)
    assert.match(await eventually(() => cluster.curl('k8s-node01', web!.ip)), /Welcome to nginx!/)
    assert.equal((await cluster.kubectl(['exec', pods[0]!.name, '--', 'hostname'])).stdout, `${pods[0]!.name}\n`)
    assert.equal((await cluster.down()).code, 0)
    assert.deepEqual(processesOf(cluster.dataDir), [])
    assert.deepEqual(hostState(), before)
  })
