// What cannot work is refused in one sentence, before anything is made: a missing program, a folder
// that is not ours, kept ranges that are changed, manifests that are wrong.
import assert from 'node:assert/strict'
import { mkdtempSync, mkdirSync, readFileSync, rmSync, existsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { execute, fairway, manifest, newCluster, newUserCluster, startCluster, type TestCluster } from '../cluster.ts'

const root = process.getuid!() === 0

test('a missing program is named with its package; with --no-install nothing is fetched', { skip: root ? false : 'hiding a program needs root' }, async () => {
  const one = newCluster()
  const folder = mkdtempSync(join(tmpdir(), 'fairway-usr-'))
  for (const name of ['upper', 'work', 'home']) mkdirSync(join(folder, name))
  // In a mount namespace of its own this command sees a /usr without nft; the host's stays as it is.
  const script = `mount -t overlay overlay -o lowerdir=/usr,upperdir=${folder}/upper,workdir=${folder}/work /usr && rm -f /usr/sbin/nft && exec "$@"`
  const result = await execute(['unshare', '--mount', 'sh', '-c', script, 'sh', fairway, 'up', '--no-install', '--detach', ...one.own], { env: { HOME: `${folder}/home`, XDG_CACHE_HOME: '' } })
  assert.equal(result.code, 1)
  assert.match(result.stderr, /^error: missing programs: nft; install them \('apt-get install nftables'\) or leave --no-install out\n$/)
  assert.equal(existsSync(join(one.dataDir, 'run.json')), false)
  rmSync(folder, { recursive: true })
  await one.remove()
})

test('a data directory that this user may not make is refused', async () => {
  const one = newUserCluster()
  const result = await execute([...one.as, fairway, 'up', '--detach', '--name', one.name, '--data-dir', '/proc/nowhere'])
  assert.deepEqual([result.code, result.stderr], [1, 'error: cannot make /proc/nowhere: ENOENT; choose another with --data-dir\n'])
  if (root) {
    const owned = newCluster()
    const others = await execute([...one.as, fairway, 'up', '--detach', '--name', one.name, '--data-dir', owned.dataDir])
    assert.match(others.stderr, /^error: .* belongs to another user: choose another with --data-dir\n$/)
    await owned.remove()
  }
  await one.remove()
})

suite('on a running cluster', () => {
  let cluster: TestCluster
  before(async () => { cluster = await startCluster('--nodes', '1') }, { timeout: 120_000 })
  after(async () => { await cluster?.remove() })
  const refusal = async (input: string, ...args: string[]) => (await cluster.kubectl(['create', '-f', '-', ...args], { input, fails: true })).stderr

  test('a manifest that is no YAML', async () => {
    assert.match(await refusal('apiVersion: v1\nkind: [Pod\n'), /error converting YAML to JSON|error parsing/)
  })
  test('an unknown field, with its path', async () => {
    const text = readFileSync(manifest('b01-deployment'), 'utf8').replace('namespace: dev', 'namespace: default').replace('replicas: 3', 'replcas: 3')
    assert.match(await refusal(text), /Deployment in version "v1" cannot be handled as a Deployment: strict decoding error: unknown field "spec\.replcas"/)
  })
  test('a kind that nobody serves', async () => {
    assert.match(await refusal('apiVersion: example.com/v1\nkind: Thing\nmetadata: {name: x}\n'), /no matches for kind "Thing" in version "example\.com\/v1"/)
  })
  test('a value of the wrong type', async () => {
    const text = readFileSync(manifest('b01-deployment'), 'utf8').replace('namespace: dev', 'namespace: default').replace('replicas: 3', 'replicas: three')
    assert.match(await refusal(text), /cannot unmarshal string into Go struct field DeploymentSpec\.spec\.replicas of type int32/)
  })
  test('a name that is taken', async () => {
    await cluster.kubectl(['create', 'configmap', 'taken'])
    assert.equal((await cluster.kubectl(['create', 'configmap', 'taken'], { fails: true })).stderr, 'error: failed to create configmap: configmaps "taken" already exists\n')
  })
  test('a namespace that is not there', async () => {
    assert.match((await cluster.kubectl(['create', 'configmap', 'x', '-n', 'nowhere'], { fails: true })).stderr, /namespaces "nowhere" not found/)
  })
  test('a person without rights', async () => {
    const { stderr } = await cluster.kubectl(['get', 'secrets', '--as', 'system:serviceaccount:default:default'], { fails: true })
    assert.match(stderr, /secrets is forbidden: User "system:serviceaccount:default:default" cannot list resource "secrets" in API group "" in the namespace "default"/)
  })
  test('ranges of a cluster that is kept cannot be changed', async () => {
    await cluster.down()
    const result = await cluster.fairway('up', ['--detach', '--nodes', '1', '--service-cidr', '10.0.0.0/16'])
    assert.equal(result.code, 1)
    assert.match(result.stderr, /^error: --service-cidr 10\.0\.0\.0\/16: the cluster in .* was made with 10\.96\.0\.0\/12; use that, or remove its objects with "fairway down --name \S+ --purge"\n$/)
  })
})
