// The HTTPS edge: TLS, client certificates and bearer tokens to users, bodies in, answers and watches out,
// upgraded connections through to the kubelet. HTTP/1.1.
import { createServer as createHttpsServer, type Server as HttpsServer } from 'node:https'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Server, Socket } from 'node:net'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import type { TLSSocket } from 'node:tls'
import { StatusError } from '#lib/errors.ts'
import type { Log } from '#lib/log.ts'
import { toYaml } from '#lib/yaml.ts'
import type { Tokens } from '../authn/tokens.ts'
import type { Pki } from '../config.ts'
import type { KubeletClient } from '../kubelet/apply.ts'
import { jsonOf } from '../storage/json.ts'
import type { WatchEvent } from '../rest/watch.ts'
import { statusResponse } from './handler.ts'
import { healthPaths } from './health.ts'
import type { Body, Request, Response, User } from './request.ts'

export type ListenOptions =
  | { readonly host?: string; readonly port: number }
  /** A server that listens already, in this network namespace or another. */
  | { readonly server: Server }

export interface Edge {
  readonly serve: (request: Request) => Promise<Response>
  readonly tokens: Tokens
  readonly pki: Pki
  readonly kubelets: KubeletClient
  readonly log: Log
}

export interface Listener { readonly port: number; close(): Promise<void> }

/** MaxRequestBodyBytes of kube-apiserver. */
const maxBody = 3 * 1024 * 1024
/** A watcher that lets this much wait is cut off; it will list again. */
const maxUnsent = 16 * 1024 * 1024

export async function httpsListener(edge: Edge, options: ListenOptions): Promise<Listener> {
  const { pki } = edge
  const server = createHttpsServer({ key: pki.apiserver.key, cert: pki.apiserver.cert, ca: pki.ca, requestCert: true, rejectUnauthorized: false,
    keepAliveTimeout: 90_000, requestTimeout: 60_000, handshakeTimeout: 10_000 })
  const sockets = new Set<Socket>()
  const track = (socket: Socket) => {
    sockets.add(socket)
    socket.setNoDelay(true)
    socket.allowHalfOpen = true // `kubectl exec -i` ends its input and still wants the output
    socket.once('close', () => sockets.delete(socket))
  }
  server.prependListener('connection', track) // before TLS wraps the socket
  server.on('request', (incoming: IncomingMessage, outgoing: ServerResponse) => {
    answer(edge, incoming, outgoing).catch((error: unknown) => { edge.log.error('an answer failed', error, { path: incoming.url }); incoming.socket.destroy() })
  })
  server.on('upgrade', (incoming: IncomingMessage, socket: Duplex, head: Buffer) => {
    upgrade(edge, incoming, { socket, head }).catch((error: unknown) => { edge.log.error('an upgrade failed', error, { path: incoming.url }); socket.destroy() })
  })
  server.on('tlsClientError', () => {}) // somebody spoke no TLS, or did not trust us: theirs to report
  const port = await open(server, options)
  return { port, close: () => close(server, sockets, options) }
}

async function open(server: HttpsServer, options: ListenOptions): Promise<number> {
  if ('server' in options) {
    options.server.on('connection', socket => server.emit('connection', socket))
    return (options.server.address() as AddressInfo | null)?.port ?? 0
  }
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen({ port: options.port, ...(options.host !== undefined && { host: options.host }) }, () => { server.off('error', reject); resolve() })
  })
  return (server.address() as AddressInfo).port
}

async function close(server: HttpsServer, sockets: ReadonlySet<Socket>, options: ListenOptions): Promise<void> {
  const listening = 'server' in options ? options.server : server
  const closed = new Promise<void>(resolve => { listening.close(() => resolve()) })
  for (const socket of sockets) socket.destroy()
  await closed
}

// ---- who asks

const unauthorized = new StatusError(401, 'Unauthorized', 'Unauthorized')
const nobody: User = { name: 'system:anonymous', groups: ['system:unauthenticated'] }
const certificateUsers = new WeakMap<object, User | undefined>()

function userOf({ tokens }: Edge, incoming: IncomingMessage): User | undefined {
  const socket = incoming.socket as TLSSocket
  if (!certificateUsers.has(socket)) certificateUsers.set(socket, certificateUser(socket))
  const user = certificateUsers.get(socket)
  const bearer = /^Bearer\s+(\S+)$/i.exec(incoming.headers.authorization ?? '')
  if (user || !bearer) return user
  const verified = tokens.verify(bearer[1]!)
  return 'error' in verified ? undefined : verified.user
}

/** CommonName is the user, Organization the groups. */
function certificateUser(socket: TLSSocket): User | undefined {
  if (!socket.authorized) return undefined
  const { CN, O } = socket.getPeerCertificate().subject ?? {}
  const name = [CN ?? []].flat()[0]
  return name ? { name, groups: [...[O ?? []].flat(), 'system:authenticated'] } : undefined
}

// ---- requests

async function requestOf(edge: Edge, incoming: IncomingMessage): Promise<Request> {
  const url = incoming.url ?? '/'
  const question = url.indexOf('?')
  const path = question < 0 ? url : url.slice(0, question)
  const user = userOf(edge, incoming) ?? (healthPaths.has(path) ? { ...nobody, groups: ['system:masters'] } : undefined)
  if (!user) throw unauthorized
  const body = await readBody(incoming)
  return { method: incoming.method ?? 'GET', path, query: new URLSearchParams(question < 0 ? '' : url.slice(question + 1)),
    headers: incoming.headers as Record<string, string | undefined>, user, ...(body && { body }) }
}

