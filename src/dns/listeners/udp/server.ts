// UDP: the socket of one address. Reads, gives the bytes to the front and sends what comes back, in
// the same turn where it can. Node hands over one datagram a call; when more are waiting, the rest are
// taken and answered in batches.
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { DatagramBatch, descriptorOf } from '#host/datagrams.ts'
import type { Log } from '#lib/log.ts'
import type { Front } from '../../front.ts'
import type { Origin } from '../../query.ts'
import { showAddress } from '../../wire/rdata.ts'

export interface UdpOptions {
  readonly host: string
  readonly port: number
  /** Another socket of ours has this address too: a worker's, or a wildcard's beside an exact one. */
  readonly shared: boolean
  readonly log: Log
}

/** Large enough for a burst while JavaScript collects garbage; the kernel cuts it to net.core.rmem_max. */
const bufferSize = 4 << 20
/** Batches in one turn of the event loop, so that TCP and timers have theirs. */
const mostBatches = 8
/** After batches that found nothing, so many datagrams at most are taken without looking for more. */
const mostPatience = 16

type Local = Origin['local']

export async function listenUdp(front: Front, { host, port, shared, log }: UdpOptions): Promise<{ port: number; close(): Promise<void> }> {
  const family = host.includes(':') ? 6 : 4
  // Without its own `lookup`, Node resolves even literal addresses on a later tick, for each send.
  const lookup = (address: string, _: unknown, done: (error: null, address: string, family: number) => void) => done(null, address, family)
  const socket = createSocket({ type: family === 6 ? 'udp6' : 'udp4', ipv6Only: family === 6, reusePort: shared, recvBufferSize: bufferSize, sendBufferSize: bufferSize, lookup: lookup as never })
  const listening = once(socket, 'listening') // before bind: with our lookup it comes in the same turn
  socket.bind(port, host)
  await listening
  socket.on('error', error => log.warn('UDP socket', { address: host, error: error.message }))
  const local = { address: host, port: socket.address().port }
  const receiver = new Receiver(front, socket, { family, local })
  socket.on('message', (message, peer) => receiver.receive(message, peer))
  return { port: local.port, close: () => new Promise<void>(resolve => socket.close(() => resolve())) }
}

/** Who sent a datagram of a batch; its address becomes text only where it is asked for. */
class BatchOrigin implements Origin {
  readonly protocol = 'udp'
  readonly transport = 'dns'
  readonly port: number
  readonly family: 4 | 6
  readonly local: Local
  readonly #address: number | Buffer
  constructor(address: number | Buffer, port: number, local: Local) {
    this.#address = address
    this.port = port
    this.family = typeof address === 'number' ? 4 : 6
    this.local = local
  }
  get address(): string {
    const address = this.#address
    return typeof address === 'number' ? `${address >>> 24}.${address >>> 16 & 255}.${address >>> 8 & 255}.${address & 255}` : showAddress(address)
  }
}

class Receiver {
  readonly #front: Front
  readonly #socket: Socket
  readonly #family: 4 | 6
  readonly #local: Local
  readonly #batch: DatagramBatch | undefined
  #patience = 0
  #wait = 0

  constructor(front: Front, socket: Socket, { family, local }: { family: 4 | 6; local: Local }) {
    this.#front = front
    this.#socket = socket
    this.#family = family
    this.#local = local
    const fd = descriptorOf(socket)
    if (fd !== undefined) this.#batch = new DatagramBatch(fd)
  }

  receive(message: Buffer, { address, port }: RemoteInfo): void {
    const out = this.#front.receive(message, { protocol: 'udp', transport: 'dns', address, port, family: this.#family, local: this.#local })
    if (out instanceof Promise) void out.then(later => { if (Buffer.isBuffer(later)) this.#send(later, address, port) })
    else if (Buffer.isBuffer(out)) this.#send(out, address, port)
    this.#more()
  }

  /** While few ask, one look in so many datagrams finds a batch; once one was found, each datagram looks. */
  #more(): void {
    if (!this.#batch || this.#wait-- > 0) return
    let found = 0
    for (let n = 0; n < mostBatches; n++) {
      const count = this.#batch.receive()
      found += count
      for (let i = 0; i < count; i++) this.#receiveOf(this.#batch, i)
      this.#batch.send()
      if (count < this.#batch.count) break
    }
    this.#patience = found > 0 ? 0 : Math.min(mostPatience, this.#patience + 1)
    this.#wait = this.#patience
  }

  #receiveOf(batch: DatagramBatch, i: number): void {
    const message = batch.message(i)
    if (!message) return // longer than any query: not one
    const origin = new BatchOrigin(batch.address(i), batch.port(i), this.#local)
    const out = this.#front.receive(message, origin)
    if (out instanceof Promise) void out.then(later => { if (Buffer.isBuffer(later)) this.#send(later, origin.address, origin.port) })
    else if (Buffer.isBuffer(out) && !batch.answer(i, out)) this.#send(out, origin.address, origin.port)
  }

  #send(message: Buffer, address: string, port: number): void {
    // A socket that a shutdown closed meanwhile cannot send: the asker asks again, elsewhere. Without
    // offset and length, Node makes no further slice of the buffer.
    try { this.#socket.send(message, port, address) } catch { /* closed */ }
  }
}
