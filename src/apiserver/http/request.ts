// A request and its answer as values: the edge makes them from sockets, the in-process transport from
// objects, and everything between is pure.
import type { Watch } from '../rest/watch.ts'
import type { WatchEvent } from '../rest/watch.ts'

export interface User {
  readonly name: string
  readonly groups: readonly string[]
  readonly uid?: string
  readonly extra?: Readonly<Record<string, readonly string[]>>
}

export interface Request {
  readonly method: string
  /** As sent, percent-encoded, without query. */
  readonly path: string
  readonly query: URLSearchParams
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string | undefined>>
  /** Bytes from a socket, or a fresh JSON value from a caller in this process. */
  readonly body?: Uint8Array | { readonly value: unknown }
  readonly user: User
}

/** A connection to a kubelet that the edge makes and pipes. */
export interface KubeletTarget {
  readonly host: string
  readonly port: number
  /** The name that the certificate of the kubelet must bear. */
  readonly node: string
  readonly path: string
}

export type Body =
  | { readonly type: 'object'; readonly value: object; readonly pretty?: boolean; readonly yaml?: boolean }
  | { readonly type: 'text'; readonly value: string }
  /** `encode` makes what is sent of an event; the same function for all watchers of one representation. */
  | { readonly type: 'watch'; readonly watch: Watch; readonly encode: (event: WatchEvent) => object }
  | { readonly type: 'kubelet'; readonly target: KubeletTarget }

export interface Response {
  readonly status: number
  readonly headers: Readonly<Record<string, string | readonly string[]>>
  readonly body: Body
}

export const objectResponse = (value: object, status = 200): Response => ({ status, headers: {}, body: { type: 'object', value } })
export const textResponse = (value: string, status = 200): Response => ({ status, headers: { 'content-type': 'text/plain; charset=utf-8' }, body: { type: 'text', value } })
