// Small images for the tests, as values: layers as tar bytes, the documents around them, and the
// archives they come in. Not used by the program itself.
import { createHash } from 'node:crypto'
import { buffer } from 'node:stream/consumers'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { pack } from 'tar-stream'
import type { Header } from 'tar-stream'

export type File = Partial<Header> & { readonly name: string; readonly content?: string | Buffer }

export async function tar(files: readonly File[]): Promise<Buffer> {
  const archive = pack()
  const bytes = buffer(archive as unknown as AsyncIterable<Buffer>)
  for (const { content, ...header } of files) await new Promise<void>((resolve, reject) => {
    archive.entry({ mtime: new Date(1_700_000_000_000), ...header }, content ?? '', error => error ? reject(error) : resolve())
  })
  archive.finalize()
  return bytes
}

export const digestOf = (bytes: Buffer | string): string => `sha256:${createHash('sha256').update(bytes).digest('hex')}`

export interface TestImage {
  readonly config: string
  /** As a registry sends them. */
  readonly layers: readonly { readonly bytes: Buffer; readonly mediaType: string }[]
  readonly manifest: string
  /** Digest to content: config, layers, manifest. */
  readonly blobs: ReadonlyMap<string, Buffer>
}

export type Compression = 'none' | 'gzip' | 'zstd'
const compress = { none: (bytes: Buffer) => bytes, gzip: (bytes: Buffer) => gzipSync(bytes), zstd: (bytes: Buffer) => zstdCompressSync(bytes) }
const suffix = { none: '', gzip: '+gzip', zstd: '+zstd' }

export async function image(layers: readonly (readonly File[])[], { compression = 'gzip', architecture, config = {} }: { compression?: Compression; architecture: string; config?: object }): Promise<TestImage> {
  const tars = await Promise.all(layers.map(tar))
  const configuration = JSON.stringify({ architecture, os: 'linux', config, rootfs: { type: 'layers', diff_ids: tars.map(digestOf) } })
  const packed = tars.map(bytes => ({ bytes: compress[compression](bytes), mediaType: `application/vnd.oci.image.layer.v1.tar${suffix[compression]}` }))
  const manifest = JSON.stringify({
    schemaVersion: 2, mediaType: 'application/vnd.oci.image.manifest.v1+json',
    config: { mediaType: 'application/vnd.oci.image.config.v1+json', digest: digestOf(configuration), size: configuration.length },
    layers: packed.map(({ bytes, mediaType }) => ({ mediaType, digest: digestOf(bytes), size: bytes.length })),
  })
  const blobs = [Buffer.from(configuration), Buffer.from(manifest), ...packed.map(({ bytes }) => bytes)]
  return { config: configuration, layers: packed, manifest, blobs: new Map(blobs.map(bytes => [digestOf(bytes), bytes])) }
}

/** What `docker save` writes. */
export const dockerArchive = (one: TestImage, tags: readonly string[]): Promise<Buffer> => tar([
  ...one.layers.map(({ bytes }, i) => ({ name: `${i}/layer.tar`, content: bytes })), { name: 'config.json', content: one.config },
  { name: 'manifest.json', content: JSON.stringify([{ Config: 'config.json', RepoTags: tags, Layers: one.layers.map((_, i) => `${i}/layer.tar`) }]) },
])

export interface IndexEntry { readonly image: TestImage; readonly platform?: object; readonly annotations?: object }

export const index = (entries: readonly IndexEntry[]): string => JSON.stringify({
  schemaVersion: 2, mediaType: 'application/vnd.oci.image.index.v1+json',
  manifests: entries.map(({ image, platform, annotations }) => ({ mediaType: 'application/vnd.oci.image.manifest.v1+json', digest: digestOf(image.manifest), size: image.manifest.length, platform, annotations })),
})

export const layout = (indexJson: string, blobs: Iterable<readonly [string, Buffer]>): Promise<Buffer> => tar([
  { name: 'oci-layout', content: '{"imageLayoutVersion":"1.0.0"}' }, { name: 'index.json', content: indexJson },
  ...[...new Map(blobs)].map(([digest, content]) => ({ name: `blobs/${digest.replace(':', '/')}`, content })),
])
