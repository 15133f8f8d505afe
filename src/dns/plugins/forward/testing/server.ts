// Upstreams for tests: real servers on 127.0.0.0/8 that answer as a function says and remember who asked.
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'
import { framed, Frames } from '../../../listeners/frames.ts'
import { decode, encode, type Message, type Rr } from '../../../wire/message.ts'
import { rcodes } from '../../../wire/types.ts'

export interface Seen { readonly port: number; readonly tcp: boolean; readonly message: Message }
/** What to send back: a message, bytes, several of them, or nothing. */
export type Behaviour = (asked: Message, how: { readonly tcp: boolean; readonly raw: Buffer }) => Partial<Message> | Buffer | Buffer[] | undefined | Promise<Partial<Message> | undefined>

export interface TestUpstream {
  readonly port: number
  readonly seen: Seen[]
  /** TCP or TLS connections that were opened. */
  connections(): number
  close(): Promise<void>
}

/** The message that answers `asked`. */
export const reply = (asked: Message, given: Partial<Message>): Buffer =>
  encode({ ...asked, flags: 0x8180, rcode: rcodes.NOERROR, answer: [], authority: [], additional: [], ...given } as Message)

export const answering = (record: (asked: Message) => Rr): Behaviour => asked => ({ answer: [record(asked)] })

export async function upstream(behave: Behaviour, { host = '127.0.0.1', port = 0, tls }: { host?: string; port?: number; tls?: { key: Buffer; cert: Buffer } } = {}): Promise<TestUpstream> {
  const seen: Seen[] = [], sockets = new Set<Socket>()
  let opened = 0
  const handle = async (raw: Buffer, from: number, tcp: boolean, send: (out: Buffer) => void) => {
    const asked = decode(raw)
    seen.push({ port: from, tcp, message: asked })
    const out = await behave(asked, { tcp, raw })
    if (out === undefined) return
    for (const one of Array.isArray(out) ? out : [out]) send(Buffer.isBuffer(one) ? one : reply(asked, one))
  }
  const accept = (socket: Socket) => {
    opened++
    sockets.add(socket)
    const frames = new Frames()
    socket.on('error', () => {}).on('close', () => sockets.delete(socket))
    socket.on('data', (piece: Buffer) => { for (const raw of frames.add(piece)) void handle(raw, socket.remotePort ?? 0, true, out => socket.write(framed(out))) })
  }
  const server = tls ? createTlsServer(tls, accept) : createServer(accept)
  server.listen(port, host)
  await once(server, 'listening')
  const chosen = (server.address() as AddressInfo).port
  const udp = createSocket('udp4')
  udp.bind(chosen, host)
  await once(udp, 'listening')
  udp.on('message', (raw, peer) => { void handle(raw, peer.port, false, out => udp.send(out, peer.port, peer.address)) })
  return {
    port: chosen, seen, connections: () => opened,
    async close() {
      if (!server.listening) return
      for (const socket of sockets) socket.destroy()
      udp.close()
      server.close()
      await once(server, 'close')
    },
  }
}
