// The sockets of one upstream: UDP from random ports with random ids, TCP and TLS with several
// questions under way on a connection. Nothing here decides; replies that are not to our question are
// left lying.
import { randomFillSync } from 'node:crypto'
import { createSocket, type Socket as UdpSocket } from 'node:dgram'
import { readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { connect as connectTls, type ConnectionOptions } from 'node:tls'
import { framed, Frames } from '../../listeners/frames.ts'
import { nameservers, type Address, type Route } from './config.ts'
import { isReplyTo } from './reply.ts'
import type { Asked, Link } from './upstream.ts'

export const nameserversOf = (file: string): string[] => nameservers(readFileSync(file, 'utf8'))

export function readTls({ cert, key, ca }: Route['tls']): ConnectionOptions {
  const read = (file: string | undefined) => file === undefined ? undefined : readFileSync(file)
  return { ...(cert !== undefined && { cert: read(cert), key: read(key) }), ...(ca !== undefined && { ca: read(ca) }) }
}

export interface LinkOptions {
  readonly expire: number
  readonly maxIdle: number
  readonly source: string | undefined
  readonly tls: ConnectionOptions | undefined
  hit(proto: string): void
  miss(proto: string): void
}

/** Sockets to choose from, and how many questions each carries before another port takes its place. */
const mostPorts = 16, usesOfPort = 32
/** Questions under way on one TCP or TLS connection, and connections to one upstream. */
const mostOnConnection = 64, mostConnections = 16

const pool = Buffer.alloc(1024)
let drawn = pool.length
/** 16 bits from the kernel's generator (RFC 5452 9.2). */
function random16(): number {
  if (drawn >= pool.length) { randomFillSync(pool); drawn = 0 }
  drawn += 2
  return pool.readUInt16BE(drawn - 2)
}

interface Waiter { readonly message: Buffer; resolve(reply: Buffer): void; reject(error: Error): void }

/** A socket with the questions that wait on it. */
abstract class Channel {
  readonly waiting = new Map<number, Waiter>()
  uses = 0
  lastUsed = Date.now()
  isOpen = true
  abstract send(message: Buffer): void
  abstract end(): void

  ask(message: Buffer, waiter: Waiter): () => void {
    this.uses++
    this.lastUsed = Date.now()
    let id = random16()
    while (this.waiting.has(id)) id = random16()
    const out = Buffer.from(message)
    out.writeUInt16BE(id, 0)
    this.waiting.set(id, waiter)
    this.send(out)
    return () => { if (this.waiting.delete(id)) this.settled() }
  }
  receive(reply: Buffer): void {
    if (reply.length < 12) return
    const id = reply.readUInt16BE(0), waiter = this.waiting.get(id)
    if (!waiter || !isReplyTo(reply, waiter.message)) return
    this.waiting.delete(id)
    this.lastUsed = Date.now()
    waiter.resolve(reply)
    this.settled()
  }
  /** One less waits. */
  settled(): void { if (!this.isOpen && this.waiting.size === 0) this.end() }
  /** No new questions; ends once the last is answered. */
  retire(): void {
    this.isOpen = false
    this.settled()
  }
  fail(error: Error): void {
    this.isOpen = false
    const waiters = [...this.waiting.values()]
    this.waiting.clear()
    this.end()
    for (const waiter of waiters) waiter.reject(error)
  }
}

// Without its own `lookup`, Node resolves even literal addresses on a later tick, for each send.
const lookup = (address: string, _: unknown, done: (error: null, address: string, family: number) => void) => done(null, address, address.includes(':') ? 6 : 4)

/** Connected, so that the kernel drops what others send and tells when nobody listens; its port is the kernel's random choice. */
class UdpChannel extends Channel {
  readonly #socket: UdpSocket
  #held: Buffer[] | undefined = []
  #ended = false
  constructor({ host, port }: Address, source: string | undefined) {
    super()
    this.#socket = createSocket({ type: host.includes(':') ? 'udp6' : 'udp4', lookup: lookup as never })
    this.#socket.on('error', error => this.fail(error))
    this.#socket.on('message', message => this.receive(message))
    const toward = () => this.#socket.connect(port, host, (error?: Error) => {
      if (error) { this.fail(error); return }
      const held = this.#held ?? []
      this.#held = undefined
      for (const message of held) this.send(message)
    })
    if (source === undefined) toward()
    else this.#socket.bind({ address: source, port: 0 }, toward)
    this.#socket.unref()
  }
  send(message: Buffer): void {
    if (this.#held) this.#held.push(message)
    else if (!this.#ended) this.#socket.send(message, 0, message.length, error => { if (error) this.fail(error) })
  }
  end(): void {
    if (this.#ended) return
    this.#ended = true
    this.isOpen = false
    this.#held = undefined
    try { this.#socket.close() } catch { /* never opened */ }
  }
}

class StreamChannel extends Channel {
  readonly #socket: Socket
  readonly #frames = new Frames()
  /** Something was answered on it: when it breaks now, the other side may merely have closed it for being idle. */
  isProven = false
  constructor({ host, port, transport }: Address, { source, tls, expire }: LinkOptions) {
    super()
    const to = { host, port, ...(source !== undefined && { localAddress: source }) }
    this.#socket = transport === 'tls' ? connectTls({ ALPNProtocols: ['dot'], ...to, ...tls }) : connect({ ...to, noDelay: true })
    this.#socket.on('error', error => this.fail(error))
    this.#socket.on('close', () => this.fail(new Error('the upstream closed the connection')))
    this.#socket.on('data', (piece: Buffer) => {
      for (const message of this.#frames.add(piece)) {
        this.isProven = true
        this.receive(message)
      }
    })
    this.#socket.setTimeout(expire, () => { if (this.waiting.size === 0) this.end() })
    this.#socket.unref()
  }
  send(message: Buffer): void { this.#socket.write(framed(message)) }
  end(): void {
    this.isOpen = false
    this.#socket.destroy()
  }
}

export function openLink(address: Address, options: LinkOptions): Link { return new SocketLink(address, options) }

class SocketLink implements Link {
  readonly #address: Address
  readonly #options: LinkOptions
  readonly #ports = new Set<UdpChannel>()
  readonly #streams = new Set<StreamChannel>()
  #sweeper: NodeJS.Timeout | undefined

  constructor(address: Address, options: LinkOptions) {
    this.#address = address
    this.#options = options
  }

  ask(message: Buffer, tcp: boolean): Asked {
    let cancel = () => {}
    const reply = new Promise<Buffer>((resolve, reject) => {
      if (!tcp && this.#address.transport === 'dns') { cancel = this.#udp().ask(message, { message, resolve, reject }); return }
      const channel = this.#stream(), wasProven = channel.isProven
      const again = (error: Error) => {
        // A kept connection that breaks at the first use is no sign of anything: once more on a new one.
        if (!wasProven) { reject(error); return }
        cancel = this.#newStream().ask(message, { message, resolve, reject })
      }
      cancel = channel.ask(message, { message, resolve, reject: again })
    })
    return { reply, cancel: () => cancel() }
  }

  #udp(): UdpChannel {
    for (const port of this.#ports) if (!port.isOpen) this.#ports.delete(port)
    const most = Math.min(mostPorts, this.#options.maxIdle || mostPorts)
    if (this.#ports.size < most) return this.#newPort()
    const port = [...this.#ports][random16() % this.#ports.size]!
    if (port.uses >= usesOfPort) {
      this.#ports.delete(port)
      port.retire()
      return this.#newPort()
    }
    this.#options.hit('udp')
    return port
  }
  #newPort(): UdpChannel {
    this.#options.miss('udp')
    const port = new UdpChannel(this.#address, this.#options.source)
    this.#ports.add(port)
    this.#sweeper ??= setInterval(() => this.#sweep(), this.#options.expire).unref()
    return port
  }
  /** Ports that were idle for `expire` are given back. */
  #sweep(): void {
    const before = Date.now() - this.#options.expire
    for (const port of this.#ports) {
      if (port.isOpen && (port.waiting.size > 0 || port.lastUsed > before)) continue
      this.#ports.delete(port)
      port.retire()
    }
    if (this.#ports.size > 0) return
    clearInterval(this.#sweeper)
    this.#sweeper = undefined
  }

  get #proto(): string { return this.#address.transport === 'tls' ? 'tcp-tls' : 'tcp' }
  #stream(): StreamChannel {
    let best: StreamChannel | undefined
    for (const stream of this.#streams) {
      if (!stream.isOpen) this.#streams.delete(stream)
      else if (!best || stream.waiting.size < best.waiting.size) best = stream
    }
    if (!best || (best.waiting.size >= mostOnConnection && this.#streams.size < mostConnections)) return this.#newStream()
    this.#options.hit(this.#proto)
    return best
  }
  #newStream(): StreamChannel {
    this.#options.miss(this.#proto)
    const stream = new StreamChannel(this.#address, this.#options)
    this.#streams.add(stream)
    return stream
  }

  close(): void {
    clearInterval(this.#sweeper)
    for (const channel of [...this.#ports, ...this.#streams]) channel.fail(new Error('the server ends'))
    this.#ports.clear()
    this.#streams.clear()
  }
}
