// The JSON documents of images: OCI index, manifest and configuration, Docker's equivalents, and
// docker-archive's manifest.json. Read from outside, so every field is checked before it is used. Pure.
import type { ImageConfig } from './store.ts'

export class FormatError extends Error {}

/** Upstream's bound for a manifest (containerd, distribution). */
export const maxDocument = 8 << 20
const maxLayers = 512

export interface Descriptor {
  readonly mediaType: string
  /** `sha256:<hex>`, checked. */
  readonly digest: string
  readonly size: number
  readonly platform?: { readonly os: string; readonly architecture: string; readonly variant?: string }
  readonly annotations: Readonly<Record<string, string>>
}
export type Document =
  | { readonly kind: 'index'; readonly manifests: readonly Descriptor[] }
  | { readonly kind: 'manifest'; readonly config: Descriptor; readonly layers: readonly Descriptor[] }

type Json = Record<string, unknown>
const isObject = (value: unknown): value is Json => typeof value === 'object' && value !== null && !Array.isArray(value)
const list = (value: unknown): unknown[] => Array.isArray(value) ? value : []
const strings = (value: unknown): string[] => list(value).filter(item => typeof item === 'string')
const text = (value: unknown): string => typeof value === 'string' ? value : ''

export function parseJson(bytes: string, what: string): unknown {
  if (bytes.length > maxDocument) throw new FormatError(`${what} is larger than ${maxDocument} bytes`)
  try {
    return JSON.parse(bytes)
  } catch {
    throw new FormatError(`${what} is not JSON`)
  }
}

/** What a registry must be asked for, most wanted first. */
export const manifestTypes = [
  'application/vnd.oci.image.index.v1+json', 'application/vnd.docker.distribution.manifest.list.v2+json',
  'application/vnd.oci.image.manifest.v1+json', 'application/vnd.docker.distribution.manifest.v2+json',
]

/** `what` names the document in the error. The media type is in the document or is told by its fields, as containerd tells it. */
export function parseDocument(json: string, what: string): Document {
  const document = parseJson(json, what)
  if (!isObject(document)) throw new FormatError(`${what} is no image manifest`)
  if (document.schemaVersion === 1) throw new FormatError(`${what} is in Docker's old format (schema 1), which no runtime reads any more`)
  if (Array.isArray(document.manifests)) return { kind: 'index', manifests: document.manifests.map(item => descriptor(item, what)) }
  if (!isObject(document.config) || !Array.isArray(document.layers)) throw new FormatError(`${what} is no image manifest`)
  if (document.layers.length > maxLayers) throw new FormatError(`${what} has more than ${maxLayers} layers`)
  const manifest = { kind: 'manifest' as const, config: descriptor(document.config, what), layers: document.layers.map(layer => descriptor(layer, what)) }
  const foreign = [...manifest.layers].find(({ mediaType }) => !/(tar(\.gzip|\+gzip|\+zstd)?|rootfs\.diff\S*)$/.test(mediaType))
  if (foreign) throw new FormatError(`${what} is no container image: it holds ${foreign.mediaType || 'a layer without a type'}`)
  return manifest
}

function descriptor(value: unknown, what: string): Descriptor {
  if (!isObject(value) || !isDigest(value.digest)) throw new FormatError(`${what} has a descriptor without a sha256 digest`)
  const platform = isObject(value.platform) ? value.platform : undefined
  return {
    mediaType: text(value.mediaType), digest: value.digest, size: Number.isSafeInteger(value.size) ? value.size as number : -1,
    annotations: isObject(value.annotations) ? Object.fromEntries(Object.entries(value.annotations).filter((pair): pair is [string, string] => typeof pair[1] === 'string')) : {},
    ...platform && { platform: { os: text(platform.os), architecture: text(platform.architecture), ...text(platform.variant) !== '' && { variant: text(platform.variant) } } },
  }
}

export const isDigest = (value: unknown): value is string => typeof value === 'string' && /^sha256:[0-9a-f]{64}$/.test(value)

/** Node's `process.arch` in Go's words. */
export const goArchitecture = (arch: string): string => ({ x64: 'amd64', ia32: '386', arm64: 'arm64', arm: 'arm' })[arch] ?? arch

/** The manifest for this machine: exact platform, else one that names none (single-platform indexes often do not). */
export function pickPlatform(manifests: readonly Descriptor[], architecture: string): Descriptor | undefined {
  const fits = manifests.filter(({ platform }) => platform?.os === 'linux' && platform.architecture === architecture)
  // arm64 is v8 by default; a plain entry is preferred to one for newer processors (amd64 v3).
  return fits.find(({ platform }) => platform!.variant === undefined || platform!.variant === 'v8') ?? fits[0]
    ?? manifests.find(({ platform, annotations }) => platform === undefined && annotations['vnd.docker.reference.type'] === undefined)
}

export interface Configuration { readonly config: ImageConfig; readonly diffIds: readonly string[]; readonly architecture: string; readonly os: string }

/** OCI image-spec config.md; Docker's has the same fields. */
export function parseConfiguration(json: string): Configuration {
  const document = parseJson(json, 'the image configuration')
  if (!isObject(document)) throw new FormatError('the image configuration is no object')
  const config = isObject(document.config) ? document.config : {}
  const diffIds = list(isObject(document.rootfs) ? document.rootfs.diff_ids : [])
  if (!diffIds.every(isDigest)) throw new FormatError('the image configuration names a layer without a sha256 digest')
  return {
    diffIds: diffIds as string[], architecture: text(document.architecture), os: text(document.os),
    config: {
      entrypoint: strings(config.Entrypoint), cmd: strings(config.Cmd), env: strings(config.Env), workingDir: text(config.WorkingDir),
      user: text(config.User), stopSignal: text(config.StopSignal) || 'SIGTERM', exposedPorts: isObject(config.ExposedPorts) ? Object.keys(config.ExposedPorts) : [],
    },
  }
}

export interface ArchivedImage { readonly config: string; readonly tags: readonly string[]; readonly layers: readonly string[] }

/** docker-archive's manifest.json: names of files in the archive. */
export function parseArchiveManifest(json: string): ArchivedImage[] {
  const document = parseJson(json, 'manifest.json')
  return list(document).map(item => {
    if (!isObject(item) || typeof item.Config !== 'string' || !Array.isArray(item.Layers) || item.Layers.length > maxLayers) throw new FormatError('manifest.json is not that of a docker-archive')
    return { config: item.Config, tags: strings(item.RepoTags), layers: strings(item.Layers) }
  })
}

/** The names that an OCI layout's index gives to a manifest (containerd's annotation is whole, the OCI one may be a bare tag). */
export function layoutNames(annotations: Readonly<Record<string, string>>): string[] {
  const whole = annotations['io.containerd.image.name'], reference = annotations['org.opencontainers.image.ref.name']
  if (whole !== undefined) return [whole]
  return reference !== undefined && /[/:]/.test(reference) ? [reference] : []
}
