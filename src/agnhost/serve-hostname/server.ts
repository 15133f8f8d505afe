// agnhost serve-hostname: the host name and nothing else, over HTTP or over bare TCP and UDP. Ends at
// once on SIGTERM, where upstream's goes on for 60 seconds.
import { createServer } from 'node:net'
import { hostname } from 'node:os'
import { UserError } from '#lib/errors.ts'
import { bool, int, parseFlags } from '../flags.ts'
import { hostPort, text } from '../http.ts'
import { listenHttp, listenUdp, log, serveUntilSignal } from '../server.ts'
import type { Listening } from '../server.ts'

const flags = { tcp: bool(false), udp: bool(false), http: bool(true), close: bool(false), port: int(9376) }

export async function run(argv: string[]): Promise<number> {
  const { values } = parseFlags(argv, flags)
  const servers = await start(values)
  log(`Serving on port ${values.port}.`)
  return serveUntilSignal(servers)
}

export async function start({ tcp, udp, http, close, port }: { tcp: boolean; udp: boolean; http: boolean; close: boolean; port: number }): Promise<Listening[]> {
  if (http && (tcp || udp)) throw new UserError("Can't server TCP/UDP mode and HTTP mode at the same time: add --http=false")
  const name = hostname()
  const servers: Promise<Listening>[] = []
  if (tcp) servers.push(listenTcp(port, name))
  if (udp) servers.push(listenUdp(port, (_, from) => { log(`UDP request from ${hostPort(from.address, from.port)}`); return name }))
  if (http) {
    servers.push(listenHttp(port, request => {
      log(`HTTP request from ${request.remote}`)
      return close ? { ...text(name), headers: { Connection: 'close' } } : text(name)
    }))
  }
  return Promise.all(servers)
}

function listenTcp(port: number, name: string): Promise<Listening> {
  const server = createServer(socket => {
    log(`TCP request from ${hostPort(socket.remoteAddress ?? '', socket.remotePort ?? 0)}`)
    socket.on('error', () => {}) // the client went away
    socket.resume()
    socket.end(name)
  })
  return new Promise((resolve, reject) => {
    server.once('error', error => reject(new UserError(`Error from net.Listen(): ${error.message}`)))
    server.listen({ port, backlog: 4096 }, () => {
      const address = server.address()
      resolve({ port: typeof address === 'object' && address ? address.port : port, close: () => new Promise(resolve => server.close(() => resolve())) })
    })
  })
}
