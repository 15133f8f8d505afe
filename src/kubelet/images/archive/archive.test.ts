import assert from 'node:assert/strict'
import { lstat, mkdir, mkdtemp, readFile, readdir, readlink, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { silent } from '#lib/log.ts'
import { openImages } from '../apply.ts'
import { goArchitecture } from '../formats.ts'
import type { ImageStore } from '../store.ts'
import { digestOf, dockerArchive, image, index, layout, tar } from '../testing/image.ts'
import type { File } from '../testing/image.ts'

const architecture = goArchitecture(process.arch)
let scratch = '', count = 0
before(async () => { scratch = await mkdtemp(join(tmpdir(), 'images-')) })
after(() => rm(scratch, { recursive: true }))

const store = (): Promise<ImageStore> => openImages({ directory: join(scratch, `store-${count++}`), log: silent, fairwayRoot: scratch, nodePath: process.execPath })
const file = async (bytes: Buffer): Promise<string> => { const path = join(scratch, `archive-${count++}.tar`); await writeFile(path, bytes); return path }
const rootOf = async (images: ImageStore, id: string) => (await images.rootfs(id)).lowerDirs[0]!

const base: File[] = [
  { name: 'etc/', type: 'directory', mode: 0o755 }, { name: 'etc/motd', content: 'hello' }, { name: 'etc/gone', content: 'x' },
  { name: 'bin/run', content: '#!/bin/sh\n', mode: 0o4755 }, { name: 'closed/', type: 'directory', mode: 0o500 }, { name: 'closed/in', content: 'deep', mode: 0o400 }, { name: 'link', type: 'symlink', linkname: 'etc/motd' },
]
const top: File[] = [{ name: 'etc/.wh.gone', content: '' }, { name: 'etc/motd', content: 'changed' }, { name: 'bin/again', type: 'link', linkname: 'bin/run' }]
const config = { Entrypoint: ['/bin/run'], Cmd: ['a'], Env: ['A=1'], WorkingDir: '/etc', User: '1000:1000', StopSignal: 'SIGINT', ExposedPorts: { '80/tcp': {} } }

for (const compression of ['none', 'gzip', 'zstd'] as const) {
  test(`a docker-archive with layers compressed by ${compression}`, async () => {
    const images = await store()
    const built = await image([base, top], { architecture, compression, config })
    const [loaded] = await images.loadArchive(await file(await dockerArchive(built, ['shop/app:v1', 'app'])))
    assert.deepEqual({ ...loaded, sizeBytes: 0 }, { id: digestOf(built.config), tags: ['docker.io/library/app:latest', 'docker.io/shop/app:v1'], digests: [], sizeBytes: 0, user: '1000:1000' })
    const { config: read, usrFromHost } = await images.rootfs(loaded!.id)
    assert.equal(usrFromHost, false)
    assert.deepEqual(read, { entrypoint: ['/bin/run'], cmd: ['a'], env: ['A=1'], workingDir: '/etc', user: '1000:1000', stopSignal: 'SIGINT', exposedPorts: ['80/tcp'] })
    const root = await rootOf(images, loaded!.id)
    assert.deepEqual((await readdir(join(root, 'etc'))).sort(), ['motd'])
    assert.equal(await readFile(join(root, 'etc/motd'), 'utf8'), 'changed')
    assert.equal(await readlink(join(root, 'link')), 'etc/motd')
    assert.equal((await stat(join(root, 'bin/run'))).mode & 0o7777, 0o4755)
    assert.equal((await stat(join(root, 'bin/again'))).ino, (await stat(join(root, 'bin/run'))).ino)
    assert.equal((await stat(join(root, 'closed'))).mode & 0o7777, 0o500)
    assert.equal((await lstat(join(root, 'etc/motd'))).mtimeMs, 1_700_000_000_000)
    assert.equal((await images.imageStatus('shop/app:v1'))?.id, loaded!.id)
    assert.equal(await images.removeImage('app'), true)
    assert.equal(await images.imageStatus('app'), undefined)
    assert.equal((await images.imageStatus(loaded!.id))?.id, loaded!.id)
    assert.equal(await images.removeImage(loaded!.id), true)
    await assert.rejects(images.rootfs(loaded!.id), /not here any more/)
    assert.equal(await images.removeImage('shop/app:v1'), false)
  })
}

test('a whole archive compressed, loaded twice: one image, unpacked once', async () => {
  const images = await store()
  const bytes = gzipSync(await dockerArchive(await image([base], { architecture }), ['app:1']))
  const [first] = await images.loadArchive(await file(bytes))
  const before = await stat(await rootOf(images, first!.id))
  const [second] = await images.loadArchive(await file(bytes))
  assert.deepEqual(second, first)
  assert.equal((await stat(await rootOf(images, first!.id))).ino, before.ino)
  assert.equal((await images.listImages()).filter(({ id }) => id.startsWith('sha256:')).length, 1)
})

test('an image that is loaded stands before the built-in one of its name', async () => {
  const images = await store()
  assert.ok((await images.imageStatus('nginx:1.17.2'))?.standIn)
  const [loaded] = await images.loadArchive(await file(await dockerArchive(await image([base], { architecture }), ['nginx:1.17.2'])))
  assert.equal((await images.imageStatus('nginx:1.17.2'))?.id, loaded!.id)
  assert.equal((await images.pullImage('nginx:1.17.2', [])).id, loaded!.id)
})

test('an OCI layout: nested indexes, the right platform, names from annotations', async () => {
  const images = await store()
  const [mine, other] = [await image([base], { architecture }), await image([top.slice(1, 2)], { architecture: 's390x' })]
  const inner = index([{ image: other, platform: { os: 'linux', architecture: 's390x' } }, { image: mine, platform: { os: 'linux', architecture } }])
  const outer = JSON.stringify({ schemaVersion: 2, manifests: [{ mediaType: 'application/vnd.oci.image.index.v1+json', digest: digestOf(inner), size: inner.length, annotations: { 'io.containerd.image.name': 'ghcr.io/a/b:c' } }] })
  const [loaded] = await images.loadArchive(await file(await layout(outer, [...mine.blobs, ...other.blobs, [digestOf(inner), Buffer.from(inner)]])))
  assert.deepEqual([loaded!.id, loaded!.tags], [digestOf(mine.config), ['ghcr.io/a/b:c']])
})

test('an OCI layout without names is known by its id', async () => {
  const images = await store()
  const mine = await image([base], { architecture, compression: 'none' })
  const [loaded] = await images.loadArchive(await file(await layout(index([{ image: mine }]), mine.blobs)))
  assert.deepEqual(loaded!.tags, [])
  assert.equal((await images.imageStatus(loaded!.id.slice(7)))?.id, loaded!.id)
})

test('nothing is left of an archive that is refused, and the reason is said', async () => {
  const good = await image([base], { architecture })
  const wrong = JSON.stringify({ ...JSON.parse(good.config), rootfs: { diff_ids: [`sha256:${'0'.repeat(64)}`] } })
  const docker = (configuration: string, layers: Buffer[]) => tar([...layers.map((content, i) => ({ name: `${i}`, content })), { name: 'c', content: configuration },
    { name: 'manifest.json', content: JSON.stringify([{ Config: 'c', RepoTags: ['bad'], Layers: layers.map((_, i) => `${i}`) }]) }])
  const damaged = new Map([...good.blobs].map(([digest, bytes]) => [digest, digest === digestOf(good.layers[0]!.bytes) ? Buffer.from('other') : bytes]))
  const evil = async (...files: File[]) => dockerArchive(await image([files], { architecture }), ['evil'])
  const cases: [name: string, bytes: Buffer, message: RegExp][] = [
    ['another content', await docker(wrong, [good.layers[0]!.bytes]), /configuration promises sha256:0000/],
    ['a missing layer', await docker(good.config, []), /has 0 layers and its configuration names 1/],
    ['a damaged blob', await layout(index([{ image: good }]), damaged), /blob sha256:.* is damaged/],
    ['no such platform', await layout(index([{ image: good, platform: { os: 'linux', architecture: 's390x' } }]), good.blobs), new RegExp(`no image for linux/${architecture}`)],
    ['for another processor', await dockerArchive(await image([base], { architecture: 's390x' }), ['x']), /the image is for s390x/],
    ['no image at all', await tar([{ name: 'a', content: 'b' }]), /neither manifest.json/],
    ['text', Buffer.from('hello '.repeat(200)), /damaged or no tar archive|neither/],
    ['half a gzip', gzipSync(await dockerArchive(good, ['x'])).subarray(0, 200), /damaged or no tar archive/],
    ['xz', Buffer.concat([Buffer.from('fd377a585a0000', 'hex'), Buffer.alloc(600)]), /compressed with xz/],
    ['a climbing path', await evil({ name: '../../escape', content: 'x' }), /leads out of the image/],
    ['a climbing hard link', await evil({ name: 'a', type: 'link', linkname: '../../../etc/passwd' }), /leads out of the image/],
    ['a bad name', await dockerArchive(good, ['a/UPper']), /cannot be loaded: .*must be lowercase/],
  ]
  for (const [name, bytes, message] of cases) {
    const images = await store()
    const directory = join(scratch, `store-${count - 1}`)
    await assert.rejects(images.loadArchive(await file(bytes)), message, name)
    assert.deepEqual((await readdir(join(directory, 'unpacked'))).filter(entry => entry.startsWith('.new')), [], name)
    assert.deepEqual(await readdir(join(directory, 'names')), [], name)
  }
  assert.deepEqual((await readdir(scratch)).filter(name => /escape/.test(name)), [])
})

test('a link planted by one layer does not let the next write outside', async () => {
  const images = await store()
  const outside = join(scratch, 'outside')
  await mkdir(outside)
  const built = await image([[{ name: 'way', type: 'symlink', linkname: outside }, { name: 'up', type: 'symlink', linkname: '../../../../../..' }], [{ name: 'way/file', content: 'x' }, { name: 'up/file', content: 'y' }]], { architecture })
  const [loaded] = await images.loadArchive(await file(await dockerArchive(built, ['links'])))
  assert.deepEqual(await readdir(outside), [])
  assert.equal(await readFile(join(await rootOf(images, loaded!.id), outside, 'file'), 'utf8'), 'x')
})
