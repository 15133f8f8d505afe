// One TCP proxy socket: accepts, dials an endpoint and carries bytes both ways until both sides have
// ended. Which endpoint is balancer.ts's to say. Connections outlive the socket: whoever was let in
// may finish, as upstream; `destroy` ends them too.
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'
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

/** endpointDialTimeout of upstream's proxysocket.go: each attempt takes the next endpoint. Refusals come at once and are not counted there. */
const dialTimeoutsMs = [250, 500, 1000, 2000]
/** Endpoints that one connection tries at most. */
const maxFailed = 16
/** As many as the kernel allows (net.core.somaxconn) may wait to be accepted. */
const backlog = 65535
const warnEveryMs = 10_000
/** Go's default, and so upstream's: without it a client that vanished would hold its endpoint's connection for ever. */
const keepAliveMs = 15_000

class NoAnswer extends Error {}
interface Attempts {
  readonly timeouts: number
  /** Endpoints by address; `refused` is a part of `failed`. */
  readonly failed: ReadonlySet<string> | undefined
  readonly refused: ReadonlySet<string>
  readonly error: Error | undefined
}
const noAttempt: Attempts = { timeouts: 0, failed: undefined, refused: new Set(), error: undefined }
const attemptsAfter = ({ timeouts, failed = new Set(), refused }: Attempts, address: string, error: Error): Attempts => ({
  timeouts: error instanceof NoAnswer ? timeouts + 1 : timeouts, error,
  failed: new Set([...failed, address]), refused: error instanceof NoAnswer ? refused : new Set([...refused, address]),
})

export class TcpProxySocket {
  /** Of the port on which it listens. */
  number = 0
  readonly #options: ProxySocketOptions
  readonly #server: Server
  /** Each with the connection to its endpoint; undefined while there is none. */
  readonly #connections = new Map<Socket, Socket | undefined>()
  readonly #keptAlive = new WeakSet<Socket>()
  readonly #keepAliveTimer: NodeJS.Timeout
  #nextWarning = 0

  private constructor(options: ProxySocketOptions) {
    this.#options = options
    // Nothing is read before there is an endpoint to give it to.
    this.#server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, client => this.#accept(client))
    this.#keepAliveTimer = setInterval(() => this.#keepOldAlive(), keepAliveMs).unref()
  }

  static async open(options: ProxySocketOptions, port: number): Promise<TcpProxySocket> {
    const socket = new TcpProxySocket(options), { promise, resolve, reject } = Promise.withResolvers<void>()
    const server = socket.#server
    server.once('error', error => { clearInterval(socket.#keepAliveTimer); reject(error) })
    server.listen({ host: options.address ?? (options.family === 6 ? '::' : '0.0.0.0'), port, ipv6Only: true, backlog }, resolve)
    await promise
    socket.number = (server.address() as AddressInfo).port
    server.removeAllListeners('error').on('error', error => socket.#warn(`cannot accept a connection: ${error.message}`))
    return socket
  }

  get address(): string | undefined { return this.#options.address }

  /** For UDP, where clients of a removed endpoint move on; a TCP connection lives as long as its two ends. */
  endpointsChanged(): void {}

  close(): void { this.#server.close() }

  destroy(): void {
    this.close()
    for (const client of this.#connections.keys()) client.resetAndDestroy()
  }

  #accept(client: Socket): void {
    this.#connections.set(client, undefined)
    client.once('close', () => { this.#connections.delete(client) })
    client.on('error', () => {}) // 'close' follows
    this.#dial(client, noAttempt)
  }

  #dial(client: Socket, attempts: Attempts): void {
    const { balancer } = this.#options
    if (client.destroyed) return
    const choose = (failed: ReadonlySet<string> | undefined) =>
      balancer.choose({ client: balancer.hasAffinity ? client.remoteAddress ?? '' : '', now: performance.now(), failed })
    // Who only did not answer in time may do so in a longer one.
    const endpoint = choose(attempts.failed) ?? (attempts.timeouts > 0 ? choose(attempts.refused) : undefined)
    if (!endpoint) { this.#giveUp(client, attempts); return }
    const backend = connect({ allowHalfOpen: true, host: endpoint.ip, port: endpoint.port, autoSelectFamily: false })
    const failed = (error: Error) => {
      clearTimeout(timer)
      const next = attemptsAfter(attempts, endpoint.address, error)
      if (next.timeouts < dialTimeoutsMs.length && next.failed!.size < maxFailed) this.#dial(client, next)
      else this.#giveUp(client, next)
    }
    const timer = setTimeout(() => {
      backend.off('error', failed).on('error', () => {}).destroy()
      failed(new NoAnswer(`connect ${endpoint.address}: no answer`))
    }, dialTimeoutsMs[attempts.timeouts])
    backend.once('error', failed)
    backend.once('connect', () => {
      clearTimeout(timer)
      backend.off('error', failed)
      if (client.destroyed) { backend.on('error', () => {}).resetAndDestroy(); return }
      this.#connections.set(client, backend)
      carry(client, backend)
      carry(backend, client)
      client.resume()
    })
  }

  /** Not when a connection begins: most are over soon, and the eight system calls are a twentieth of what one costs. */
  #keepOldAlive(): void {
    for (const [client, backend] of this.#connections) {
      if (!backend || this.#keptAlive.has(client)) continue
      this.#keptAlive.add(client)
      for (const socket of [client, backend]) socket.setKeepAlive(true, keepAliveMs)
    }
    if (!this.#server.listening && this.#connections.size === 0) clearInterval(this.#keepAliveTimer)
  }

  #giveUp(client: Socket, { error }: Attempts): void {
    this.#warn(`${this.#options.name}: ${error ? `no endpoint answers: ${error.message}` : 'a connection came when there was no endpoint'}`)
    client.resetAndDestroy()
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
  let chunks = 0
  from.on('data', chunk => {
    // Nagle's algorithm holds nothing back before the second write.
    if (++chunks === 2) to.setNoDelay()
    if (!to.write(chunk)) from.pause()
  })
  to.on('drain', () => from.resume())
  from.on('end', () => to.end())
  // A reset goes on as a reset; a client must be able to tell a lost answer from a short one.
  from.on('error', () => to.resetAndDestroy())
  from.on('close', () => { if (!from.readableEnded && !to.destroyed) to.resetAndDestroy() })
}
