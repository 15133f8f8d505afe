// The image store of one cluster's nodes: which images are here, and how to mount them. Built-in
// images are always here; the others are unpacked below the directory by archive/ and registry/.
// Nothing is kept in memory that another process could change on disk.
import { join } from 'node:path'
import type { Log } from '#lib/log.ts'
import type { Image, RegistryAuth } from '../runtime/cri.ts'
import { loadArchive } from './archive/apply.ts'
import { makeLayer, probeMachine, seedCompileCache } from './builtin/apply.ts'
import { inside } from './builtin/layer.ts'
import type { Builtin, Machine, Needs } from './builtin/layer.ts'
import { builtins, configOf, findBuiltin, standIn } from './catalog.ts'
import { goArchitecture } from './formats.ts'
import { digestName, imageIdOf, storedName } from './names.ts'
import { ReferenceError, canonical, parseReference } from './reference.ts'
import type { Reference } from './reference.ts'
import { directFetch, hostCredentials, pull } from './registry/apply.ts'
import type { RegistryFetch } from './registry/fetch.ts'
import { imagePullError, isImagePullError } from './store.ts'
import type { ImageStore, RootFs } from './store.ts'
import { Files } from './stored/apply.ts'

export interface ImagesOptions {
  /** `<data>/images`; made when absent. */
  readonly directory: string
  readonly log: Log
  /** The checkout whose programs run inside some of the built-in images. */
  readonly fairwayRoot: string
  /** The Node 26 binary that runs them. */
  readonly nodePath: string
  /** How registries are reached; this process's own network unless given. */
  readonly fetch?: RegistryFetch
  /** What the host holds for a registry, tried after the pod's own credentials; `docker login`'s unless given. */
  readonly credentials?: (registry: string) => Promise<readonly RegistryAuth[]>
}

const builtinId = 'builtin:'

export async function openImages(options: ImagesOptions): Promise<ImageStore> {
  const files = new Files(options.directory)
  const catalog = new Catalog(options)
  const pulling = new Map<string, Promise<Image>>()
  seedSoon(options)
  void files.sweep().catch(error => options.log.warn('Half-made images of earlier runs were left', { err: String(error) }))

  const imageStatus = async (text: string): Promise<Image | undefined> => {
    if (text.startsWith(builtinId)) return catalog.image(parseReference(text.slice(builtinId.length)))
    const id = imageIdOf(text)
    if (id !== undefined) return files.image(id)
    const reference = parse(text)
    const record = await files.named(storedName(reference))
    return (record && await files.image(record.id)) ?? catalog.image(reference)
  }

  return {
    imageStatus,
    async pullImage(text, auths) {
      const reference = parse(text)
      const found = findBuiltin(reference)
      if (found?.known === 'never') throw notFound(reference)
      if (found?.known === 'exists') return (await imageStatus(text))!
      // Two pods that ask for one image with the same credentials wait for one pull.
      const key = JSON.stringify([canonical(reference), auths])
      const running = pulling.get(key) ?? pullImage(reference, auths, { options, files })
      pulling.set(key, running)
      return running.finally(() => pulling.delete(key))
    },
    async listImages() {
      return [...await catalog.list(), ...await files.images()]
    },
    async rootfs(imageId) {
      if (imageId.startsWith(builtinId)) return catalog.rootfs(parseReference(imageId.slice(builtinId.length)))
      const image = await files.stored(imageId)
      if (!image) throw new Error(`image ${imageId} is not here any more: it was removed after it was pulled`)
      return { lowerDirs: [files.rootfs(imageId)], usrFromHost: false, config: image.config, binds: [] }
    },
    async loadArchive(file) {
      const loaded = await loadArchive(file, { directory: files.unpacked, architecture: goArchitecture(process.arch) })
      for (const { image, names } of loaded) for (const name of names) await files.name(name, image.id)
      return Promise.all([...new Set(loaded.map(({ image }) => image.id))].map(async id => (await files.image(id))!))
    },
    removeImage: text => files.remove(imageIdOf(text) ?? storedName(parse(text))),
  }
}

/** Upstream: kubelet's image_manager, applyDefaultImageTag. */
function parse(text: string): Reference {
  try {
    return parseReference(text)
  } catch (error) {
    if (!(error instanceof ReferenceError)) throw error
    throw imagePullError('InvalidImageName', `Failed to apply default image tag "${text}": couldn't parse image name "${text}": ${error.message}`)
  }
}

