// subPath needs bind mounts: the tests run again inside a mount namespace of their own.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { applySubPath, applyVolume, removePodFiles } from './apply.ts'

if (process.env.FAIRWAY_IN_MOUNT_NAMESPACE !== '1') {
  test('subPath inside a mount namespace', () => {
    const inside = spawnSync('unshare', [...(process.getuid!() === 0 ? [] : ['--user', '--map-root-user']), '--mount', '--propagation', 'private', process.execPath, '--disable-warning=ExperimentalWarning', import.meta.filename],
      { env: { ...process.env, FAIRWAY_IN_MOUNT_NAMESPACE: '1', NODE_TEST_CONTEXT: undefined }, encoding: 'utf8' })
    assert.equal(inside.status, 0, inside.stdout + inside.stderr)
  })
} else {
  const root = mkdtempSync(join(tmpdir(), 'fairway-subpath-'))
  const volume = join(root, 'volume'), secret = join(root, 'outside')
  mkdirSync(volume)
  mkdirSync(secret)
  writeFileSync(join(secret, 'file'), 'the host\'s')
  const at = (name: string) => join(root, 'pod/volume-subpaths', name)

  test('a folder that is missing is made', async () => {
    writeFileSync(join(await applySubPath(volume, 'a/b', at('1')), 'x'), 'y')
    assert.equal(readFileSync(join(volume, 'a/b/x'), 'utf8'), 'y')
  })
  test('a single file, also through links inside the volume', async () => {
    mkdirSync(join(volume, '..2026'))
    writeFileSync(join(volume, '..2026/app.conf'), 'text')
    symlinkSync('..2026', join(volume, '..data'))
    symlinkSync('..data/app.conf', join(volume, 'app.conf'))
    assert.equal(readFileSync(await applySubPath(volume, 'app.conf', at('2')), 'utf8'), 'text')
  })
  for (const [what, to] of [['relative', '../outside'], ['absolute', secret]] as const) test(`a ${what} link cannot lead out`, async () => {
    symlinkSync(to, join(volume, what))
    await applySubPath(volume, `${what}/file`, at(what)).then(place => assert.notEqual(readFileSync(place, 'utf8'), 'the host\'s'), () => {})
    assert.deepEqual(readdirSync(secret), ['file'])
  })
  test('what is bound is untouched when the pod goes, and so is a tmpfs', async () => {
    const memory = await applyVolume(join(root, 'pod'), { name: 'm', kind: 'emptyDir', memory: true, sizeBytes: 1 << 20 }, { now: 0 })
    assert.throws(() => writeFileSync(join(memory, 'big'), Buffer.alloc(2 << 20)), { code: 'ENOSPC' })
    await removePodFiles(join(root, 'pod'))
    assert.equal(readFileSync(join(volume, 'a/b/x'), 'utf8'), 'y')
    rmSync(root, { recursive: true })
  })
}
