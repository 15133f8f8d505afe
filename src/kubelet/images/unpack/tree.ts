// What unpacking layer upon layer does to a directory, decided in memory: every tar entry becomes
// steps on the disk. Layers are flattened into one directory, because overlayfs's own whiteouts need
// device nodes (root) or extended attributes (which Node cannot set), and one lower directory also
// mounts fastest; the price is that two images do not share a common layer on disk. Pure: since the
// tree is known here, no path is ever resolved by the kernel through a link that an image brought.

export class UnpackError extends Error {}

/** A tar header, as far as it matters. */
export interface Entry {
  readonly name: string
  readonly type: 'file' | 'directory' | 'symlink' | 'link' | 'other'
  readonly linkname: string
}

/** Paths are relative to the image's root, without a leading slash, and lead through no link. */
export type Step =
  | { readonly do: 'remove'; readonly path: string }
  /** A directory that the image implies or names; may be there already. */
  | { readonly do: 'directory'; readonly path: string }
  | { readonly do: 'file'; readonly path: string }
  | { readonly do: 'symlink'; readonly path: string; readonly target: string }
  | { readonly do: 'link'; readonly path: string; readonly to: string }

interface Directory { kind: 'directory'; readonly children: Map<string, Node>; readonly parent: Directory | undefined; readonly name: string; layer: number }
interface Leaf { readonly kind: 'file' | 'symlink'; readonly target: string; readonly layer: number }
type Node = Directory | Leaf

export interface Tree { readonly root: Directory; layer: number; entries: number }

const maxEntries = 1_000_000, maxPath = 4096, maxName = 255, maxLinks = 255
const whiteout = '.wh.', opaque = '.wh..wh..opq'

export const newTree = (): Tree => ({ root: { kind: 'directory', children: new Map(), parent: undefined, name: '', layer: 0 }, layer: 0, entries: 0 })

/** The entries that follow belong to the next layer above. */
export const nextLayer = (tree: Tree): void => { tree.layer++ }

/** Throws UnpackError for a path that leaves the image. The last step is the entry's own, to which its content and mode belong; none for a whiteout. */
export function place(tree: Tree, entry: Entry): Step[] {
  if (++tree.entries > maxEntries) throw new UnpackError(`more than ${maxEntries} files`)
  const parts = split(entry.name)
  const base = parts.at(-1)
  if (base === undefined) return entry.type === 'directory' ? [{ do: 'directory', path: '' }] : []
  const steps: Step[] = []
  if (base.startsWith(whiteout)) return hide(tree, parts, base)
  const parent = directoryOf(tree, parts.slice(0, -1), steps)!
  const existing = parent.children.get(base)
  const path = pathOf(parent, base)
  if (entry.type === 'other') return steps // device nodes and FIFOs: the runtime brings its own /dev
  if (existing && !(existing.kind === 'directory' && entry.type === 'directory')) steps.push({ do: 'remove', path })
  steps.push(create(tree, parent, base, entry))
  return steps
}

function create(tree: Tree, parent: Directory, base: string, entry: Entry): Step {
  const path = pathOf(parent, base), { layer } = tree
  switch (entry.type) {
    case 'directory': {
      const existing = parent.children.get(base)
      if (existing?.kind === 'directory') existing.layer = layer
      else parent.children.set(base, { kind: 'directory', children: new Map(), parent, name: base, layer })
      return { do: 'directory', path }
    }
    case 'symlink':
      if (entry.linkname === '' || entry.linkname.length > maxPath || entry.linkname.includes('\0')) throw new UnpackError(`${path}: a symbolic link to nothing`)
      parent.children.set(base, { kind: 'symlink', target: entry.linkname, layer })
      return { do: 'symlink', path, target: entry.linkname }
    case 'link': {
      const to = leafPath(tree, entry.linkname, path)
      if (to.path === path) throw new UnpackError(`${path}: a hard link to itself`)
      parent.children.set(base, { ...to.leaf, layer })
      return { do: 'link', path, to: to.path }
    }
    default:
      parent.children.set(base, { kind: 'file', target: '', layer })
      return { do: 'file', path }
  }
}

