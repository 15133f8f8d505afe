// UDP: the sockets of one address. Reads, gives the bytes to the front and sends what comes back, in
// the same turn where it can.
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram'
import { once } from 'node:events'
import type { Log } from '#lib/log.ts'
import type { Front } from '../../front.ts'

export interface UdpOptions {
  readonly host: string
  readonly port: number
  /** Another socket of ours has this address too: a worker's, or a wildcard's beside an exact one. */
  readonly shared: boolean
  readonly log: Log
}

/** Large enough for a burst while JavaScript collects garbage; the kernel cuts it to net.core.rmem_max. */
const bufferSize = 4 << 20

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
  socket.on('message', (message, peer) => receive(front, socket, { message, peer, family, local }))
  return { port: local.port, close: () => new Promise<void>(resolve => socket.close(() => resolve())) }
}

function receive(front: Front, socket: Socket, { message, peer, family, local }: { message: Buffer; peer: RemoteInfo; family: 4 | 6; local: { address: string; port: number } }): void {
  const out = front.receive(message, { protocol: 'udp', transport: 'dns', address: peer.address, port: peer.port, family, local })
  if (out instanceof Promise) void out.then(later => { if (Buffer.isBuffer(later)) send(socket, later, peer) })
  else if (Buffer.isBuffer(out)) send(socket, out, peer)
}

function send(socket: Socket, message: Buffer, peer: RemoteInfo): void {
  // A socket that a shutdown closed meanwhile cannot send: the asker asks again, elsewhere. Without
  // offset and length, Node makes no further slice of the buffer.
  try { socket.send(message, peer.port, peer.address) } catch { /* closed */ }
}
