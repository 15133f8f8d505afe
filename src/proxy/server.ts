// The proxy's HTTP servers: /healthz and /livez, /metrics and /proxyMode, and one server for each
// health check node port. What they answer is decided elsewhere.
import type { Server } from 'node:http'
import type { Log } from '#lib/log.ts'
import { createServer } from '#lib/http.ts'
import type { Answer } from './health.ts'

/** Answers by path; undefined is a 404. */
export type Respond = (path: string) => Answer | undefined

const retryMs = 5000

/** A server on one address that keeps trying to listen until it is closed; a taken port is logged, not fatal (as upstream without bindAddressHardFail). */
export class Listener {
  readonly #server: Server
  readonly #options: { readonly what: string; readonly log: Log }
  #retry: NodeJS.Timeout | undefined

  /** `address` is `host:port`; without a host it listens on every address. */
  constructor(address: string, respond: Respond, options: { what: string; log: Log }) {
    this.#options = options
    this.#server = createServer((request, response) => {
      const answer = request.method === 'GET' || request.method === 'HEAD' ? respond((request.url ?? '/').split('?')[0]!) : undefined
      const { code, headers, body } = answer ?? { code: 404, headers: undefined, body: '404 page not found\n' }
      response.writeHead(code, { 'Content-Type': 'text/plain; charset=utf-8', ...headers, 'Content-Length': Buffer.byteLength(body) })
      response.end(request.method === 'HEAD' ? undefined : body)
    })
    // Slow or silent clients must not hold sockets of a server that every machine can reach.
    Object.assign(this.#server, { headersTimeout: 10_000, requestTimeout: 10_000, keepAliveTimeout: 5_000, maxConnections: 1000 })
    this.#server.on('error', error => {
      this.#options.log.error(`cannot serve ${options.what}: trying again`, error, { address })
      this.#retry = setTimeout(() => this.#listen(address), retryMs)
    })
    this.#listen(address)
  }

  close(): void {
    clearTimeout(this.#retry)
    this.#server.closeAllConnections()
    this.#server.close()
  }

  #listen(address: string): void {
    const colon = address.lastIndexOf(':')
    const host = address.slice(0, colon).replace(/^\[|\]$/g, '')
    this.#server.listen({ port: Number(address.slice(colon + 1)), ...(host && { host }) })
  }
}

/** The servers of the health check node ports that exist now. */
export class HealthCheckServers {
  readonly #listeners = new Map<string, Listener>()
  readonly #log: Log

  constructor(log: Log) { this.#log = log }

  /** `addresses` are where NodePorts are served; undefined is everywhere. `answer` is asked at each request. */
  update(ports: Iterable<number>, addresses: readonly string[] | undefined, answer: (port: number) => Answer | undefined): void {
    const wanted = new Map<string, number>([...ports].flatMap(port =>
      (addresses ?? ['']).map((ip): [string, number] => [`${ip.includes(':') ? `[${ip}]` : ip}:${port}`, port])))
    for (const [address, listener] of this.#listeners) {
      if (wanted.has(address)) continue
      listener.close()
      this.#listeners.delete(address)
    }
    for (const [address, port] of wanted) {
      if (this.#listeners.has(address)) continue
      this.#listeners.set(address, new Listener(address, () => answer(port), { what: 'the health check node port', log: this.#log }))
    }
  }

  close(): void { this.update([], undefined, () => undefined) }
}
