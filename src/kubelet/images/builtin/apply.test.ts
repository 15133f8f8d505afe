import assert from 'node:assert/strict'
import { existsSync, lstatSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, readlinkSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { makeLayer, probeMachine, seedCompileCache } from './apply.ts'
import { dir, file, link, script } from './layer.ts'
import type { Entry } from './layer.ts'

const scratch = mkdtempSync(join(tmpdir(), 'layer-'))
after(() => rmSync(scratch, { recursive: true }))

const entries: readonly Entry[] = [dir('/tmp', 0o1777), file('/etc/a', 'text', 0o640), script('/bin/run', 'exit 0'), link('/etc/b', 'a'), { kind: 'copy', path: '/etc/me', from: import.meta.filename },
  { kind: 'copy', path: '/etc/absent', from: '/absent' }, { kind: 'fifo', path: '/var/fifo' }]

test('a layer is what its entries say, whatever the umask', async () => {
  const umask = process.umask(0o077)
  const layer = await makeLayer(scratch, 'one', entries).finally(() => process.umask(umask))
  const mode = (path: string) => statSync(join(layer, path)).mode & 0o7777
  assert.deepEqual(['', 'etc', 'tmp', 'etc/a', 'bin/run', 'etc/me', 'var'].map(mode), [0o755, 0o755, 0o1777, 0o640, 0o755, 0o644, 0o755])
  assert.equal(readFileSync(join(layer, 'etc/a'), 'utf8'), 'text')
  assert.equal(readFileSync(join(layer, 'bin/run'), 'utf8'), '#!/bin/sh\nexit 0\n')
  assert.equal(readlinkSync(join(layer, 'etc/b')), 'a')
  assert.ok(lstatSync(join(layer, 'var/fifo')).isFIFO())
  assert.ok(!existsSync(join(layer, 'etc/absent')))
})

test('a layer is made once, also by several at a time, and anew when it changes', async () => {
  const layers = await Promise.all(Array.from({ length: 5 }, () => makeLayer(scratch, 'two', entries)))
  assert.equal(new Set(layers).size, 1)
  const before = statSync(layers[0]!).ino
  assert.equal(statSync(await makeLayer(scratch, 'two', entries)).ino, before)
  assert.notEqual(await makeLayer(scratch, 'two', [...entries, file('/new', '')]), layers[0])
  assert.deepEqual(readdirSync(scratch).filter(name => name.startsWith('.new')), [])
})

test('this machine', async () => {
  const machine = await probeMachine()
  assert.match(machine.distribution, /^\w/)
  assert.ok(machine.links.every(([, target]) => target.startsWith('usr/')))
  assert.equal(machine.nginx !== undefined, existsSync('/usr/sbin/nginx'))
  if (machine.busybox) assert.ok(machine.busybox.applets.includes('wget'), machine.busybox.applets.join(' '))
})

test('the compile cache is filled once', async () => {
  const directory = join(scratch, 'compile')
  mkdirSync(join(directory, 'cache'), { recursive: true })
  const options = { fairwayRoot: join(import.meta.dirname, '../../../..'), nodePath: process.execPath }
  await seedCompileCache(directory, options)
  const [version] = readdirSync(join(directory, 'cache'))
  assert.ok(readdirSync(join(directory, 'cache', version!)).length > 20)
  const stamp = statSync(join(directory, 'stamp')).mtimeMs
  await seedCompileCache(directory, options)
  assert.equal(statSync(join(directory, 'stamp')).mtimeMs, stamp)
})
