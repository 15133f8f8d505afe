// The parts that answer requests, put together once at the edge.
import type { Resource } from '#api/resources.ts'
import type { Authorizer } from '../authz/rbac.ts'
import type { Tokens } from '../authn/tokens.ts'
import type { Backend } from '../rest/backend.ts'
import type { Store } from '../rest/store.ts'
import type { Watches } from '../rest/watch.ts'

export interface Api {
  readonly backend: Backend
  readonly resources: readonly Resource[]
  readonly stores: Stores
  readonly watches: Watches
  readonly authorizer: Authorizer
  readonly tokens: Tokens
  /** What `/readyz` reports besides the server itself. */
  ready(): boolean
}

/** Stores by their place in a URL. */
export class Stores {
  readonly #byPath = new Map<string, Store>()
  readonly all: readonly Store[]
  constructor(stores: readonly Store[]) {
    this.all = stores
    for (const store of stores) this.#byPath.set(pathKey(store.resource.group, store.resource.version, store.resource.plural), store)
  }
  get(group: string, version: string, plural: string): Store | undefined { return this.#byPath.get(pathKey(group, version, plural)) }
}

const pathKey = (group: string, version: string, plural: string): string => `${group}/${version}/${plural}`
