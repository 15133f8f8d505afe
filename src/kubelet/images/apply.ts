// The image store of one cluster's nodes: which images are here, and how to mount them. Built-in
// images are always here; the others are unpacked below the directory by archive/ and registry/.
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Log } from '#lib/log.ts'
import type { Image } from '../runtime/cri.ts'
import { makeLayer, probeMachine, seedCompileCache } from './builtin/apply.ts'
import { inside } from './builtin/layer.ts'
import type { Builtin, Machine, Needs } from './builtin/layer.ts'
import { configOf, findBuiltin, standIn } from './catalog.ts'
import { ReferenceError, canonical, parseReference } from './reference.ts'
import type { Reference } from './reference.ts'
import { imagePullError } from './store.ts'
import type { ImageStore, RootFs } from './store.ts'

export interface ImagesOptions {
  /** `<data>/images`; made when absent. */
  readonly directory: string
  readonly log: Log
  /** The checkout whose programs run inside some of the built-in images. */
  readonly fairwayRoot: string
  /** The Node 26 binary that runs them. */
  readonly nodePath: string
}

const builtinId = 'builtin:'

export async function openImages(options: ImagesOptions): Promise<ImageStore> {
  mkdirSync(join(options.directory, 'compile-cache/cache'), { recursive: true })
  let probed: Promise<Machine> | undefined
  const machine = () => probed ??= probeMachine()
  const used = new Map<string, Reference>()
  seedSoon(options)

  async function imageStatus(text: string): Promise<Image | undefined> {
    const reference = text.startsWith(builtinId) ? parseReference(text.slice(builtinId.length)) : parse(text)
    const found = findBuiltin(reference)
    if (found?.known !== 'exists') return undefined
    used.set(canonical(reference), reference)
    return builtinImage(found.builtin, await machine(), reference)
  }

  return {
    imageStatus,
    async pullImage(text) {
      const image = await imageStatus(text)
      if (image) return image
      throw notFound(parse(text))
    },
    async listImages() {
      return Promise.all([...used.values()].map(async reference => builtinImage(findBuiltin(reference)!.builtin, await machine(), reference)))
    },
    async rootfs(imageId) {
      const reference = parseReference(imageId.slice(builtinId.length))
      return builtinRootFs(options, findBuiltin(reference)!.builtin, await machine(), reference)
    },
    loadArchive() { return Promise.reject(new Error('not yet')) },
    removeImage() { return Promise.resolve(false) },
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

const builtinImage = (builtin: Builtin, machine: Machine, reference: Reference): Image => ({
  id: builtinId + canonical(reference), tags: [canonical(reference)], digests: [],
  sizeBytes: builtin.layer(machine, reference).reduce((sum, entry) => sum + (entry.kind === 'file' ? entry.text.length : 0), 0),
  standIn: standIn(builtin, machine, reference),
})

async function builtinRootFs(options: ImagesOptions, builtin: Builtin, machine: Machine, reference: Reference): Promise<RootFs> {
  const layer = await makeLayer(join(options.directory, 'builtin'), builtin.name, builtin.layer(machine, reference))
  return { lowerDirs: [layer], usrFromHost: true, config: configOf(builtin, machine, reference), binds: binds(options, builtin.needs(machine)) }
}

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
      .catch(error => log.warn('Pods of Fairway\'s own programs start more slowly: no compile cache', { err: String(error) }))
  }, 3000).unref()
}
