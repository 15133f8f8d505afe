// TCP and TLS: connections with several queries under way at once (RFC 7766 6.2.1.1), answered as
// they are ready. A connection that is idle, slow or greedy is closed; it costs the others nothing.
import { once } from 'node:events'
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer, Server as TlsServer } from 'node:tls'
import type { Log } from '#lib/log.ts'
import type { Front, Out } from '../../front.ts'
import type { ListenSettings } from '../../plugin.ts'
import type { Origin } from '../../query.ts'
import { framed, Frames } from '../frames.ts'
import { tlsOptions, type TlsFiles } from '../tls.ts'

export interface TcpOptions {
  readonly host: string
  readonly port: number
  readonly shared: boolean
  readonly tls: TlsFiles | undefined
  readonly timeouts: NonNullable<ListenSettings['timeouts']>
  readonly limits: Limits
  readonly log: Log
}
export interface OpenStream {
  readonly port: number
  close(): Promise<void>
  /** Another certificate for connections from now on. */
  renew(tls: TlsFiles): void
}
export interface Limits {
  /** Open connections to one listener; the next one is closed at once. */
  readonly connections: number
  /** Of them, from one address. */
  readonly connectionsOfOne: number
}

/** Queries of one connection that wait for an answer; beyond them we stop reading. */
const mostWaiting = 100
/** Bytes of answers that the other side does not read; beyond them we stop reading. */
const mostUnread = 1 << 20

export async function listenTcp(front: Front, options: TcpOptions): Promise<OpenStream> {
  const { host, port, shared, tls, limits, log } = options
  const open = new Set<Connection>()
  const perAddress = new Map<string, number>()
  const accept = (socket: Socket) => {
    const address = plain(socket.remoteAddress ?? '')
    const ofOne = perAddress.get(address) ?? 0
    if (open.size >= limits.connections || ofOne >= limits.connectionsOfOne) { socket.destroy(); return }
    perAddress.set(address, ofOne + 1)
    const connection = new Connection(socket, front, options)
    open.add(connection)
    socket.once('close', () => {
      open.delete(connection)
      if (perAddress.get(address) === 1) perAddress.delete(address)
      else perAddress.set(address, perAddress.get(address)! - 1)
    })
  }
  const server: Server = tls ? createTlsServer({ ...tlsOptions(tls), ALPNProtocols: ['dot'] }, accept) : createServer({ noDelay: true }, accept)
  if (tls) server.on('tlsClientError', () => {}) // whatever they tried is their affair
  server.listen({ host, port, reusePort: shared, backlog: 1024, ipv6Only: host !== '::' })
  await once(server, 'listening')
  server.on('error', error => log.warn('TCP listener', { address: host, error: error.message }))
  return {
    port: (server.address() as AddressInfo).port,
    renew(files) { if (server instanceof TlsServer) server.setSecureContext(tlsOptions(files)) },
    async close() {
      const closed = new Promise<void>(resolve => server.close(() => resolve()))
      for (const connection of open) connection.finish()
      await closed
    },
  }
}

/** `::ffff:10.0.0.1` is an IPv4 asker on a socket of both families. */
export const plain = (address: string): string => address.startsWith('::ffff:') ? address.slice(7) : address

export function originOf(socket: Socket, transport: Origin['transport']): Origin {
  const address = plain(socket.remoteAddress ?? '')
  return {
    protocol: 'tcp', transport, address, port: socket.remotePort ?? 0, family: address.includes(':') ? 6 : 4,
    local: { address: plain(socket.localAddress ?? ''), port: socket.localPort ?? 0 },
  }
}

class Connection {
  readonly #socket: Socket
  readonly #front: Front
  readonly #origin: Origin
  readonly #frames = new Frames()
  #waiting = 0
  #finishing = false

  constructor(socket: Socket, front: Front, { tls, timeouts }: TcpOptions) {
    this.#socket = socket
    this.#front = front
    this.#origin = originOf(socket, tls ? 'tls' : 'dns')
    socket.setTimeout(timeouts.idle ?? 10_000, () => socket.destroy())
    socket.on('error', () => socket.destroy())
    socket.on('data', (piece: Buffer) => this.#read(piece))
    socket.on('drain', () => this.#flow())
    socket.on('end', () => this.finish())
  }

  /** Answers what is under way, then closes. */
  finish(): void {
    this.#finishing = true
    if (this.#waiting === 0) this.#socket.end()
  }

  #read(piece: Buffer): void {
    for (const message of this.#frames.add(piece)) {
      this.#waiting++
      const out = this.#front.receive(message, this.#origin)
      if (out instanceof Promise) void out.then(later => this.#answer(later))
      else void this.#answer(out)
    }
    this.#flow()
  }

  async #answer(out: Out): Promise<void> {
    try {
      if (Buffer.isBuffer(out)) this.#write(out)
      else if (out) {
        for await (const message of out) {
          this.#write(message)
          if (this.#socket.writableNeedDrain && !this.#socket.destroyed) await once(this.#socket, 'drain')
        }
      }
    } catch { this.#socket.destroy() /* a transfer that failed half-way: a cut connection says so (RFC 5936 6) */ }
    this.#waiting--
    if (this.#finishing && this.#waiting === 0) this.#socket.end()
    this.#flow()
  }
  #write(message: Buffer): void { if (!this.#socket.destroyed) this.#socket.write(framed(message)) }

  #flow(): void {
    const busy = this.#waiting >= mostWaiting || this.#socket.writableLength > mostUnread
    if (busy && !this.#socket.isPaused()) this.#socket.pause()
    else if (!busy && this.#socket.isPaused()) this.#socket.resume()
  }
}
