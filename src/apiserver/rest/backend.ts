// What the verbs work with, handed in at the edge: storage, kinds, settings, time and chance.
import type { KubeObject } from '#api/object.ts'
import type { ServerSettings, Strategy } from '../registry/strategy.ts'
import type { Storage } from '../storage/storage.ts'

export interface Backend {
  readonly storage: Storage
  /** By the key of `resources` in #api/resources.ts. */
  readonly strategies: ReadonlyMap<string, Strategy>
  readonly settings: ServerSettings
  readonly admission: Admission
  /** Milliseconds since 1970. */
  now(): number
  uuid(): string
  /** Five characters for a generated name, none of them a vowel. */
  suffix(): string
}

/** What is changed or refused in an object beyond its own rules: upstream's admission plugins. */
export interface Admission {
  /** May change the draft; throws StatusError. */
  create(draft: KubeObject, resource: Strategy['resource']): Promise<void>
  update(draft: KubeObject, old: KubeObject, resource: Strategy['resource']): void
  delete(object: KubeObject, resource: Strategy['resource']): void
}

/** Who asks, and whether anything is to be written. */
export interface Caller {
  readonly user: string
  readonly dryRun?: boolean
  /** Takes texts for `Warning` headers. */
  warn?(text: string): void
}
