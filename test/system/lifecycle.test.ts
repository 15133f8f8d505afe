// up, down and everything between, as a person does it: what is printed, what is left behind.
import assert from 'node:assert/strict'
import { readFileSync, existsSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { background, eventually, execute, fairway, newCluster, startCluster, type TestCluster } from '../cluster.ts'
import { hostState, processTree, processesOf } from '../host.ts'

const made: TestCluster[] = []
after(async () => { for (const cluster of made) await cluster.remove() })
const cluster = (...flags: string[]) => { const one = newCluster(...flags); made.push(one); return one }
const runFile = (one: TestCluster) => JSON.parse(readFileSync(join(one.dataDir, 'run.json'), 'utf8')) as { pid: number; innerPid: number; apiPort: number }

test('up --detach, a second up, status, and down that leaves nothing', { timeout: 180_000 }, async () => {
  const one = cluster('--nodes', '2'), before = hostState()
  const up = await one.up()
  assert.match(up.stdout, new RegExp(`^Cluster "${one.name}" is ready after \\d+\\.\\d s: 2 nodes, API https://127\\.0\\.0\\.1:\\d+$`, 'm'))
  assert.match(up.stdout, new RegExp(`export KUBECONFIG=${one.kubeconfig}`))
  const again = await execute([fairway, 'up', '--detach', ...one.own])
  assert.deepEqual([again.code, /runs already/.test(again.stdout)], [0, true], again.stdout + again.stderr)
  const status = JSON.parse((await execute([fairway, 'status', ...one.own, '-o', 'json'])).stdout) as { running: boolean; ready: boolean; nodes: { name: string; ready: boolean }[] }
  assert.deepEqual([status.running, status.ready, status.nodes.map(node => [node.name, node.ready])], [true, true, [['k8s-master01', true], ['k8s-node01', true]]])
  const system = await one.kubectl(['get', 'pods', '-n', 'kube-system', '--no-headers'])
  assert.match(system.stdout, /^(kube-proxy-[a-z0-9]{5} +1\/1 +Running +0 +\d+s\n){2}$/)

  const { innerPid } = runFile(one)
  const inside = processTree(innerPid)
  assert.ok(inside.length >= 5, `only ${inside.length} processes inside`)
  const down = await one.down()
  assert.deepEqual([down.code, down.stderr], [0, ''])
  assert.deepEqual(processesOf(one.dataDir), [])
  assert.deepEqual(inside.filter(pid => existsSync(`/proc/${pid}/ns/pid`)), [])
  assert.deepEqual(hostState(), before)
  assert.equal((await execute([fairway, 'status', ...one.own])).code, 1)
  assert.match((await one.down()).stdout, /does not run/)
})

test('two clusters side by side, each with its own port, objects and networks', { timeout: 180_000 }, async () => {
  const [one, two] = [cluster('--nodes', '1'), cluster('--nodes', '1')]
  await Promise.all([one.up(), two.up()])
  assert.notEqual(runFile(one).apiPort, runFile(two).apiPort)
  await one.kubectl(['create', 'ns', 'only-in-one'])
  assert.match((await two.kubectl(['get', 'ns', 'only-in-one'], { fails: true })).stderr, /namespaces "only-in-one" not found/)
  await one.remove()
  assert.match((await two.kubectl(['get', 'nodes', '--no-headers'])).stdout, /^k8s-master01 +Ready +control-plane /)
})

test('no route leads out of the fabric, from any machine of the cluster', { timeout: 120_000 }, async () => {
  const one = cluster('--nodes', '2')
  await one.up()
  const routes = async (machine: string) => (await one.shell(machine, ['ip', 'route', 'show', 'default'])).stdout.trim()
  assert.equal(await routes('k8s-node01'), 'default via 192.168.109.1 dev eth0')
  assert.match(await routes('client'), /^unreachable default/)
  const router = await execute(['nsenter', '-t', String(runFile(one).innerPid), '-n', ...(process.getuid!() ? ['-U', '--preserve-credentials'] : []), 'ip', 'route'])
  assert.match(router.stdout, /^unreachable default/m)
  assert.doesNotMatch(router.stdout, /^default via/m)
  const links = await execute(['nsenter', '-t', String(runFile(one).innerPid), '-n', ...(process.getuid!() ? ['-U', '--preserve-credentials'] : []), 'ip', '-o', 'link'])
  assert.deepEqual(links.stdout.trim().split('\n').map(line => /^\d+: ([a-z0-9]+)/.exec(line)![1]!.replace(/\d+$/, '')).filter(name => !['lo', 'fabric'].includes(name)), [])
  for (const machine of ['k8s-master01', 'client']) {
    const out = await one.shell(machine, ['curl', '-sS', '--max-time', '3', 'http://198.51.100.1/'])
    assert.notEqual(out.code, 0)
  }
})

test('in the foreground: three commands to try, and Ctrl-C ends it with status 0', { timeout: 120_000 }, async () => {
  const one = cluster('--nodes', '1')
  const up = background([fairway, 'up', ...one.own, '--nodes', '1'])
  await eventually(async () => assert.match(up.output(), /kubectl get nodes[\s\S]*Ctrl-C stops the cluster/))
  up.child.kill('SIGINT')
  assert.equal(await up.ended, 0, up.output())
  assert.deepEqual(processesOf(one.dataDir), [])
})

test('shell: a command\'s output, exit status and signals; a node, a pod, the client', { timeout: 180_000 }, async () => {
  const one = cluster('--nodes', '2')
  await one.up()
  assert.deepEqual(await one.shell('k8s-node01', ['hostname']), { code: 0, stdout: 'k8s-node01\n', stderr: '' })
  assert.equal((await one.shell('client', ['sh', '-c', 'exit 7'])).code, 7)
  assert.equal((await one.shell('client', ['sh', '-c', 'kill -TERM $$'])).code, 143)
  assert.match((await one.shell('k8s-master01', ['kubectl', 'get', 'nodes', '--no-headers'])).stdout, /k8s-master01/)
  assert.equal((await one.shell('client', ['iptables-save'])).stdout.match(/KUBE/g), null)
  await one.kubectl(['run', 'web', '--image=nginx'])
  const [pod] = await one.readyPods('run=web', 1)
  assert.match((await one.shell('web', ['ip', '-4', '-o', 'addr', 'show', 'eth0'])).stdout, new RegExp(`inet ${pod!.ip}/`))
  assert.match((await one.shell('nowhere', ['true'])).stderr, /no node and no pod is called "nowhere": nodes are k8s-master01, k8s-node01/)
})

test('export holds logs, objects and rules, and no secret', { timeout: 120_000 }, async () => {
  const one = cluster('--nodes', '1')
  await one.up()
  await one.kubectl(['create', 'secret', 'generic', 'hidden', '--from-literal=word=swordfish'])
  const folder = join(one.dataDir, 'report')
  const result = await execute([fairway, 'export', ...one.own, folder])
  assert.equal(result.code, 0, result.stderr)
  assert.match(readFileSync(join(folder, 'k8s-master01/iptables.txt'), 'utf8'), /KUBE-SERVICES/)
  assert.match(readFileSync(join(folder, 'objects/services.core.yaml'), 'utf8'), /name: kubernetes/)
  assert.ok(existsSync(join(folder, 'logs/server.log')))
  assert.equal((await execute(['grep', '-rl', 'c3dvcmRmaXNo\\|swordfish', folder])).stdout, '')
  assert.match((await execute([fairway, 'export', ...one.own, folder])).stderr, /is not empty: choose a new folder/)
})

test('bad input ends in one sentence, and nothing is made', { timeout: 60_000 }, async () => {
  const one = cluster()
  const cases: [argv: string[], message: RegExp][] = [
    [['up', '--nodez', '1'], /^error: Unknown option '--nodez': see fairway up --help\n$/],
    [['up', '--cluster-cidr', '10.96.0.0/16'], /^error: --cluster-cidr 10\.96\.0\.0\/16 overlaps --service-cidr 10\.96\.0\.0\/12: [^\n]*\n$/],
    [['up', '--service-cidr', '10.96.0.0/30'], /^error: --service-cidr 10\.96\.0\.0\/30 is too small: [^\n]*\n$/],
    [['up', '--config', '/does/not/exist'], /^error: cannot read \/does\/not\/exist: [^\n]*\n$/],
    [['shell', 'k8s-node01'], /^error: cluster "t\d+-\d+" does not run: start it with "fairway up[^\n]*\n$/],
    [['dwon'], /^error: unknown command "dwon": see fairway --help[^\n]*\n$/],
    [['image', 'load', '/does/not/exist.tar'], /^error: \/does\/not\/exist\.tar does not exist\n$/],
  ]
  for (const [[command, ...rest], message] of cases) {
    const result = await execute([fairway, command!, ...(command === 'dwon' ? [] : one.own), ...rest])
    assert.deepEqual([result.code, message.test(result.stderr), result.stdout], [1, true, ''], `${command} ${rest.join(' ')}: ${result.stderr}`)
  }
  assert.deepEqual(processesOf(one.dataDir), [])
})

test('a port that is asked for and taken is refused, with nothing half made', { timeout: 60_000 }, async () => {
  const one = cluster('--nodes', '1')
  const taken = createServer()
  await new Promise<void>(resolve => taken.listen(0, '127.0.0.1', resolve))
  const { port } = taken.address() as { port: number }
  const result = await execute([fairway, 'up', '--detach', ...one.own, '--api-port', String(port)])
  taken.close()
  assert.equal(result.code, 1)
  assert.match(result.stderr, new RegExp(`error: --api-port ${port}: another program listens on 127\\.0\\.0\\.1:${port}`))
  assert.deepEqual(processesOf(one.dataDir), [])
  assert.equal(existsSync(join(one.dataDir, 'run.json')), false)
})

test('the kubeconfig is merged into a person\'s own and taken out again', { timeout: 120_000 }, async () => {
  const one = await startCluster('--nodes', '1')
  made.push(one)
  const theirs = join(one.dataDir, 'their-config'), env = { KUBECONFIG: theirs }
  assert.equal((await execute([fairway, 'kubeconfig', ...one.own, '--merge'], { env })).code, 0)
  assert.match((await execute(['kubectl', 'get', 'nodes', '--no-headers'], { env })).stdout, /k8s-master01 +Ready/)
  assert.equal((await execute([fairway, 'kubeconfig', ...one.own, '--remove'], { env })).code, 0)
  assert.doesNotMatch(readFileSync(theirs, 'utf8'), /fairway/)
  assert.equal((await execute([fairway, 'kubeconfig', ...one.own, '--path'])).stdout.trim(), one.kubeconfig)
})
