// One TCP proxy socket: accepts, dials an endpoint and carries bytes both ways until both sides have
// ended. Which endpoint is balancer.ts's to say. Connections outlive the socket: whoever was let in
// may finish, as upstream; `destroy` ends them too.
import { connect, createServer, type Server, type Socket } from 'node:net'
import type { Log } from '#lib/log.ts'
import type { Family } from '#net/ip.ts'
import type { Balancer } from '../balancer.ts'

export interface ProxySocketOptions {
  readonly family: Family
  /** Where to listen; undefined for every address. */
  readonly address: string | undefined
  readonly balancer: Balancer
  /** Names the Service port in messages. */
  readonly name: string
  readonly log: Log
}

/** endpointDialTimeout of upstream's proxysocket.go: each attempt takes the next endpoint. */
const dialTimeoutsMs = [250, 500, 1000, 2000]
/** As many as the kernel allows (net.core.somaxconn) may wait to be accepted. */
const backlog = 65535
const warnEveryMs = 10_000
// A client that vanished would hold its endpoint's connection for ever; Go's default, and so upstream's.
const socketOptions = { allowHalfOpen: true, noDelay: true, keepAlive: true, keepAliveInitialDelay: 15_000 }

export class TcpProxySocket {
  readonly #options: ProxySocketOptions
  readonly #server: Server
  readonly #clients = new Set<Socket>()
  #nextWarning = 0

  private constructor(options: ProxySocketOptions) {
    this.#options = options
    // Nothing is read before there is an endpoint to give it to.
    this.#server = createServer({ ...socketOptions, pauseOnConnect: true }, client => this.#accept(client))
  }

  /** Listens on a free port. */
  static async open(options: ProxySocketOptions): Promise<TcpProxySocket> {
    const socket = new TcpProxySocket(options), { promise, resolve, reject } = Promise.withResolvers<void>()
    const server = socket.#server
    server.once('error', reject)
    server.listen({ host: options.address ?? (options.family === 6 ? '::' : '0.0.0.0'), port: 0, ipv6Only: true, backlog }, resolve)
    await promise
    server.off('error', reject).on('error', error => socket.#warn(`cannot accept a connection: ${error.message}`))
    return socket
  }

  get number(): number { return (this.#server.address() as { port: number }).port }
  get address(): string | undefined { return this.#options.address }

  /** For UDP, where clients of a removed endpoint move on; a TCP connection lives as long as its two ends. */
  endpointsChanged(): void {}

  close(): void { this.#server.close() }

  destroy(): void {
    this.close()
    for (const client of this.#clients) client.resetAndDestroy()
  }

  #accept(client: Socket): void {
    this.#clients.add(client)
    client.once('close', () => { this.#clients.delete(client) })
    client.on('error', () => {}) // 'close' follows
    this.#dial(client, 0)
  }

  #dial(client: Socket, attempt: number): void {
    const { balancer, name } = this.#options
    if (client.destroyed) return
    const endpoint = balancer.choose({ client: balancer.hasAffinity ? client.remoteAddress ?? '' : '', now: performance.now(), again: attempt > 0 })
    if (!endpoint) { client.resetAndDestroy(); return }
    const backend = connect({ ...socketOptions, host: endpoint.ip, port: endpoint.port, autoSelectFamily: false })
    const failed = (error: Error) => {
      clearTimeout(timer)
      backend.destroy()
      if (attempt + 1 < dialTimeoutsMs.length) { this.#dial(client, attempt + 1); return }
      this.#warn(`no endpoint of ${name} answers: ${error.message}`)
      client.resetAndDestroy()
    }
    const timer = setTimeout(() => { backend.off('error', failed).on('error', () => {}); failed(new Error(`connect ${endpoint.address}: no answer within ${dialTimeoutsMs[attempt]} ms`)) }, dialTimeoutsMs[attempt])
    backend.once('error', failed)
    backend.once('connect', () => {
      clearTimeout(timer)
      backend.off('error', failed)
      if (client.destroyed) { backend.resetAndDestroy(); return }
      carry(client, backend)
      carry(backend, client)
      client.resume()
    })
  }

  #warn(message: string): void {
    const now = performance.now()
    if (now < this.#nextWarning) return
    this.#nextWarning = now + warnEveryMs
    this.#options.log.warn(message)
  }
}

/** Bytes of one direction. What the receiver has not taken is held once, in its own buffer, and meanwhile nothing more is read. */
function carry(from: Socket, to: Socket): void {
  from.on('data', chunk => { if (!to.write(chunk)) from.pause() })
  to.on('drain', () => from.resume())
  from.on('end', () => to.end())
  // A reset goes on as a reset; a client must be able to tell a lost answer from a short one.
  from.on('error', () => to.resetAndDestroy())
  from.on('close', () => { if (!from.readableEnded && !to.destroyed) to.resetAndDestroy() })
}
