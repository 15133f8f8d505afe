// One UDP proxy socket: what a client sends goes to its endpoint from a socket of the client's own, so
// that answers find their way back. Clients that pause for longer than the idle timeout are forgotten,
// as are those whose endpoint is removed. Which endpoint is balancer.ts's to say.
import { createSocket, type Socket, type SocketOptions } from 'node:dgram'
import type { Log } from '#lib/log.ts'
import type { Family } from '#net/ip.ts'
import type { Balancer } from '../balancer.ts'

export interface UdpProxySocketOptions {
  readonly family: Family
  /** Answers leave from it, so it is one address. */
  readonly address: string
  readonly balancer: Balancer
  readonly name: string
  readonly log: Log
  readonly idleMs: number
}

interface Session { readonly endpoint: string; readonly socket: Socket; readonly timer: NodeJS.Timeout; waiting: Buffer[] | undefined }

/** Each is a file descriptor and a port of the machine. */
const maxSessions = 8192
/** Datagrams kept while a session's socket is made ready: a tick or two. */
const maxWaiting = 64
/** Bytes that the kernel would not take yet; more are dropped, as a router's queue would. */
const maxQueued = 4 << 20
const warnEveryMs = 10_000
/** All clients of a Service share it; the kernel gives what net.core.rmem_max allows. */
const recvBufferSize = 4 << 20

export class UdpProxySocket {
  /** Of the port on which it listens. */
  number = 0
  readonly #options: UdpProxySocketOptions
  readonly #socket: Socket
  /** By the client's address and port. */
  readonly #sessions = new Map<string, Session>()
  #nextWarning = 0

  private constructor(options: UdpProxySocketOptions) {
    this.#options = options
    this.#socket = newSocket(options.family, { recvBufferSize })
  }

  static async open(options: UdpProxySocketOptions, port: number): Promise<UdpProxySocket> {
    const proxy = new UdpProxySocket(options), { promise, resolve, reject } = Promise.withResolvers<void>()
    const socket = proxy.#socket
    socket.once('error', error => { socket.close(); reject(error) })
    socket.bind({ address: options.address, port, exclusive: true }, resolve)
    await promise
    proxy.number = socket.address().port
    socket.removeAllListeners('error').on('error', error => proxy.#warn(`cannot receive: ${error.message}`))
    socket.on('message', (message, { address, port }) => proxy.#receive(message, address, port))
    return proxy
  }

  get address(): string { return this.#options.address }

  /** Clients of endpoints that are gone get another with their next datagram. */
  endpointsChanged(): void {
    for (const [client, { endpoint }] of this.#sessions) if (!this.#options.balancer.has(endpoint)) this.#end(client)
  }

  /** Without its socket a client hears nothing more: its sessions end with it. */
  close(): void {
    this.#socket.close()
    for (const client of this.#sessions.keys()) this.#end(client)
  }
  destroy(): void { this.close() }

  #receive(message: Buffer, address: string, port: number): void {
    const client = `${address} ${port}`
    const session = this.#sessions.get(client) ?? this.#start(client, address, port)
    if (!session) return
    session.timer.refresh()
    if (session.waiting) { if (session.waiting.length < maxWaiting) session.waiting.push(message) }
    else if (session.socket.getSendQueueSize() < maxQueued) session.socket.send(message)
  }

  #start(client: string, address: string, port: number): Session | undefined {
    const { balancer, family, idleMs, name } = this.#options
    if (this.#sessions.size >= maxSessions) { this.#warn(`${name} has ${maxSessions} clients: no more are taken on until some pause`); return undefined }
    const endpoint = balancer.choose({ client: address, now: performance.now() })
    if (!endpoint) return undefined
    const socket = newSocket(family)
    const session: Session = { endpoint: endpoint.address, socket, timer: setTimeout(() => this.#end(client), idleMs), waiting: [] }
    this.#sessions.set(client, session)
    socket.on('message', message => {
      session.timer.refresh()
      if (this.#socket.getSendQueueSize() < maxQueued) this.#socket.send(message, port, address)
    })
    // Nobody listens there, or there are no descriptors left: the client's next datagram tries the next endpoint.
    socket.on('error', error => {
      this.#warn(`${name}: ${endpoint.address}: ${error.message}`)
      balancer.forget(address)
      if (this.#sessions.get(client) === session) this.#end(client)
    })
    socket.connect(endpoint.port, endpoint.ip, () => {
      if (this.#sessions.get(client) !== session) return
      for (const message of session.waiting ?? []) socket.send(message)
      session.waiting = undefined
    })
    return session
  }

  #end(client: string): void {
    const { socket, timer } = this.#sessions.get(client)!
    this.#sessions.delete(client)
    clearTimeout(timer)
    try { socket.close() } catch { /* it closed itself */ }
  }

  #warn(message: string): void {
    const now = performance.now()
    if (now < this.#nextWarning) return
    this.#nextWarning = now + warnEveryMs
    this.#options.log.warn(message)
  }
}

/** Addresses only, never names: without this lookup Node asks its resolver threads for each datagram. */
const newSocket = (family: Family, more: { recvBufferSize?: number } = {}): Socket => createSocket({ ...more,
  type: `udp${family}`, ...family === 6 && { ipv6Only: true },
  lookup: ((host: string, _options: unknown, callback: (error: null, address: string, family: number) => void) => callback(null, host, family)) as unknown as NonNullable<SocketOptions['lookup']>,
})
