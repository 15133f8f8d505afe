// The typed client: client-go's verbs over a Transport. Objects it returns are shared and frozen.
import type { KubeList, KubeObject } from '#api/object.ts'
import { resourcePath, type Resource } from '#api/resources.ts'
import type { ApiRequest, Transport, WatchEvent } from './transport.ts'

export interface ListOptions {
  readonly labelSelector?: string
  readonly fieldSelector?: string
  readonly resourceVersion?: string
  readonly resourceVersionMatch?: 'Exact' | 'NotOlderThan'
  readonly limit?: number
  readonly continue?: string
}
export interface WatchOptions extends ListOptions {
  readonly allowWatchBookmarks?: boolean
  readonly sendInitialEvents?: boolean
  readonly timeoutSeconds?: number
  readonly signal?: AbortSignal
}
export interface DeleteOptions {
  readonly gracePeriodSeconds?: number
  readonly propagationPolicy?: 'Orphan' | 'Background' | 'Foreground'
  readonly preconditions?: { readonly uid?: string; readonly resourceVersion?: string }
}
export type PatchType = 'json' | 'merge' | 'strategic' | 'apply'

const patchTypes: Record<PatchType, string> = {
  json: 'application/json-patch+json', merge: 'application/merge-patch+json',
  strategic: 'application/strategic-merge-patch+json', apply: 'application/apply-patch+yaml',
}

/** What a caller may leave out when it sends an object: the server fills in the rest. */
export type Draft<T extends KubeObject> = Omit<T, 'metadata'> & { metadata: Partial<T['metadata']> }

export class Client {
  readonly transport: Transport
  constructor(transport: Transport) { this.transport = transport }

  get<T extends KubeObject>(resource: Resource, namespace: string | undefined, name: string): Promise<T> {
    return this.#send({ method: 'GET', path: resourcePath(resource, namespace, name) })
  }
  list<T extends KubeObject>(resource: Resource, namespace?: string, options: ListOptions = {}): Promise<KubeList<T>> {
    return this.#send({ method: 'GET', path: resourcePath(resource, namespace), query: query(options) })
  }
  watch<T extends KubeObject>(resource: Resource, namespace?: string, options: WatchOptions = {}): AsyncIterable<WatchEvent<T>> {
    const { signal, ...rest } = options
    return this.transport.watch({ method: 'GET', path: resourcePath(resource, namespace),
      query: { ...query(rest), watch: 'true' }, ...(signal && { signal }) }) as AsyncIterable<WatchEvent<T>>
  }
  create<T extends KubeObject>(resource: Resource, namespace: string | undefined, object: Draft<T>, subresource?: { name: string; subresource: string }): Promise<T> {
    return this.#send({ method: 'POST', path: resourcePath(resource, namespace, subresource?.name, subresource?.subresource), body: object })
  }
  /** Replaces the object; its resourceVersion, when set, must be current. */
  update<T extends KubeObject>(resource: Resource, object: T, subresource?: string): Promise<T> {
    return this.#send({ method: 'PUT', path: resourcePath(resource, object.metadata.namespace, object.metadata.name, subresource), body: object })
  }
  patch<T extends KubeObject>(resource: Resource, namespace: string | undefined, name: string, patch: unknown,
    options: { type?: PatchType; subresource?: string } = {}): Promise<T> {
    return this.#send({ method: 'PATCH', path: resourcePath(resource, namespace, name, options.subresource), body: patch,
      contentType: patchTypes[options.type ?? 'merge'] })
  }
  delete(resource: Resource, namespace: string | undefined, name: string, options: DeleteOptions = {}): Promise<unknown> {
    return this.#send({ method: 'DELETE', path: resourcePath(resource, namespace, name), body: options })
  }

  async #send<T>(request: ApiRequest): Promise<T> {
    return await this.transport.request(request) as T
  }
}

const query = (options: object): Record<string, string> =>
  Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined).map(([key, value]) => [key, String(value)]))
