// DNS over HTTPS (RFC 8484): GET and POST of /dns-query, over HTTP/2 and HTTP/1.1; plain HTTP when the
// server block has no `tls`, for use behind something that ends TLS.
import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createSecureServer, type Http2ServerRequest, type Http2ServerResponse } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { createServer } from '#lib/http.ts'
import type { Front } from '../../front.ts'
import { readRecord } from '../../wire/message.ts'
import { types } from '../../wire/types.ts'
import { originOf, type OpenStream, type TcpOptions } from '../tcp/server.ts'
import { tlsOptions } from '../tls.ts'

type Request = IncomingMessage | Http2ServerRequest
type Response = ServerResponse | Http2ServerResponse

const mediaType = 'application/dns-message'

export async function listenHttps(front: Front, { host, port, shared, tls, timeouts, limits, log }: TcpOptions): Promise<OpenStream> {
  const handle = (request: Request, response: Response) => {
    answer(front, request, response).catch(error => { log.warn('DNS over HTTPS', { error: (error as Error).message }); request.destroy() })
  }
  const server = tls ? createSecureServer({ ...tlsOptions(tls), allowHTTP1: true, settings: { maxConcurrentStreams: 100 } }, handle) : createServer(handle)
  server.maxConnections = limits.connections
  server.setTimeout(timeouts.idle ?? 10_000)
  const sockets = new Set<import('node:net').Socket>()
  server.on('connection', socket => { sockets.add(socket); socket.once('close', () => sockets.delete(socket)) })
  server.listen({ host, port, reusePort: shared, ipv6Only: host !== '::' })
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    renew(files) { if ('setSecureContext' in server) server.setSecureContext(tlsOptions(files)) },
    close: () => new Promise<void>(resolve => {
      server.close(() => resolve())
      setTimeout(() => { for (const socket of sockets) socket.destroy() }, 1000).unref() // kept-alive connections that nobody ends
    }),
  }
}

async function answer(front: Front, request: Request, response: Response): Promise<void> {
  const send = (code: number, headers: Record<string, string | number>, body: string | Buffer) => {
    response.statusCode = code
    for (const [name, value] of Object.entries(headers)) response.setHeader(name, value)
    ;(response as ServerResponse).end(body)
  }
  const refuse = (code: number, why: string) => send(code, { 'content-type': 'text/plain' }, why + '\n')
  const url = new URL(request.url ?? '/', 'https://server')
  if (url.pathname !== '/dns-query') return refuse(404, 'not found: DNS is at /dns-query')
  const message = await messageOf(request, url)
  if (typeof message === 'number') return refuse(message, message === 405 ? 'use GET or POST' : message === 413 ? 'too large' : message === 415 ? `the body must be ${mediaType}` : 'no DNS message')
  const out = await front.receive(message, originOf(request.socket as import('node:net').Socket, 'https'))
  if (!Buffer.isBuffer(out)) return refuse(out ? 400 : 500, out ? 'no zone transfers over HTTPS' : 'no answer')
  send(200, { 'content-type': mediaType, 'content-length': out.length, 'cache-control': `max-age=${leastTtl(out)}` }, out)
}

/** The message, or the HTTP status that says what is wrong. */
async function messageOf(request: Request, url: URL): Promise<Buffer | number> {
  if (request.method === 'GET') {
    const text = url.searchParams.get('dns')
    return text && /^[A-Za-z0-9_-]+={0,2}$/.test(text) ? Buffer.from(text, 'base64url') : 400
  }
  if (request.method !== 'POST') return 405
  if (request.headers['content-type'] !== mediaType) return 415
  const pieces: Buffer[] = []
  let length = 0
  for await (const piece of request as AsyncIterable<Buffer>) {
    length += piece.length
    if (length > 65535) return 413
    pieces.push(piece)
  }
  return Buffer.concat(pieces)
}

/** How long HTTP may keep the answer: no longer than its shortest-lived record (RFC 8484 5.1). */
function leastTtl(message: Buffer): number {
  let least = Infinity, at = 12
  while (message[at] !== 0) at += message[at]! + 1
  at += 5
  const counts = message.readUInt16BE(6) + message.readUInt16BE(8) + message.readUInt16BE(10)
  for (let n = 0; n < counts; n++) {
    const { record, next } = readRecord(message, at)
    if (record.type !== types.OPT) least = Math.min(least, record.ttl)
    at = next
  }
  return Number.isFinite(least) ? least : 0
}
