import assert from 'node:assert/strict'
import { test } from 'node:test'
import { newTree, nextLayer, place } from './tree.ts'
import type { Entry, Step } from './tree.ts'

/** `d a/b` directory, `f a` file, `s a -> b` symbolic link, `h a -> b` hard link, `o a` other; `--` begins a layer. */
function entryOf(line: string): Entry {
  const [, letter, name, linkname = ''] = /^(.) (.*?)(?: -> (.*))?$/.exec(line)!
  return { name: name!, linkname, type: ({ d: 'directory', f: 'file', s: 'symlink', h: 'link', o: 'other' } as const)[letter as 'd'] }
}

/** The paths that are there in the end, as the steps leave them. */
function unpack(lines: readonly string[]): string[] {
  const tree = newTree(), disk = new Set<string>()
  nextLayer(tree)
  for (const line of lines) {
    if (line === '--') { nextLayer(tree); continue }
    for (const step of place(tree, entryOf(line))) apply(step, disk)
  }
  return [...disk].sort()
}

function apply(step: Step, disk: Set<string>): void {
  const parent = step.path.includes('/') ? step.path.slice(0, step.path.lastIndexOf('/')) : ''
  if (step.do === 'remove') {
    for (const path of disk) if (path === step.path || path.startsWith(`${step.path}/`)) disk.delete(path)
    return
  }
  assert.ok(parent === '' || disk.has(parent), `${step.path}: its directory is there before it`)
  if (step.do !== 'directory') assert.ok(!disk.has(step.path), `${step.path} is not there yet`)
  if (step.do === 'link') assert.ok(disk.has(step.to), `${step.to} is there to be linked`)
  if (step.path !== '') disk.add(step.path)
}

const cases: [name: string, lines: string[], left: string[]][] = [
  ['missing parents are made', ['f a/b/c'], ['a', 'a/b', 'a/b/c']],
  ['./ and / begin at the root', ['d ./', 'f ./a', 'f /b'], ['a', 'b']],
  ['a whiteout hides what lower layers brought', ['f a/x', 'f a/y', '--', 'f a/.wh.x'], ['a', 'a/y']],
  ['a whiteout hides a whole directory', ['f a/x/y', '--', 'f a/.wh.x'], ['a']],
  ['a whiteout spares what its own layer brings, before or after', ['f a/x', '--', 'f a/x', 'f a/.wh.x'], ['a', 'a/x']],
  ['a whiteout of a directory spares the new part of it', ['f a/x/old', '--', 'd a/x', 'f a/x/new', 'f a/.wh.x'], ['a', 'a/x', 'a/x/new']],
  ['a whiteout of nothing is nothing', ['d a', '--', 'f a/.wh.x', 'f b/.wh.y'], ['a']],
  ['an opaque directory hides everything below', ['f a/x', 'f a/d/y', 'f b', '--', 'd a', 'f a/new', 'f a/.wh..wh..opq'], ['a', 'a/new', 'b']],
  ['aufs\'s own names are dropped', ['f .wh..wh.plnk', 'f a'], ['a']],
  ['a file takes the place of a directory', ['f a/b/c', '--', 'f a'], ['a']],
  ['a directory takes the place of a file and of a link', ['f a', 's b -> a', '--', 'd a', 'd b', 'f b/c'], ['a', 'b', 'b/c']],
  ['a directory over a directory keeps its files', ['f a/x', '--', 'd a', 'f a/y'], ['a', 'a/x', 'a/y']],
  ['a path through a link goes where it leads', ['d usr/lib', 's lib -> usr/lib', '--', 'f lib/x.so'], ['lib', 'usr', 'usr/lib', 'usr/lib/x.so']],
  ['an absolute link leads to the image\'s root', ['d real', 's a/link -> /real', 'f a/link/x'], ['a', 'a/link', 'real', 'real/x']],
  ['a link that climbs stops at the root', ['s up -> ../../../etc', 'f up/passwd'], ['etc', 'etc/passwd', 'up']],
  ['a hard link, also to a lower layer', ['f a', '--', 'h b/c -> a'], ['a', 'b', 'b/c']],
  ['device nodes are left out', ['o dev/null', 'f dev/x'], ['dev', 'dev/x']],
]
for (const [name, lines, left] of cases) test(name, () => assert.deepEqual(unpack(lines), left))

const refused: [name: string, lines: string[], message: RegExp][] = [
  ['a name that climbs', ['f ../x'], /leads out of the image/],
  ['a name that climbs later', ['f a/../../x'], /leads out/],
  ['a hard link that climbs', ['h a -> ../../etc/passwd'], /leads out/],
  ['a hard link to nothing', ['h a -> b'], /no file of the image/],
  ['a hard link to a directory', ['d d', 'h a -> d'], /no file/],
  ['a hard link to itself', ['f a', 'h a -> a'], /itself/],
  ['a link in a circle', ['s a -> b', 's b -> a', 'f a/x'], /too many levels/],
  ['a path through a file', ['f a', 'f a/b'], /a is not a directory/],
  ['a path beyond reason', [`f ${'x'.repeat(5000)}`], /5000 characters/],
  ['a name beyond reason', [`f ${'x'.repeat(256)}`], /longer than 255/],
  ['directories without end', [`f ${'a/'.repeat(600)}b`], /512 deep/],
]
for (const [name, lines, message] of refused) test(`${name} is refused`, () => assert.throws(() => unpack(lines), { name: 'Error', message }))
