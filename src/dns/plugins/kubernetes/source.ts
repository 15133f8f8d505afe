// Whom a catalog serves. It outlives a plugin instance: on a reload that asks for the same objects of
// the same API server the new instance goes on with it, so that no name is missing for a moment.
import type { Catalog } from './catalog.ts'
import type { KubernetesOptions } from './config.ts'

/** What the objects in a catalog depend on; zones, TTLs and the like are the resolver's. */
export const identityOf = ({ api, labels, namespaceLabels, endpointPodNames, noEndpoints, pods }: KubernetesOptions): string =>
  JSON.stringify([api, labels, namespaceLabels, endpointPodNames, noEndpoints, pods === 'verified'])

export interface Watched { readonly synced: Promise<void>; stop(): void }

export class Source {
  readonly identity: string
  readonly catalog: Catalog
  readonly #begin: () => Watched
  #watched: Watched | undefined
  #holders = 0

  constructor(identity: string, catalog: Catalog, begin: () => Watched) {
    this.identity = identity
    this.catalog = catalog
    this.#begin = begin
  }

  /** Begins to watch for the first holder. */
  hold(): Promise<void> {
    this.#watched ??= this.#begin()
    this.#holders++
    return this.#watched.synced
  }
  /** Ends the watches with the last holder. */
  release(): void {
    if (this.#holders === 0 || --this.#holders > 0) return
    this.#watched?.stop()
    this.#watched = undefined
  }
}
