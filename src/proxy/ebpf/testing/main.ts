// A program inside a test's machine that uses sockets as programs do, told by IPC: whom does it reach,
// and who does it think that is?
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram'
import { connect } from 'node:net'
import { once } from 'node:events'

export type Command =
  | { readonly do: 'tcp'; readonly address: string; readonly port: number; readonly source?: string }
  /** Opens the socket `name` (a new one each time), connected when an address is given. */
  | { readonly do: 'open'; readonly name: string; readonly type: 'udp4' | 'udp6'; readonly address?: string; readonly port?: number }
  /** Sends and waits for the answer; without an address on a connected socket. */
  | { readonly do: 'send'; readonly name: string; readonly address?: string; readonly port?: number }
/** `answer`: what came; `peer`: from whom, as the program sees it; `error`: errno's name or `timeout`. */
export interface Outcome { readonly answer?: string; readonly peer?: string; readonly error?: string; readonly ms: number }

const timeoutMs = 1000
const sockets = new Map<string, Socket>()
const errors = new Map<string, string>()
const peer = ({ address, port }: { address: string; port: number }) => `${address} ${port}`
const code = (error: unknown) => (error as NodeJS.ErrnoException).code ?? String(error)

async function tcp({ address, port, source }: Command & { do: 'tcp' }): Promise<Omit<Outcome, 'ms'>> {
  const socket = connect({ host: address, port, timeout: timeoutMs, ...source !== undefined && { localAddress: source } }).on('timeout', () => socket.destroy(Object.assign(new Error(), { code: 'timeout' })))
  try {
    await once(socket, 'connect')
    const seen = peer({ address: socket.remoteAddress!, port: socket.remotePort! })
    let answer = ''
    for await (const chunk of socket) answer += chunk
    return { answer, peer: seen }
  } catch (error) { return { error: code(error) } } finally { socket.destroy() }
}

async function open({ name, type, address, port }: Command & { do: 'open' }): Promise<Omit<Outcome, 'ms'>> {
  sockets.get(name)?.close()
  const socket = createSocket(type)
  sockets.set(name, socket)
  errors.delete(name)
  socket.on('error', error => errors.set(name, code(error)))
  if (address === undefined) return {}
  return new Promise(resolve => socket.connect(port!, address, (error?: Error) => resolve(error ? { error: code(error) } : { peer: peer(socket.remoteAddress()) })))
}

function send({ name, address, port }: Command & { do: 'send' }): Promise<Omit<Outcome, 'ms'>> {
  const socket = sockets.get(name)!
  if (errors.has(name)) return Promise.resolve({ error: errors.get(name)! })
  return new Promise(resolve => {
    const end = (outcome: Omit<Outcome, 'ms'>) => { clearTimeout(timer); socket.off('message', heard).off('error', failed); resolve(outcome) }
    const heard = (message: Buffer, from: RemoteInfo) => end({ answer: message.toString(), peer: peer(from) })
    const failed = (error: Error) => end({ error: code(error) })
    const timer = setTimeout(() => end({ error: 'timeout' }), timeoutMs)
    socket.on('message', heard).on('error', failed)
    const sent = (error: Error | null) => { if (error) end({ error: code(error) }) }
    if (address === undefined) socket.send('?', sent)
    else socket.send('?', port, address, sent)
  })
}

process.on('message', async ({ id, ...command }: Command & { id: number }) => {
  const started = performance.now()
  const outcome = command.do === 'tcp' ? await tcp(command) : command.do === 'open' ? await open(command) : await send(command)
  process.send!({ id, ...outcome, ms: performance.now() - started })
})
process.on('disconnect', () => process.exit(0))