/** containerd's words for a tag that the registry does not have. */
function notFound(reference: Reference) {
  const name = canonical(reference)
  return imagePullError('ErrImagePull', `rpc error: code = NotFound desc = failed to pull and unpack image "${name}": failed to resolve reference "${name}": ${name}: not found`)
}

async function pullImage(reference: Reference, auths: readonly RegistryAuth[], { options, files }: { options: ImagesOptions; files: Files }): Promise<Image> {
  const host = await (options.credentials ?? hostCredentials)(reference.registry)
  try {
    const { image, digest } = await pull(reference, [...auths, ...host], { fetch: options.fetch ?? directFetch, directory: files.unpacked, architecture: goArchitecture(process.arch) })
    if (reference.tag !== undefined) await files.name(canonical({ registry: reference.registry, repository: reference.repository, tag: reference.tag }), image.id)
    await files.name(digestName(reference, digest), image.id)
    return (await files.image(image.id))!
  } catch (error) {
    if (!isImagePullError(error) || await files.named(storedName(reference)) === undefined) throw error
    throw imagePullError(error.reason, `${error.message} (the image is on this node: with imagePullPolicy IfNotPresent or Never it is used)`)
  }
}

/** The built-in images. */
class Catalog {
  private readonly options: ImagesOptions
  private probed: Promise<Machine> | undefined
  private readonly used = new Map<string, Reference>()

  constructor(options: ImagesOptions) {
    this.options = options
    for (const { shown } of builtins) this.use(parseReference(shown))
  }

  private machine(): Promise<Machine> { return this.probed ??= probeMachine() }
  private use(reference: Reference): void { this.used.set(canonical(reference), reference) }

  async image(reference: Reference): Promise<Image | undefined> {
    const found = findBuiltin(reference)
    if (found?.known !== 'exists') return undefined
    this.use(reference)
    return builtinImage(found.builtin, await this.machine(), reference)
  }

  async list(): Promise<Image[]> {
    const machine = await this.machine()
    return [...this.used.values()].map(reference => builtinImage(findBuiltin(reference)!.builtin, machine, reference))
  }

  async rootfs(reference: Reference): Promise<RootFs> {
    const { builtin } = findBuiltin(reference)!, machine = await this.machine()
    const layer = await makeLayer(join(this.options.directory, 'builtin'), builtin.name, builtin.layer(machine, reference))
    return { lowerDirs: [layer], usrFromHost: true, config: configOf(builtin, machine, reference), binds: binds(this.options, builtin.needs(machine)) }
  }
}

const builtinImage = (builtin: Builtin, machine: Machine, reference: Reference): Image => ({
  id: builtinId + canonical(reference), tags: [canonical(reference)], digests: [],
  sizeBytes: builtin.layer(machine, reference).reduce((sum, entry) => sum + (entry.kind === 'file' ? entry.text.length : 0), 0),
  standIn: standIn(builtin, machine, reference),
})

/** Only what the programs need of the checkout: a data directory or a .git in it stays out of pods. */
function binds({ directory, fairwayRoot, nodePath }: ImagesOptions, needs: Needs): RootFs['binds'] {
  if (needs === 'nothing') return []
  return [
    { hostPath: nodePath, containerPath: inside.node },
    { hostPath: join(fairwayRoot, 'src'), containerPath: inside.src },
    { hostPath: join(fairwayRoot, 'package.json'), containerPath: inside.manifest },
    { hostPath: join(directory, 'compile-cache/cache'), containerPath: inside.cache },
    ...needs === 'program and modules' ? [{ hostPath: join(fairwayRoot, 'node_modules'), containerPath: inside.modules }] : [],
  ]
}

/** Not at once: a cluster that starts needs both processors, and pods start without the cache too. */
function seedSoon({ directory, log, fairwayRoot, nodePath }: ImagesOptions): void {
  setTimeout(() => {
    seedCompileCache(join(directory, 'compile-cache'), { fairwayRoot, nodePath })
      .catch(error => log.warn("Pods of Fairway's own programs start more slowly: no compile cache", { err: String(error) }))
  }, 3000).unref()
}
