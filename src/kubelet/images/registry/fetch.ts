// How the registry client reaches the network: one function, so that an agent in a network without a
// way out can be given one that goes through the process outside. Types only; apply.ts has the direct one.
import type { Readable } from 'node:stream'

export interface FetchOptions {
  /** GET unless said. */
  readonly method?: 'GET' | 'POST'
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string
  readonly signal?: AbortSignal
}

export interface FetchResponse {
  readonly status: number
  /** Names in lower case; several of one name joined with `, `. */
  readonly headers: Readonly<Record<string, string | undefined>>
  readonly body: Readable
}

/** Follows no redirects, decodes no content encoding. Rejects when no answer came (name, connection, TLS, time). */
export type RegistryFetch = (url: string, options: FetchOptions) => Promise<FetchResponse>
