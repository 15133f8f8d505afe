// Images that are not built in, on a real cluster: loaded from a file, and pulled from a registry that
// the test brings on the host's loopback (so the pull really leaves the cluster's namespaces).
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { chownSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { after, before, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { pack } from 'tar-stream'
import { eventually, execute, startCluster, type TestCluster } from '../cluster.ts'

const sha256 = (bytes: Buffer) => `sha256:${createHash('sha256').update(bytes).digest('hex')}`

type Entry = readonly [name: string, content: Buffer | string, mode?: number]
async function tar(entries: readonly Entry[]): Promise<Buffer> {
  const archive = pack()
  for (const [name, content, mode] of entries) archive.entry({ name, mode: mode ?? 0o644 }, content)
  archive.finalize()
  return buffer(archive)
}

/** Two layers with a program of this machine that runs: busybox and the libraries it asks for. */
async function layers(): Promise<Buffer[]> {
  const libraries = (await execute(['ldd', '/bin/busybox'])).stdout.match(/\/\S+\.so\S*/g) ?? []
  const files = ['/bin/busybox', ...libraries].map((file): Entry => [file.slice(1), readFileSync(file), 0o755])
  return [
    await tar([...files, ['etc/old', 'of the first layer'], ['srv/index.html', 'first']]),
    await tar([['etc/.wh.old', ''], ['srv/index.html', 'an image of our own\n']]),
  ]
}
interface Image { layers: Buffer[]; config: Buffer }
async function image(): Promise<Image> {
  const made = await layers()
  return { layers: made, config: Buffer.from(JSON.stringify({ architecture: process.arch === 'x64' ? 'amd64' : 'arm64', os: 'linux', rootfs: { type: 'layers', diff_ids: made.map(sha256) },
    config: { Entrypoint: ['/bin/busybox', 'httpd', '-f', '-p', '8080', '-h', '/srv'], Env: ['PATH=/bin'], ExposedPorts: { '8080/tcp': {} } } })) }
}

let cluster: TestCluster, ours: Image
before(async () => { cluster = await startCluster('--nodes', '1'); ours = await image() }, { timeout: 120_000 })
after(async () => { await cluster?.remove() })

async function runsAs(name: string, reference: string, policy: string): Promise<void> {
  await cluster.kubectl(['run', name, `--image=${reference}`, `--image-pull-policy=${policy}`])
  const [pod] = await cluster.readyPods(`run=${name}`, 1)
  assert.equal(await eventually(() => cluster.curl('k8s-master01', `http://${pod!.ip}:8080/`)), 'an image of our own\n')
  assert.match((await cluster.kubectl(['exec', name, '--', '/bin/busybox', 'ls', '/etc'])).stdout, /^(?!.*\bold\b)/s)
}
const events = async (pod: string) => (await cluster.kubectl(['get', 'events', '--field-selector', `involvedObject.name=${pod}`, '-o', 'jsonpath={range .items[*]}{.reason}: {.message}{"\\n"}{end}'])).stdout

test('a docker-archive is loaded, listed and run; imagePullPolicy Never needs it there', async () => {
  const file = join(cluster.dataDir, 'app.tar')
  writeFileSync(file, await tar([
    ['manifest.json', JSON.stringify([{ Config: 'config.json', RepoTags: ['example.test/app:1'], Layers: ours.layers.map((_, i) => `${i}/layer.tar`) }])],
    ['config.json', ours.config], ...ours.layers.map((layer, i): Entry => [`${i}/layer.tar`, layer])]))
  if (process.getuid!() === 0) chownSync(file, 0, 0)
  assert.match((await cluster.fairway('image', ['load', file])).stdout, /^loaded example\.test\/app:1\n$/)
  assert.match((await cluster.fairway('image', ['ls'])).stdout, /^example\.test\/app:1 +[0-9a-f]{12} +\d+\.\d MB/m)
  await runsAs('loaded', 'example.test/app:1', 'Never')
  await cluster.kubectl(['run', 'absent', '--image=example.test/absent:1', '--image-pull-policy=Never'])
  await eventually(async () => assert.equal(await cluster.jsonpath(['pod', 'absent'], '{.status.containerStatuses[0].state.waiting.reason}'), 'ErrImageNeverPull'))
})

test('a private registry: refused without credentials, pulled with an imagePullSecret, through gzip layers', async () => {
  const registry = await startRegistry(ours)
  const reference = `127.0.0.1:${registry.port}/team/app:1`
  try {
    await cluster.kubectl(['run', 'anonymous', `--image=${reference}`])
    await eventually(async () => assert.match(await cluster.jsonpath(['pod', 'anonymous'], '{.status.containerStatuses[0].state.waiting.reason}'), /ErrImagePull|ImagePullBackOff/))
    assert.match(await events('anonymous'), /Failed: Failed to pull image ".*": .*(401|unauthorized|authorization)/i)
    await cluster.kubectl(['delete', 'pod', 'anonymous', '--now'])
    await cluster.kubectl(['create', 'secret', 'docker-registry', 'team', `--docker-server=127.0.0.1:${registry.port}`, '--docker-username=ann', '--docker-password=secret'])
    await cluster.kubectl(['patch', 'serviceaccount', 'default', '-p', '{"imagePullSecrets":[{"name":"team"}]}'])
    await runsAs('pulled', reference, 'IfNotPresent')
    assert.match(await events('pulled'), /Pulled: Successfully pulled image "127\.0\.0\.1:\d+\/team\/app:1"/)
    const before = registry.requests()
    await runsAs('again', reference, 'IfNotPresent')
    assert.equal(registry.requests(), before, 'an image that is there is not pulled again')
    assert.match(await events('again'), /Pulled: Container image ".*" already present on machine/)
  } finally { registry.server.close() }
})

test('a registry that does not answer: the event says what to do', async () => {
  const closed = createServer()
  await new Promise<void>(resolve => closed.listen(0, '127.0.0.1', resolve))
  const { port } = closed.address() as AddressInfo
  await new Promise(resolve => closed.close(resolve))
  await cluster.kubectl(['run', 'nowhere', `--image=127.0.0.1:${port}/x:1`])
  await eventually(async () => assert.match(await events('nowhere'), /Failed: Failed to pull image .*fairway image load/))
})

/** OCI distribution v2, as much as a pull needs, with a token service that wants a password. */
async function startRegistry(image: Image): Promise<{ server: Server; port: number; requests: () => number }> {
  const blobs = new Map<string, Buffer>([[sha256(image.config), image.config]])
  const described = image.layers.map(layer => {
    const zipped = gzipSync(layer)
    blobs.set(sha256(zipped), zipped)
    return { mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip', digest: sha256(zipped), size: zipped.length }
  })
  const manifest = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: 'application/vnd.oci.image.manifest.v1+json', layers: described,
    config: { mediaType: 'application/vnd.oci.image.config.v1+json', digest: sha256(image.config), size: image.config.length } }))
  let count = 0
  const answer = (request: IncomingMessage, response: ServerResponse) => {
    count++
    const { port } = server.address() as AddressInfo, url = new URL(request.url!, 'http://registry')
    if (url.pathname === '/token') {
      if (request.headers.authorization !== `Basic ${Buffer.from('ann:secret').toString('base64')}`) return response.writeHead(401).end()
      return response.writeHead(200, { 'content-type': 'application/json' }).end('{"token":"let-me-in"}')
    }
    if (request.headers.authorization !== 'Bearer let-me-in') {
      return response.writeHead(401, { 'www-authenticate': `Bearer realm="http://127.0.0.1:${port}/token",service="registry",scope="repository:team/app:pull"` }).end()
    }
    const blob = blobs.get(url.pathname.split('/').at(-1)!)
    if (url.pathname.startsWith('/v2/team/app/manifests/')) return response.writeHead(200, { 'content-type': 'application/vnd.oci.image.manifest.v1+json', 'docker-content-digest': sha256(manifest) }).end(manifest)
    if (url.pathname.startsWith('/v2/team/app/blobs/') && blob) return response.writeHead(200, { 'content-length': blob.length }).end(blob)
    return response.writeHead(404).end()
  }
  const server = createServer(answer)
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return { server, port: (server.address() as AddressInfo).port, requests: () => count }
}
