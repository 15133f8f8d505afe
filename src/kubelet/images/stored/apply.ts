// Where the images that came from an archive or a registry stand on disk, and under which names. Built
// so that several processes can read and write at once: every change is one rename.
import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync } from 'node:fs'
import { readFile, readdir, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Image } from '../../runtime/cri.ts'
import { imageIdOf, nameFile, storedImage } from '../names.ts'
import type { NameRecord } from '../names.ts'
import { removeTree } from '../unpack/apply.ts'
import type { StoredImage } from '../unpack/apply.ts'

/** `unpacked/<hex>/{rootfs,image.json}` and `names/<hash of a name>.json`. */
export class Files {
  readonly unpacked: string
  private readonly names: string

  constructor(directory: string) {
    this.unpacked = join(directory, 'unpacked')
    this.names = join(directory, 'names')
    for (const path of [this.unpacked, this.names, join(directory, 'builtin'), join(directory, 'compile-cache/cache')]) mkdirSync(path, { recursive: true })
  }

  private path(id: string): string { return join(this.unpacked, id.replace('sha256:', '')) }
  rootfs(id: string): string { return join(this.path(id), 'rootfs') }

  async stored(id: string): Promise<StoredImage | undefined> {
    return imageIdOf(id) === undefined ? undefined : readJson<StoredImage>(join(this.path(id), 'image.json'))
  }

  async image(id: string): Promise<Image | undefined> {
    const image = await this.stored(id)
    return image && storedImage(image, await this.records())
  }

  async images(): Promise<Image[]> {
    const records = await this.records()
    const images = await Promise.all((await readdir(this.unpacked)).map(hex => this.stored(hex)))
    return images.filter(image => image !== undefined).map(image => storedImage(image, records))
  }

  named(name: string): Promise<NameRecord | undefined> { return readJson<NameRecord>(join(this.names, nameFile(name))) }

  async name(name: string, id: string): Promise<void> {
    const temporary = join(this.names, `.new-${randomBytes(6).toString('hex')}`)
    await writeFile(temporary, JSON.stringify({ name, id } satisfies NameRecord))
    await rename(temporary, join(this.names, nameFile(name)))
  }

  private async records(): Promise<NameRecord[]> {
    const files = (await readdir(this.names)).filter(file => file.endsWith('.json'))
    return (await Promise.all(files.map(file => readJson<NameRecord>(join(this.names, file))))).filter(record => record !== undefined)
  }

  /** A name, or an id with all its names; the files go with the last name. */
  async remove(nameOrId: string): Promise<boolean> {
    const records = await this.records()
    const gone = records.filter(record => record.name === nameOrId || record.id === nameOrId)
    const id = gone[0]?.id ?? imageIdOf(nameOrId)
    if (id === undefined || !existsSync(this.path(id))) return false
    for (const { name } of gone) await rm(join(this.names, nameFile(name)), { force: true })
    if (records.some(record => record.id === id && !gone.includes(record) && !record.name.includes('@'))) return true
    for (const { name } of records.filter(record => record.id === id)) await rm(join(this.names, nameFile(name)), { force: true })
    const condemned = join(this.unpacked, `.new-${randomBytes(6).toString('hex')}`)
    await rename(this.path(id), condemned) // no longer there at once, however long it takes to go
    await removeTree(condemned)
    return true
  }

  /** What a killed process left half made; nothing unpacks for six hours. */
  async sweep(): Promise<void> {
    for (const directory of [this.unpacked, this.names, join(this.unpacked, '../builtin')]) {
      for (const name of (await readdir(directory)).filter(name => name.startsWith('.new-'))) {
        const { mtimeMs } = await stat(join(directory, name))
        if (Date.now() - mtimeMs > 6 * 3_600_000) await removeTree(join(directory, name))
      }
    }
  }
}

async function readJson<T>(file: string): Promise<T | undefined> {
  try {
    return JSON.parse(await readFile(file, 'utf8')) as T
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined
    throw error
  }
}
