// How a client reaches an API server: one request, or one watch. Two implementations: over HTTPS
// (https.ts, any API server) and straight into our own server in the same process (the API server
// hands one out; controllers and tests use it). Everything above this line is the same for both.

export interface ApiRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /** Path without query: `/api/v1/namespaces/default/pods`. */
  readonly path: string
  readonly query?: Readonly<Record<string, string | undefined>>
  readonly body?: unknown
  /** `application/json` unless said (patches have their own). */
  readonly contentType?: string
  readonly signal?: AbortSignal
}

export type WatchEvent<T = unknown> =
  | { readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK'; readonly object: T }
  | { readonly type: 'ERROR'; readonly object: import('#lib/errors.ts').Status }

export interface Transport {
  /** The parsed JSON body of a 2xx answer; throws StatusError for every other. */
  request(request: ApiRequest): Promise<unknown>
  /** Events until the server ends the stream or the signal aborts; throws StatusError when refused. */
  watch(request: ApiRequest): AsyncIterable<WatchEvent>
  /** A text answer as it arrives (pod logs). */
  stream(request: ApiRequest): AsyncIterable<Uint8Array>
  close(): void
}
