// Sockets, signals and log lines for all of the programs: one way to listen, one way to stop.
import { createServer } from '#lib/http.ts'
import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { createSocket } from 'node:dgram'
import type { RemoteInfo, Socket } from 'node:dgram'
import { UserError } from '#lib/errors.ts'
import { hostPort, pathOf } from './http.ts'
import type { Request, Response } from './http.ts'

const formLimit = 1 << 20

/** A line on stderr as Go's log package writes it. */
export function log(message: string): void {
  const now = new Date()
  process.stderr.write(`${now.toISOString().slice(0, 10).replaceAll('-', '/')} ${now.toISOString().slice(11, 19)} ${message}\n`)
}

export interface Listening {
  readonly port: number
  /** Accepts nothing more, lets running requests end for `graceMs`, then cuts them. */
  close(graceMs: number): Promise<void>
}

export interface ListenOptions {
  readonly host?: string
  /** PEM texts. */
  readonly tls?: { readonly cert: Buffer; readonly key: Buffer }
}

/** `answer` for programs whose answers are short texts; `undefined` aborts the connection. */
export const listenHttp = (port: number, answer: (request: Request) => Response | undefined | Promise<Response | undefined>, options: ListenOptions = {}): Promise<Listening> =>
  listen(port, (incoming, outgoing) => { void respond(incoming, outgoing, answer) }, options)

/** With Node's own request and response, for programs that stream. Rejects with a UserError when the port cannot be had. */
export function listen(port: number, listener: RequestListener, { host, tls }: ListenOptions = {}): Promise<Listening> {
  const server: Server = tls ? createTlsServer(tls, listener) : createServer(listener)
  server.keepAliveTimeout = 75_000
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(new UserError(`listen tcp ${host ?? ''}:${port}: ${words(error)}`)))
    server.listen({ port, host, backlog: 4096 }, () => resolve({ port: portOf(server.address()), close: graceMs => closeServer(server, graceMs) }))
  })
}

const portOf = (address: ReturnType<Server['address']>) => typeof address === 'object' && address ? address.port : 0
const words = (error: NodeJS.ErrnoException) =>
  error.code === 'EADDRINUSE' ? 'bind: address already in use' : error.code === 'EACCES' ? 'bind: permission denied' : error.message

function closeServer(server: Server, graceMs: number): Promise<void> {
  return new Promise(resolve => {
    const cut = setTimeout(() => server.closeAllConnections(), graceMs)
    server.close(() => { clearTimeout(cut); resolve() })
    server.closeIdleConnections()
  })
}

async function respond(incoming: IncomingMessage, outgoing: ServerResponse, answer: (request: Request) => Response | undefined | Promise<Response | undefined>): Promise<void> {
  try {
    const request = await read(incoming)
    const response = request === undefined ? { status: 400, body: '400 Bad Request' } : await answer(request)
    if (!response) return void incoming.socket.destroy()
    const body = Buffer.from(response.body)
    const bodiless = response.status === 204 || response.status === 304
    outgoing.writeHead(response.status, { ...!bodiless && { 'Content-Type': 'text/plain; charset=utf-8', 'Content-Length': body.length }, ...response.headers })
    outgoing.end(bodiless || incoming.method === 'HEAD' ? undefined : body)
  } catch (error) {
    log(`request failed: ${error instanceof Error ? error.message : String(error)}`)
    incoming.socket.destroy()
  }
}

async function read(incoming: IncomingMessage): Promise<Request | undefined> {
  const url = incoming.url ?? '/'
  const path = pathOf(url)
  if (path === undefined) return undefined
  const query = url.includes('?') ? url.slice(url.indexOf('?') + 1) : ''
  const isForm = /^application\/x-www-form-urlencoded\b/i.test(incoming.headers['content-type'] ?? '')
  const form = new URLSearchParams(`${isForm ? await formBody(incoming) : ''}&${query}`)
  if (!isForm) incoming.resume()
  return { method: incoming.method ?? 'GET', path, url, form, headers: incoming.headers,
    remote: hostPort(incoming.socket.remoteAddress ?? '', incoming.socket.remotePort ?? 0) }
}

async function formBody(incoming: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of incoming as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > formLimit) throw new Error('form too large')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString()
}

/** Answers each datagram with what `answer` returns; `undefined` is silence. */
export async function listenUdp(port: number, answer: (data: Buffer, from: RemoteInfo) => string | undefined, host?: string): Promise<Listening> {
  const socket = await bindUdp(port, host)
  socket.on('message', (data, from) => {
    const reply = answer(data, from)
    if (reply !== undefined) socket.send(reply, from.port, from.address, error => { if (error) log(`failed to write to UDP client: ${error.message}`) })
  })
  return { port: socket.address().port, close: () => new Promise(resolve => socket.close(() => resolve())) }
}

async function bindUdp(port: number, host: string | undefined): Promise<Socket> {
  if (host !== undefined) return bound(createSocket({ type: host.includes(':') ? 'udp6' : 'udp4' }), port, host)
  try {
    return await bound(createSocket({ type: 'udp6' }), port)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EAFNOSUPPORT') throw error
    return bound(createSocket({ type: 'udp4' }), port) // a kernel without IPv6
  }
}

const bound = (socket: Socket, port: number, host?: string): Promise<Socket> => new Promise((resolve, reject) => {
  socket.once('error', reject)
  socket.bind({ port, address: host }, () => {
    socket.removeListener('error', reject)
    socket.on('error', error => log(`UDP: ${error.message}`))
    resolve(socket)
  })
})

/** As process 1 of a pod these would be ignored without a listener. */
export const untilSignal = (): Promise<NodeJS.Signals> => new Promise(resolve => {
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGQUIT'] as const) process.once(signal, resolve)
})

/** Serves until a signal, then closes everything; the exit status. */
export async function serveUntilSignal(servers: readonly Listening[], graceMs = 5000): Promise<number> {
  await untilSignal()
  await Promise.all(servers.map(server => server.close(graceMs)))
  return 0
}
