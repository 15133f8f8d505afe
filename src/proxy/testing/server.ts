// A machine of the packet tests: a process in one network namespace that listens as a pod and
// connects as a client, told by IPC messages. A pod answers with its name and the address it was
// reached from; that is how a test sees balancing and masquerading.
import { createSocket } from 'node:dgram'
import { connect, createServer } from 'node:net'

export type Request =
  | { readonly id: number; readonly do: 'listen'; readonly name: string; readonly addresses: readonly string[]; readonly ports: readonly number[] }
  | { readonly id: number; readonly do: 'send'; readonly protocol: 'tcp' | 'udp'; readonly address: string; readonly port: number; readonly timeoutMs: number; readonly source?: string; readonly sourcePort?: number }
/** `answer` is `name source-address`; `error` is an errno name, or `timeout`. */
export interface Response { readonly id: number; readonly answer?: string; readonly error?: string }

const plain = (address: string | undefined) => (address ?? '').replace(/^::ffff:/, '')

async function listen({ name, addresses, ports }: Request & { do: 'listen' }): Promise<void> {
  for (const port of ports) {
    await new Promise<void>((resolve, reject) => {
      createServer(socket => {
        socket.on('error', () => {})
        socket.end(`${name} ${plain(socket.remoteAddress)}`)
      }).on('error', reject).listen(port, resolve)
    })
    // UDP answers leave from the address that the socket is bound to, so each address has one.
    for (const address of addresses) {
      await new Promise<void>((resolve, reject) => {
        const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4').on('error', reject)
        socket.on('message', (_, from) => socket.send(`${name} ${plain(from.address)}`, from.port, from.address))
        socket.bind(port, address, resolve)
      })
    }
  }
}

function overTcp({ address, port, timeoutMs, source, sourcePort }: Request & { do: 'send' }): Promise<Omit<Response, 'id'>> {
  return new Promise(resolve => {
    let text = ''
    const socket = connect({ host: address, port, ...source && { localAddress: source }, ...sourcePort && { localPort: sourcePort } })
    const end = (response: Omit<Response, 'id'>) => { clearTimeout(timer); socket.destroy(); resolve(response) }
    const timer = setTimeout(() => end({ error: 'timeout' }), timeoutMs)
    socket.on('data', chunk => { text += chunk })
    socket.on('end', () => end({ answer: text }))
    socket.on('error', error => end({ error: (error as NodeJS.ErrnoException).code ?? error.message }))
  })
}

/** Connected, so that a refusal (ICMP) reaches the socket. */
function overUdp({ address, port, timeoutMs, source, sourcePort }: Request & { do: 'send' }): Promise<Omit<Response, 'id'>> {
  return new Promise(resolve => {
    const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4')
    const end = (response: Omit<Response, 'id'>) => { clearTimeout(timer); socket.close(); resolve(response) }
    const timer = setTimeout(() => end({ error: 'timeout' }), timeoutMs)
    socket.on('message', message => end({ answer: message.toString() }))
    socket.on('error', error => end({ error: (error as NodeJS.ErrnoException).code ?? error.message }))
    socket.bind({ ...source && { address: source }, port: sourcePort ?? 0 }, () => {
      socket.once('connect', () => socket.send('?'))
      socket.connect(port, address)
    })
  })
}

process.on('message', (request: Request) => {
  const respond = (response: Omit<Response, 'id'>) => process.send!({ id: request.id, ...response } satisfies Response)
  if (request.do === 'listen') listen(request).then(() => respond({ answer: 'listening' }), error => respond({ error: String(error) }))
  else (request.protocol === 'tcp' ? overTcp(request) : overUdp(request)).then(respond)
})
process.on('disconnect', () => process.exit(0))