async function readBody(incoming: IncomingMessage): Promise<Uint8Array | undefined> {
  if (incoming.method === 'GET' || incoming.method === 'HEAD') return undefined
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of incoming as AsyncIterable<Buffer>) {
    length += chunk.length
    if (length > maxBody) throw new StatusError(413, 'RequestEntityTooLarge', `Request entity too large: limit is ${maxBody}`)
    chunks.push(chunk)
  }
  return chunks.length === 1 ? chunks[0] : Buffer.concat(chunks)
}

async function respond(edge: Edge, incoming: IncomingMessage): Promise<Response> {
  try {
    return await edge.serve(await requestOf(edge, incoming))
  } catch (error) {
    if (error instanceof StatusError) return statusResponse(error.status)
    throw error
  }
}

// ---- answers

async function answer(edge: Edge, incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
  const response = await respond(edge, incoming)
  const { body, status } = response
  outgoing.on('error', () => {}) // the client has gone
  if (!incoming.complete && incoming.method !== 'GET') outgoing.setHeader('connection', 'close')
  if (body.type === 'watch') return sendWatch(outgoing, response, body)
  if (body.type === 'kubelet') return sendStream(edge, outgoing, response, body.target)
  const [text, type] = textOf(body)
  const bytes = Buffer.from(text)
  outgoing.writeHead(status, { 'content-type': type, 'cache-control': 'no-cache, private', ...headersOf(response), 'content-length': bytes.length })
  outgoing.end(incoming.method === 'HEAD' ? undefined : bytes)
}

const headersOf = ({ headers }: Response): Record<string, string | string[]> =>
  Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, typeof value === 'string' ? value : [...value]]))

function textOf(body: Extract<Body, { type: 'object' | 'text' }>): [text: string, contentType: string] {
  if (body.type === 'text') return [body.value, 'text/plain; charset=utf-8']
  if (body.yaml) return [toYaml(body.value), 'application/yaml']
  return [body.pretty ? JSON.stringify(body.value, null, 2) + '\n' : jsonOf(body.value) + '\n', 'application/json']
}

function sendWatch(outgoing: ServerResponse, response: Response, { watch, encode }: Extract<Body, { type: 'watch' }>): void {
  outgoing.writeHead(200, { 'content-type': 'application/json', 'cache-control': 'no-cache, private', ...headersOf(response) })
  outgoing.flushHeaders() // a client of a quiet watch waits for them
  let stop = () => {}
  let corked = false
  const end = () => { stop(); outgoing.end() }
  stop = watch.start({
    event(event) {
      if (outgoing.destroyed) return
      // Events of one commit leave in one packet.
      if (!corked) { corked = true; outgoing.cork(); process.nextTick(() => { corked = false; outgoing.uncork() }) }
      outgoing.write(lineOf(encode(event)))
      if (outgoing.writableLength > maxUnsent) outgoing.destroy()
    },
    end,
  })
  outgoing.once('close', () => stop())
}

const lineOf = (event: object): string => {
  const { type, object } = event as WatchEvent
  return `{"type":"${type}","object":${jsonOf(object)}}\n`
}

async function sendStream(edge: Edge, outgoing: ServerResponse, response: Response, target: Extract<Body, { type: 'kubelet' }>['target']): Promise<void> {
  const abort = new AbortController()
  outgoing.once('close', () => abort.abort())
  try {
    for await (const chunk of edge.kubelets.get(target, abort.signal)) {
      if (!outgoing.headersSent) { outgoing.writeHead(200, { 'content-type': 'text/plain', ...headersOf(response) }); outgoing.flushHeaders() }
      if (!outgoing.write(chunk)) await new Promise(resolve => { outgoing.once('drain', resolve); outgoing.once('close', resolve) })
    }
    outgoing.end()
  } catch (error) {
    if (abort.signal.aborted) return
    if (outgoing.headersSent) { outgoing.destroy(); return }
    const { status } = error instanceof StatusError ? error : new StatusError(500, 'InternalError', (error as Error).message)
    outgoing.writeHead(status.code, { 'content-type': 'application/json' }).end(JSON.stringify(status) + '\n')
  }
}

// ---- upgrades (exec, attach)

async function upgrade(edge: Edge, incoming: IncomingMessage, { socket, head }: { socket: Duplex; head: Buffer }): Promise<void> {
  socket.on('error', () => {}) // the client has gone; its end closes the other side
  const response = await respond(edge, incoming)
  if (response.body.type === 'kubelet') return edge.kubelets.tunnel(response.body.target, { incoming, socket, head })
  const [text, type] = response.body.type === 'watch' ? ['', 'text/plain'] : textOf(response.body)
  socket.end(`HTTP/1.1 ${response.status} ${response.status === 403 ? 'Forbidden' : 'Error'}\r\nContent-Type: ${type}\r\nContent-Length: ${Buffer.byteLength(text)}\r\nConnection: close\r\n\r\n${text}`)
}
