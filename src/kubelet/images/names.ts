// Which image a name stands for, as kept on disk: one small file a name, so that `fairway image load`
// and the agent can write at the same time. Pure; apply.ts reads and writes the files.
import { createHash } from 'node:crypto'
import type { Reference } from './reference.ts'
import { canonical } from './reference.ts'
import type { Image } from '../runtime/cri.ts'
import type { StoredImage } from './unpack/apply.ts'

/** The content of a name's file. */
export interface NameRecord { readonly name: string; readonly id: string }

/** A whole name is longer than a file name may be. */
export const nameFile = (name: string): string => `${createHash('sha256').update(name).digest('hex').slice(0, 40)}.json`

/** With a tag and a digest the digest decides. */
export const storedName = (reference: Reference): string =>
  reference.digest === undefined ? canonical(reference) : digestName(reference, reference.digest)

export const digestName = ({ registry, repository }: Reference, digest: string): string => `${registry}/${repository}@${digest}`

/** An image on disk with all its names. */
export function storedImage(image: StoredImage, records: readonly NameRecord[]): Image {
  const names = records.filter(record => record.id === image.id).map(record => record.name).sort()
  return {
    id: image.id, sizeBytes: image.sizeBytes, tags: names.filter(name => !name.includes('@')), digests: names.filter(name => name.includes('@')),
    ...image.config.user !== '' && { user: image.config.user },
  }
}

/** `sha256:<hex>`, from an id with or without its algorithm. */
export const imageIdOf = (text: string): string | undefined => /^(?:sha256:)?([0-9a-f]{64})$/.test(text) ? `sha256:${text.replace('sha256:', '')}` : undefined
