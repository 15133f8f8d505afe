// Writes an image's layers to disk: verified, bounded, flattened into one directory as tree.ts
// decides. The result appears whole under its id or not at all.
import { createHash, randomBytes } from 'node:crypto'
import { closeSync, createReadStream, existsSync, fchmodSync, futimesSync, lchownSync, openSync, writeFileSync } from 'node:fs'
import { chmod, link, lutimes, mkdir, open, readFile, readdir, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { Transform } from 'node:stream'
import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGunzip, createZstdDecompress } from 'node:zlib'
import { extract } from 'tar-stream'
import type { Extract, Header as Headers } from 'tar-stream'
import { FormatError, parseConfiguration } from '../formats.ts'
import type { ImageConfig } from '../store.ts'
import { UnpackError, newTree, nextLayer, place } from './tree.ts'
import type { Entry, Step, Tree } from './tree.ts'

/** One member of a tar file, its content as a stream. */
type TarEntry = Extract extends AsyncIterable<infer Source> ? Source : never

const maxUnpacked = 64 * 2 ** 30

/** What is kept beside the files, as `image.json`. */
export interface StoredImage { readonly id: string; readonly config: ImageConfig; readonly sizeBytes: number; readonly layers: readonly string[]; readonly notKept: { readonly owners: number; readonly special: number } }

export interface Layer { /** A file on this machine. */ readonly file: string }

/** `id` is the digest of `configuration`'s text, which the caller has verified. Idempotent: an image that is there is not unpacked again. */
export async function unpackImage(directory: string, { id, configuration, layers, architecture }: { id: string; configuration: string; layers: readonly Layer[]; architecture: string }): Promise<StoredImage> {
  const { config, diffIds, ...platform } = parseConfiguration(configuration)
  if (platform.os !== 'linux' && platform.os !== '') throw new FormatError(`the image is for ${platform.os}, not for Linux`)
  if (platform.architecture !== architecture && platform.architecture !== '') throw new FormatError(`the image is for ${platform.architecture}, and this machine is ${architecture}`)
  if (layers.length !== diffIds.length) throw new FormatError(`the image has ${layers.length} layers and its configuration names ${diffIds.length}`)
  const target = join(directory, id.replace('sha256:', ''))
  if (existsSync(join(target, 'image.json'))) return JSON.parse(await readFile(join(target, 'image.json'), 'utf8')) as StoredImage
  const temporary = join(directory, `.new-${randomBytes(6).toString('hex')}`)
  try {
    await mkdir(join(temporary, 'rootfs'), { recursive: true })
    const writer = new Writer(join(temporary, 'rootfs'))
    for (const [i, layer] of layers.entries()) await writer.layer(layer.file, diffIds[i]!)
    await writer.finish()
    const image: StoredImage = { id, config, sizeBytes: writer.bytes, layers: diffIds, notKept: writer.notKept }
    await writeFile(join(temporary, 'image.json'), JSON.stringify(image))
    await rename(temporary, target).catch(error => { if (!existsSync(target)) throw error }) // another process was faster
    return image
  } finally {
    await removeTree(temporary)
  }
}

/** The bytes of a file, decompressed when it is compressed: its first bytes tell, whatever it is called. */
export async function openDecompressed(file: string): Promise<{ source: Readable; decompress: Transform | undefined }> {
  const handle = await open(file)
  const magic = Buffer.alloc(6)
  await handle.read(magic, 0, 6, 0)
  await handle.close()
  const hex = magic.toString('hex')
  if (hex.startsWith('fd377a585a') || hex.startsWith('425a68')) throw new FormatError(`${file} is compressed with ${hex.startsWith('fd') ? 'xz' : 'bzip2'}: unpack it first; gzip and zstd are read`)
  return { source: createReadStream(file, { highWaterMark: 1 << 18 }), decompress: hex.startsWith('1f8b') ? createGunzip() : hex.startsWith('28b52ffd') ? createZstdDecompress() : undefined }
}

/** Runs `use` on each entry of a tar file; `tap` sees the decompressed bytes. */
export async function readTar(file: string, { tap, use }: { tap?: (chunk: Buffer) => void; use: (entry: TarEntry, header: Headers) => Promise<void> }): Promise<void> {
  const { source, decompress } = await openDecompressed(file)
  const parser = extract({ allowUnknownFormat: true } as object) // tars older than POSIX; the option is not in the types
  const look = new Transform({ transform(chunk: Buffer, _, done) { try { tap?.(chunk); done(undefined, chunk) } catch (error) { done(error as Error) } } })
  const flow = decompress ? pipeline(source, decompress, look, parser) : pipeline(source, look, parser)
  flow.catch(() => {}) // awaited below, after the loop that it makes fail
  try {
    for await (const entry of parser) {
      await use(entry, entry.header)
      entry.resume()
    }
    await flow
  } catch (error) {
    parser.destroy()
    // A loop over a stream that its source has failed may only hear that it was destroyed: the pipeline knows why.
    const cause = error instanceof Error && error.message === 'Stream was destroyed' ? await flow.then(() => error, (reason: unknown) => reason) : error
    throw tarError(cause, file)
  }
}

const tarError = (error: unknown, file: string): unknown =>
  error instanceof Error && !(error instanceof UnpackError || error instanceof FormatError) && /tar|incorrect|header|unexpected end|zstd|premature|invalid/i.test(error.message)
    ? new FormatError(`${file} is damaged or no tar archive: ${error.message}`) : error

