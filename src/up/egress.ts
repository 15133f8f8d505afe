// The one thing that a cluster may ask of the host's network: pulling images. The outer process
// (host network) offers an HTTP CONNECT proxy on a unix socket in the data directory, which only the
// agent uses; TLS goes end to end through it, so nothing is read on the way. No packet of a pod or a
// node ever comes here.
import { rmSync } from 'node:fs'
import type { Server } from 'node:http'
import { connect, type Socket } from 'node:net'
import { createServer } from '#lib/http.ts'
import type { Log } from '#lib/log.ts'

export function startEgress(path: string, log: Log): Server {
  rmSync(path, { force: true })
  const server = createServer((_, response) => { response.writeHead(405).end('only CONNECT\n') })
  server.on('connect', (request, client, head) => {
    const target = /^([^:\s]+|\[[0-9a-fA-F:]+\]):(\d{1,5})$/.exec(request.url ?? '')
    if (!target) { client.end('HTTP/1.1 400 Bad Request\r\n\r\n'); return }
    const remote = connect({ host: target[1]!.replace(/^\[|\]$/g, ''), port: Number(target[2]) })
    remote.once('connect', () => {
      client.write('HTTP/1.1 200 Connection established\r\n\r\n')
      if (head.length) remote.write(head)
      remote.pipe(client).pipe(remote)
    })
    tieTogether(client as Socket, remote)
    remote.once('error', error => {
      log.warn('image registry unreachable', { target: request.url ?? '', err: error.message })
      if (!client.destroyed) client.end(`HTTP/1.1 502 ${error.message.replace(/[^ -~]/g, ' ')}\r\n\r\n`)
    })
  })
  server.listen(path)
  return server
}

const tieTogether = (a: Socket, b: Socket) => {
  a.on('error', () => b.destroy()); b.on('close', () => a.end()); a.on('close', () => b.destroy())
}
