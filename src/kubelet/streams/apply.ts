// Carries one exec or attach over a WebSocket: both ways with back-pressure, until the process ends or
// the client leaves. Frames are in channels.ts.
import type { Readable } from 'node:stream'
import type { WebSocket } from 'ws'
import type { ExecSession } from '../runtime/cri.ts'
import { channel, exitStatus, failureStatus, frame, parseMessage, type Protocol } from './channels.ts'

export interface CarryOptions {
  readonly protocol: Protocol
  readonly output: boolean
  readonly error: boolean
  /** The client left before the end. */
  left(session: ExecSession): void
}

export async function carry(socket: WebSocket, begin: () => Promise<ExecSession>, options: CarryOptions): Promise<void> {
  socket.on('error', () => socket.terminate())
  // Held until there is a process to take it.
  socket.pause()
  let session: ExecSession
  try { session = await begin() } catch (error) {
    socket.resume()
    return finish(socket, failureStatus((error as Error).message))
  }
  session.stdin?.on('error', () => {}) // the process closed its input: what still comes is dropped
  socket.on('message', (data: Buffer) => receive(socket, session, options.protocol, data))
  let over = false
  socket.on('close', () => { if (!over) options.left(session) })
  socket.resume()
  // remotecommand's empty first message: the client learns that the streams are there.
  if (options.output) await send(socket, frame(channel.stdout))
  try {
    const [exitCode] = await Promise.all([session.exitCode, pump(session.stdout, channel.stdout, socket, options.output), pump(session.stderr, channel.stderr, socket, options.error)])
    over = true
    await finish(socket, exitStatus(exitCode))
  } catch (error) {
    over = true
    await finish(socket, failureStatus((error as Error).message))
  }
}

function receive(socket: WebSocket, session: ExecSession, protocol: Protocol, data: Buffer): void {
  const message = parseMessage(protocol, data)
  if (message.kind === 'resize') session.resize(message.columns, message.rows)
  else if (message.kind === 'endOfStdin') session.stdin?.end()
  else if (message.kind === 'stdin' && session.stdin?.writable && !session.stdin.write(message.data)) {
    const { stdin } = session
    const resume = () => { stdin.off('drain', resume).off('close', resume); socket.resume() }
    socket.pause()
    stdin.on('drain', resume).on('close', resume)
  }
}

/** Each chunk is sent before the next is read, so a slow client slows the process. */
async function pump(stream: Readable | undefined, to: number, socket: WebSocket, wanted: boolean): Promise<void> {
  if (!stream) return
  try {
    for await (const chunk of stream as AsyncIterable<Buffer>) if (wanted && socket.readyState === socket.OPEN) await send(socket, frame(to, chunk))
  } catch (error) {
    // A terminal whose last process has ended reads as EIO: that is its end of file.
    if (!['ERR_STREAM_PREMATURE_CLOSE', 'EIO'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error
  }
}

/** Resolves when the bytes have left for the socket; a client that is gone is no error here. */
const send = (socket: WebSocket, data: Buffer): Promise<void> =>
  new Promise(resolve => socket.send(data, () => resolve()))

async function finish(socket: WebSocket, status: object): Promise<void> {
  await send(socket, frame(channel.error, Buffer.from(JSON.stringify(status))))
  socket.close(1000)
}