class Writer {
  readonly root: string
  bytes = 0
  readonly notKept = { owners: 0, special: 0 }
  private readonly tree: Tree = newTree()
  private readonly directories = new Map<string, Headers>()

  constructor(root: string) { this.root = root }

  async layer(file: string, diffId: string): Promise<void> {
    nextLayer(this.tree)
    const hash = createHash('sha256')
    await readTar(file, {
      tap: chunk => { hash.update(chunk); this.count(chunk.length) },
      use: (entry, header) => this.entry(entry, header),
    })
    const found = `sha256:${hash.digest('hex')}`
    if (found !== diffId) throw new FormatError(`a layer's content is ${found}, and the image's configuration promises ${diffId}`)
  }

  private count(bytes: number): void {
    this.bytes += bytes
    if (this.bytes > maxUnpacked) throw new UnpackError(`the image unpacks to more than ${maxUnpacked / 2 ** 30} GiB`)
  }

  private async entry(content: TarEntry, header: Headers): Promise<void> {
    const entry: Entry = { name: header.name, linkname: header.linkname ?? '', type: typeOf(header.type) }
    const steps = place(this.tree, entry)
    if (entry.type === 'other') this.notKept.special++
    for (const [i, step] of steps.entries()) await this.perform(step, i === steps.length - 1 && entry.type !== 'other' ? { content, header } : undefined)
  }

  private async perform(step: Step, own: { content: TarEntry; header: Headers } | undefined): Promise<void> {
    const path = join(this.root, step.path)
    switch (step.do) {
      case 'remove':
        this.forget(step.path)
        return rm(path, { recursive: true, force: true })
      case 'directory':
        if (step.path !== '') await mkdir(path).catch(ignore('EEXIST'))
        if (own) this.directories.set(step.path, own.header)
        else if (step.path !== '') await chmod(path, 0o755)
        return
      case 'symlink':
        await symlink(step.target, path)
        this.own(path, own!.header)
        return lutimes(path, own!.header.mtime ?? 0, own!.header.mtime ?? 0)
      case 'link': return link(join(this.root, step.to), path)
      case 'file': return this.file(path, own!)
    }
  }

  private forget(path: string): void {
    for (const known of this.directories.keys()) if (known === path || known.startsWith(`${path}/`)) this.directories.delete(known)
  }

  /** With synchronous calls, each of microseconds: an image has ten thousands of small files, and five round trips to the thread pool for each took ten times as long. */
  private async file(path: string, { content, header }: { content: TarEntry; header: Headers }): Promise<void> {
    const file = openSync(path, 'wx', 0o600)
    try {
      for await (const chunk of content as AsyncIterable<Buffer>) writeFileSync(file, chunk)
      this.own(path, header)
      fchmodSync(file, (header.mode ?? 0o644) & 0o7777) // after the owner: chown takes setuid away
      futimesSync(file, header.mtime ?? 0, header.mtime ?? 0)
    } finally {
      closeSync(file)
    }
  }

  /** An ordinary user cannot give files away, and a user namespace has only the ids that were mapped. */
  private own(path: string, header: Headers): void {
    const [uid, gid] = [header.uid ?? 0, header.gid ?? 0]
    if (uid === 0 && gid === 0 && process.geteuid!() === 0) return
    try {
      lchownSync(path, uid, gid)
    } catch (error) {
      if (!['EPERM', 'EINVAL', 'EOVERFLOW'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error
      this.notKept.owners++
    }
  }

  /** Directories get their modes and times last, deepest first: a read-only one would not take its files. */
  async finish(): Promise<void> {
    await chmod(this.root, 0o755)
    for (const [path, header] of [...this.directories].sort(([a], [b]) => b.length - a.length)) {
      const full = join(this.root, path)
      this.own(full, header)
      await chmod(full, (header.mode ?? 0o755) & 0o7777)
      await lutimes(full, header.mtime ?? 0, header.mtime ?? 0)
    }
  }
}

const ignore = (code: string) => (error: NodeJS.ErrnoException): void => { if (error.code !== code) throw error }

function typeOf(type: string | null | undefined): Entry['type'] {
  switch (type) {
    case 'file': case 'contiguous-file': case null: case undefined: return 'file'
    case 'directory': case 'symlink': case 'link': return type
    default: return 'other'
  }
}

/** rm for a tree in which an image may have left directories that its owner cannot write to. */
export async function removeTree(path: string): Promise<void> {
  try {
    await rm(path, { recursive: true, force: true })
  } catch (error) {
    if (!['EACCES', 'EPERM', 'ENOTEMPTY'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error
    await openUp(path)
    await rm(path, { recursive: true, force: true })
  }
}

async function openUp(path: string): Promise<void> {
  await chmod(path, 0o700)
  for (const entry of await readdir(path, { withFileTypes: true })) if (entry.isDirectory()) await openUp(join(path, entry.name))
}

/** A directory for the pieces of an image while it is put together; the caller removes it. */
export async function scratch(directory: string): Promise<string> {
  const path = join(directory, `.new-${randomBytes(6).toString('hex')}`)
  await mkdir(path, { recursive: true, mode: 0o700 })
  return path
}
