// `fairway image load`: a docker-archive or an OCI layout in one tar file. Its members are spooled to
// a directory first, because an archive may name its layers before or after they come.
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { open, readFile, stat } from 'node:fs/promises'
import { join, posix } from 'node:path'
import { UserError } from '#lib/errors.ts'
import { FormatError, isDigest, layoutNames, maxDocument, parseArchiveManifest, parseDocument, pickPlatform } from '../formats.ts'
import type { Descriptor } from '../formats.ts'
import { ReferenceError, canonical, parseReference } from '../reference.ts'
import { readTar, removeTree, scratch, unpackImage } from '../unpack/apply.ts'
import type { StoredImage } from '../unpack/apply.ts'
import { UnpackError } from '../unpack/tree.ts'

/** `names` are whole and checked. */
export interface LoadedImage { readonly image: StoredImage; readonly names: readonly string[] }

const whole = (name: string): string => canonical(parseReference(name))

const maxMembers = 100_000

/** Images are unpacked below `directory`. Throws UserError for a file that is no image archive. */
export async function loadArchive(file: string, { directory, architecture }: { directory: string; architecture: string }): Promise<LoadedImage[]> {
  const spool = await scratch(directory)
  try {
    const members = await spoolMembers(file, spool)
    const archive = { members, directory, architecture }
    if (members.has('manifest.json')) return await loadDockerArchive(archive)
    if (members.has('index.json')) return await loadLayout(archive)
    throw new FormatError('it holds neither manifest.json (docker save) nor index.json (an OCI layout)')
  } catch (error) {
    if (error instanceof FormatError || error instanceof UnpackError || error instanceof ReferenceError) throw new UserError(`${file} cannot be loaded: ${error.message}`)
    throw error
  } finally {
    await removeTree(spool)
  }
}

interface Archive { readonly members: ReadonlyMap<string, string>; readonly directory: string; readonly architecture: string }

/** Member name to file; links (docker save writes them for layers that occur twice) lead to what they name. */
async function spoolMembers(file: string, spool: string): Promise<Map<string, string>> {
  const members = new Map<string, string>(), links = new Map<string, string>()
  await readTar(file, {
    async use(entry, header) {
      const name = posix.normalize(header.name)
      if (members.size + links.size >= maxMembers) throw new FormatError(`it has more than ${maxMembers} members`)
      if (header.type === 'symlink') links.set(name, posix.join(posix.dirname(name), header.linkname ?? ''))
      if (header.type === 'link') links.set(name, posix.normalize(header.linkname ?? ''))
      if (header.type !== 'file') return
      const path = join(spool, String(members.size))
      const handle = await open(path, 'wx', 0o600)
      try {
        for await (const chunk of entry as AsyncIterable<Buffer>) await handle.write(chunk)
      } finally {
        await handle.close()
      }
      members.set(name, path)
    },
  })
  for (const [name, target] of links) if (members.has(target)) members.set(name, members.get(target)!)
  return members
}

function member({ members }: Archive, name: string): string {
  const file = members.get(posix.normalize(name))
  if (file === undefined) throw new FormatError(`it lacks ${name}, which it refers to`)
  return file
}

async function document(archive: Archive, name: string): Promise<string> {
  const file = member(archive, name)
  if ((await stat(file)).size > maxDocument) throw new FormatError(`${name} is larger than ${maxDocument} bytes`)
  return readFile(file, 'utf8')
}

async function loadDockerArchive(archive: Archive): Promise<LoadedImage[]> {
  const loaded: LoadedImage[] = []
  for (const { config, tags, layers } of parseArchiveManifest(await document(archive, 'manifest.json'))) {
    const names = tags.map(whole) // before anything is unpacked
    const configuration = await document(archive, config)
    loaded.push({ names, image: await unpackImage(archive.directory, {
      id: digestOf(configuration), configuration, architecture: archive.architecture, layers: layers.map(name => ({ file: member(archive, name) })) }) })
  }
  return loaded
}

const digestOf = (text: string) => `sha256:${createHash('sha256').update(text).digest('hex')}`

async function loadLayout(archive: Archive): Promise<LoadedImage[]> {
  const index = parseDocument(await document(archive, 'index.json'), 'index.json')
  if (index.kind !== 'index' || index.manifests.length === 0) throw new FormatError('index.json lists no image')
  // Entries of one name and several platforms are one image.
  const groups = new Map<string, Descriptor[]>()
  for (const [i, entry] of index.manifests.entries()) {
    const name = layoutNames(entry.annotations)[0] ?? (entry.platform ? '' : `#${i}`)
    groups.set(name, [...groups.get(name) ?? [], entry])
  }
  const loaded: LoadedImage[] = []
  for (const [name, entries] of groups) {
    const names = name === '' || name.startsWith('#') ? [] : [whole(name)]
    loaded.push({ names, image: await loadManifest(archive, choose(archive, entries)) })
  }
  return loaded
}

function choose({ architecture }: Archive, entries: readonly Descriptor[]): Descriptor {
  const found = entries.length === 1 && !entries[0]!.platform ? entries[0] : pickPlatform(entries, architecture)
  if (!found) throw new FormatError(`it has no image for linux/${architecture}`)
  return found
}

async function loadManifest(archive: Archive, { digest }: Descriptor, nested = 0): Promise<StoredImage> {
  if (nested > 4) throw new FormatError('its indexes are nested too deep')
  const text = await verified(archive, digest)
  const manifest = parseDocument(text, digest)
  if (manifest.kind === 'index') return loadManifest(archive, choose(archive, manifest.manifests), nested + 1)
  const layers = manifest.layers.map(layer => ({ file: member(archive, blobName(layer.digest)), digest: layer.digest }))
  for (const layer of layers) await verifyFile(layer.file, layer.digest)
  return unpackImage(archive.directory, { id: manifest.config.digest, configuration: await verified(archive, manifest.config.digest), architecture: archive.architecture, layers })
}

const blobName = (digest: string) => `blobs/${digest.replace(':', '/')}`

async function verified(archive: Archive, digest: string): Promise<string> {
  const text = await document(archive, blobName(digest))
  await verifyFile(member(archive, blobName(digest)), digest)
  return text
}

async function verifyFile(file: string, digest: string): Promise<void> {
  if (!isDigest(digest)) throw new FormatError(`${String(digest)} is no sha256 digest`)
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(file, { highWaterMark: 1 << 18 }) as AsyncIterable<Buffer>) hash.update(chunk)
  if (`sha256:${hash.digest('hex')}` !== digest) throw new FormatError(`blob ${digest} is damaged: its content has another digest`)
}
