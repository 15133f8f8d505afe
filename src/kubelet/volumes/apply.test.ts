import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, readlinkSync, readdirSync, rmSync, statSync, mkdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { applyVolume, removePodFiles } from './apply.ts'
import type { File, VolumePlan } from './plan.ts'

function folder() {
  const path = mkdtempSync(join(tmpdir(), 'fairway-volumes-'))
  return { path, [Symbol.dispose]() { rmSync(path, { recursive: true, force: true }) } }
}
const files = (entries: Record<string, string>, mode = 0o644): VolumePlan =>
  ({ name: 'v', kind: 'files', plugin: 'kubernetes.io~configmap', files: new Map(Object.entries(entries).map(([path, text]): [string, File] => [path, { data: Buffer.from(text), mode }])) })
const visible = (place: string) => readdirSync(place).filter(name => !name.startsWith('..')).toSorted()

test('files appear, change together and go', async () => {
  using root = folder()
  const place = await applyVolume(root.path, files({ a: '1', 'd/b': '2' }, 0o640), { now: 0 })
  assert.equal(place, `${root.path}/volumes/kubernetes.io~configmap/v`)
  assert.deepEqual(visible(place), ['a', 'd'])
  assert.equal(readFileSync(`${place}/d/b`, 'utf8'), '2')
  assert.equal(statSync(`${place}/a`).mode & 0o777, 0o640)
  const first = readlinkSync(`${place}/..data`)
  await applyVolume(root.path, files({ a: '1', 'd/b': '2' }), { now: 1000 })
  assert.equal(readlinkSync(`${place}/..data`), first, 'the same again changes nothing')
  await applyVolume(root.path, files({ a: 'new' }), { now: 2000 })
  assert.deepEqual(visible(place), ['a'])
  assert.equal(readFileSync(`${place}/a`, 'utf8'), 'new')
  assert.equal(readdirSync(place).filter(name => name.startsWith('..2') || name.startsWith('..1')).length, 1, 'the old folder is gone')
  await removePodFiles(root.path)
  assert.throws(() => statSync(root.path), { code: 'ENOENT' })
})

test('an emptyDir is everybody\'s and outlives a second look', async () => {
  using root = folder()
  const plan: VolumePlan = { name: 'e', kind: 'emptyDir', memory: false }
  const place = await applyVolume(root.path, plan, { now: 0 })
  assert.equal(statSync(place).mode & 0o7777, 0o777)
  mkdirSync(`${place}/kept`)
  await applyVolume(root.path, plan, { now: 0 })
  assert.deepEqual(readdirSync(place), ['kept'])
})

for (const [type, path, message] of [['Directory', 'none', 'is not a directory'], ['File', '', 'is not a file'], ['Socket', '', 'is not a socket']] as const)
  test(`hostPath type ${type}`, async () => {
    using root = folder()
    await assert.rejects(applyVolume(root.path, { name: 'h', kind: 'hostPath', path: join(root.path, path), type }, { now: 0 }), { message: `hostPath type check failed: ${join(root.path, path)} ${message}` })
  })
test('hostPath makes what it may', async () => {
  using root = folder()
  await applyVolume(root.path, { name: 'h', kind: 'hostPath', path: `${root.path}/d`, type: 'DirectoryOrCreate' }, { now: 0 })
  await applyVolume(root.path, { name: 'h', kind: 'hostPath', path: `${root.path}/f`, type: 'FileOrCreate' }, { now: 0 })
  assert.deepEqual([statSync(`${root.path}/d`).isDirectory(), statSync(`${root.path}/f`).isFile()], [true, true])
})