/** A leading slash means the image's root, as for containerd; a `..` is refused. */
function split(name: string): string[] {
  if (name.length > maxPath || name.includes('\0')) throw new UnpackError(`a path of ${name.length} characters`)
  const parts = name.split('/').filter(part => part !== '' && part !== '.')
  if (parts.includes('..')) throw new UnpackError(`${JSON.stringify(name)} leads out of the image`)
  if (parts.some(part => Buffer.byteLength(part) > maxName)) throw new UnpackError(`a file name longer than ${maxName} bytes`)
  return parts
}

/** Follows links inside the image (containerd's fs.RootPath); `steps` gets the directories that were missing, without it they are an answer of undefined. */
function directoryOf(tree: Tree, parts: readonly string[], steps?: Step[]): Directory | undefined {
  let at = tree.root, links = 0
  const todo = [...parts].reverse()
  for (let part = todo.pop(); part !== undefined; part = todo.pop()) {
    if (part === '' || part === '.') continue
    if (part === '..') { at = at.parent ?? tree.root; continue }
    const child = at.children.get(part)
    if (child?.kind === 'directory') { at = child; continue }
    if (child?.kind === 'symlink') {
      if (++links > maxLinks) throw new UnpackError(`${pathOf(at, part)}: too many levels of symbolic links`)
      if (child.target.startsWith('/')) at = tree.root
      todo.push(...child.target.split('/').reverse())
      continue
    }
    if (child) throw new UnpackError(`${pathOf(at, part)} is not a directory`)
    if (!steps) return undefined
    const made: Directory = { kind: 'directory', children: new Map(), parent: at, name: part, layer: tree.layer }
    if (depth(made) > 512) throw new UnpackError('directories nested more than 512 deep')
    at.children.set(part, made)
    at = made
    steps.push({ do: 'directory', path: pathOf(made) })
  }
  return at
}

function leafPath(tree: Tree, linkname: string, from: string): { path: string; leaf: Leaf } {
  const parts = split(linkname)
  const parent = directoryOf(tree, parts.slice(0, -1)), base = parts.at(-1) ?? ''
  const leaf = parent?.children.get(base)
  if (!parent || !leaf || leaf.kind === 'directory') throw new UnpackError(`${from}: a hard link to ${JSON.stringify(linkname)}, which is no file of the image`)
  return { path: pathOf(parent, base), leaf }
}

/** OCI image-spec layer.md, Whiteouts: they hide what lower layers brought, never this layer's own. */
function hide(tree: Tree, parts: readonly string[], base: string): Step[] {
  const parent = directoryOf(tree, parts.slice(0, -1))
  if (!parent) return []
  if (base === opaque) return [...parent.children.keys()].flatMap(name => removeLower(tree, parent, name))
  if (base.startsWith('.wh..wh.')) return [] // what aufs kept for itself
  return removeLower(tree, parent, base.slice(whiteout.length))
}

function removeLower({ layer }: Tree, parent: Directory, name: string): Step[] {
  const child = parent.children.get(name)
  if (!child || (child.kind !== 'directory' && child.layer === layer)) return []
  if (child.kind === 'directory' && holds(child, layer)) {
    return [...child.children.keys()].flatMap(inner => removeLower({ layer } as Tree, child, inner))
  }
  parent.children.delete(name)
  return [{ do: 'remove', path: pathOf(parent, name) }]
}

const holds = (directory: Directory, layer: number): boolean =>
  directory.layer === layer || [...directory.children.values()].some(child => child.kind === 'directory' ? holds(child, layer) : child.layer === layer)

function pathOf(directory: Directory, base?: string): string {
  const parts = base === undefined ? [] : [base]
  for (let at: Directory | undefined = directory; at?.parent; at = at.parent) parts.push(at.name)
  return parts.reverse().join('/')
}

function depth(directory: Directory): number {
  let count = 0
  for (let at: Directory | undefined = directory; at; at = at.parent) count++
  return count
}
