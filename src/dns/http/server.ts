// The small HTTP pages of health, ready, metrics: plugins with one address share a listener, and a
// reload hands it over without a gap.
import { once } from 'node:events'
import type { Server } from 'node:http'
import { UserError } from '#lib/errors.ts'
import { createServer } from '#lib/http.ts'
import type { Log } from '#lib/log.ts'
import type { HttpAnswer } from '../plugin.ts'

type Page = () => HttpAnswer | Promise<HttpAnswer>
interface Listener { readonly server: Server; readonly pages: Map<string, Set<Page>>; port: number }

export class HttpPages {
  readonly #listeners = new Map<string, Listener>()
  readonly #log: Log
  constructor(log: Log) { this.#log = log }

  /** `:8080` is every address. The returned function takes the page away; the last one closes the listener. */
  async add(address: string, path: string, page: Page): Promise<() => void> {
    const listener = this.#listeners.get(address) ?? await this.#listen(address)
    const pages = listener.pages.get(path) ?? new Set()
    listener.pages.set(path, pages)
    pages.add(page)
    return () => {
      pages.delete(page)
      if ([...listener.pages.values()].some(set => set.size > 0) || this.#listeners.get(address) !== listener) return
      this.#listeners.delete(address)
      listener.server.close()
      listener.server.closeAllConnections()
    }
  }

  /** The port in use, for an address with port 0. */
  port(address: string): number | undefined { return this.#listeners.get(address)?.port }

  async #listen(address: string): Promise<Listener> {
    const match = /^(?:\[([^\]]*)\]|([^:]*)):(\d+)$/.exec(address)
    if (!match) throw new UserError(`'${address}' is no address to listen on: expected such as ':8080' or '127.0.0.1:8080'`)
    const pages: Listener['pages'] = new Map()
    const server = createServer((request, response) => {
      void this.#answer(pages.get((request.url ?? '').split('?')[0]!)).then(({ code, body, type = 'text/plain; charset=utf-8' }) => {
        response.writeHead(code, { 'content-type': type })
        response.end(body)
      })
    })
    const host = match[1] ?? match[2]
    server.listen({ port: Number(match[3]), ...(host && { host }) })
    try { await once(server, 'listening') } catch (error) { throw new UserError(`cannot listen on ${address}: ${(error as Error).message}`) }
    const listener = { server, pages, port: (server.address() as { port: number }).port }
    this.#listeners.set(address, listener)
    return listener
  }

  /** Several pages at one path (a server block each): all must be well. */
  async #answer(pages: ReadonlySet<Page> | undefined): Promise<HttpAnswer> {
    if (!pages?.size) return { code: 404, body: '404 page not found\n' }
    try {
      const answers = await Promise.all([...pages].map(page => page()))
      return answers.find(answer => answer.code >= 400) ?? answers[0]!
    } catch (error) {
      this.#log.error('HTTP page', error)
      return { code: 500, body: 'error\n' }
    }
  }
}
