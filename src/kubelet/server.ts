// The kubelet's own HTTPS server on <node>:10250: logs, exec and attach for the API server, and a few
// read-only views. Only the API server's client certificate, or one of group system:masters, gets in.
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { pipeline } from 'node:stream/promises'
import type { Duplex } from 'node:stream'
import type { TLSSocket } from 'node:tls'
import { WebSocketServer } from 'ws'
import type { ContainerStatus, Pod } from '#api/core/v1.ts'
import { inNetns } from '#host/netns.ts'
import { StatusError } from '#lib/errors.ts'
import type { Log } from '#lib/log.ts'
import type { Kubelet } from './apply.ts'
import { podLogFolder } from './containers/config.ts'
import { readLog } from './logs/apply.ts'
import { logOptions } from './logs/lines.ts'
import type { Container, ExecSession, Runtime } from './runtime/cri.ts'
import { carry } from './streams/apply.ts'
import { chooseProtocol } from './streams/channels.ts'
import { metricsText, statsSummary } from './stats.ts'

export interface KubeletServerOptions {
  readonly kubelet: Kubelet
  readonly runtime: Runtime
  readonly tls: { readonly ca: string | Buffer; readonly cert: string | Buffer; readonly key: string | Buffer }
  /** The node's network; absent: this process's own. */
  readonly netns?: string
  /** Absent in a network namespace of its own: every address there. */
  readonly host?: string
  readonly port: number
  readonly log: Log
}
export interface KubeletServer { readonly port: number; close(): Promise<void> }

export async function startKubeletServer(options: KubeletServerOptions): Promise<KubeletServer> {
  const { ca, cert, key } = options.tls
  const server = createServer({ ca, cert, key, requestCert: true, rejectUnauthorized: false, minVersion: 'TLSv1.2', ALPNProtocols: ['http/1.1'] })
  const endpoint = new Endpoint(options)
  server.on('request', (request, response) => { void endpoint.serve(request, response) })
  server.on('upgrade', (request, socket, head) => endpoint.upgrade(request, socket, head))
  server.requestTimeout = 0 // a followed log has no end
  const listening = new Promise<void>((resolve, reject) => { server.once('listening', resolve); server.once('error', reject) })
  // Without a host the socket is made at once, inside the namespace (#host/netns.ts).
  inNetns(options.netns, () => options.host ? server.listen(options.port, options.host) : server.listen(options.port))
  await listening
  return { port: (server.address() as AddressInfo).port, close: () => close(server, endpoint) }
}

async function close(server: Server, endpoint: Endpoint): Promise<void> {
  endpoint.end()
  server.closeAllConnections()
  await new Promise(resolve => server.close(resolve))
}

class Endpoint {
  readonly #options: KubeletServerOptions
  readonly #sockets = new WebSocketServer({ noServer: true, handleProtocols: offered => chooseProtocol(offered) ?? false, maxPayload: 16 << 20, perMessageDeflate: false })
  readonly #changed = new Set<() => void>()

  constructor(options: KubeletServerOptions) {
    this.#options = options
    options.runtime.onEvent(() => { for (const listener of this.#changed) listener() })
  }

  end(): void { for (const socket of this.#sockets.clients) socket.terminate() }

  async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      authorize(request)
      const url = new URL(request.url ?? '/', 'https://kubelet')
      const [, root, ...rest] = url.pathname.split('/').map(decodeURIComponent)
      if (root === 'exec' || root === 'attach') throw new StatusError(400, 'BadRequest', upgradeHint)
      if (request.method !== 'GET') throw new StatusError(405, 'MethodNotAllowed', `${request.method} is not supported on ${url.pathname}`)
      if (root === 'containerLogs' && rest.length === 3) await this.#logs(rest as [string, string, string], url.searchParams, response)
      else this.#view(url.pathname, response)
    } catch (error) { refuse(response, error) }
  }

  #view(path: string, response: ServerResponse): void {
    const { kubelet, runtime } = this.#options
    const json = (value: unknown) => response.setHeader('content-type', 'application/json').end(JSON.stringify(value))
    if (path === '/healthz' || path === '/healthz/ping') response.setHeader('content-type', 'text/plain; charset=utf-8').end('ok')
    else if (path === '/pods' || path === '/runningpods/') json({ kind: 'PodList', apiVersion: 'v1', metadata: {}, items: kubelet.pods() })
    else if (path === '/stats/summary') json(statsSummary(kubelet.name, kubelet.pods(), runtime.listContainers(), runtime.listPodSandboxes()))
    else if (path === '/metrics') response.setHeader('content-type', 'text/plain; version=0.0.4; charset=utf-8').end(metricsText(kubelet.name, runtime.listContainers(), runtime.listPodSandboxes()))
    else throw new StatusError(404, 'NotFound', '404 page not found')
  }

  async #logs([namespace, podName, name]: [string, string, string], query: URLSearchParams, response: ServerResponse): Promise<void> {
    const options = logOptions(query, Date.now())
    const pod = this.#pod(namespace, podName)
    const attempt = logAttempt(pod, this.#options.kubelet.status(pod), name, options.previous)
    const abort = new AbortController()
    response.on('close', () => abort.abort())
    const source = {
      path: `${podLogFolder(`${this.#options.kubelet.root}/log/pods`, pod)}/${name}/${attempt}.log`, signal: abort.signal,
      ended: () => !this.#containers(pod).some(container => container.name === name && container.attempt === attempt && container.state !== 'exited'),
      onEnd: (listener: () => void) => { this.#changed.add(listener); return () => this.#changed.delete(listener) },
    }
    response.setHeader('content-type', 'text/plain')
    response.flushHeaders()
    try { await pipeline(readLog(source, options), response) } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code === 'ENOENT') response.end() // nothing was written, or the log has been rotated away
      else if (code !== 'ERR_STREAM_PREMATURE_CLOSE' && code !== 'ABORT_ERR') this.#options.log.error('log not read', error, { pod: podName, container: name })
    }
  }

  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    try {
      authorize(request)
      const url = new URL(request.url ?? '/', 'https://kubelet')
      const [, verb, namespace, podName, name, ...more] = url.pathname.split('/').map(decodeURIComponent)
      if ((verb !== 'exec' && verb !== 'attach') || !namespace || !podName || !name || more.length) throw new StatusError(404, 'NotFound', '404 page not found')
      if (request.headers.upgrade?.toLowerCase() !== 'websocket') throw new StatusError(400, 'BadRequest', upgradeHint)
      const offered = new Set((request.headers['sec-websocket-protocol'] ?? '').split(',').map(item => item.trim()))
      const protocol = chooseProtocol(offered)
      if (!protocol) throw new StatusError(400, 'BadRequest', `none of the offered subprotocols (${[...offered].join(', ')}) is supported: use v5.channel.k8s.io or v4.channel.k8s.io`)
      const container = this.#running(this.#pod(namespace, podName), name)
      const begin = this.#session(verb, container, url.searchParams)
      const on = (parameter: string) => url.searchParams.get(parameter) === '1' || url.searchParams.get(parameter) === 'true'
      this.#sockets.handleUpgrade(request, socket, head, client => {
        void carry(client, begin, { protocol, output: on('output'), error: on('error'), left: session => leave(verb, session) })
      })
    } catch (error) { refuseUpgrade(socket, error) }
  }

  #session(verb: 'exec' | 'attach', container: Container, query: URLSearchParams): () => Promise<ExecSession> {
    const on = (name: string) => query.get(name) === '1' || query.get(name) === 'true'
    const { runtime } = this.#options
    if (verb === 'attach') return () => runtime.attach(container.id, { stdin: on('input') })
    const command = query.getAll('command')
    if (command.length === 0) throw new StatusError(400, 'BadRequest', 'you must specify at least one command for the container')
    return () => runtime.exec(container.id, { command, tty: on('tty'), stdin: on('input') })
  }

  #pod(namespace: string, name: string): Pod {
    const pod = this.#options.kubelet.pod(namespace, name)
    if (!pod) throw new StatusError(404, 'NotFound', `pod "${name}" does not exist`)
    return pod
  }

  #containers({ metadata }: Pod): Container[] {
    const { runtime } = this.#options
    const own = new Set(runtime.listPodSandboxes().filter(({ config }) => config.uid === metadata.uid).map(({ id }) => id))
    return runtime.listContainers().filter(({ sandboxId }) => own.has(sandboxId))
  }

  #running(pod: Pod, name: string): Container {
    const container = this.#containers(pod).findLast(container => container.name === name && container.state === 'running')
    if (!container) throw new StatusError(500, 'InternalError', `container not found ("${name}")`)
    return container
  }
}

const upgradeHint = 'exec and attach are served over WebSocket (v5.channel.k8s.io, v4.channel.k8s.io) only; SPDY is not supported: use kubectl 1.31 or later, or set KUBECTL_REMOTE_COMMAND_WEBSOCKETS=true'

/** Upstream's validateContainerLogStatus: which attempt's log to read. Throws StatusError 400 when there is none. */
function logAttempt(pod: Pod, status: readonly ContainerStatus[], name: string, previous: boolean): number {
  const own = status.find(container => container.name === name)
  const podName = pod.metadata.name
  if (!own) throw new StatusError(400, 'BadRequest', `container "${name}" in pod "${podName}" is not available`)
  const { waiting, running, terminated } = own.state ?? {}
  const before = own.lastState?.terminated
  if (previous) {
    if (!before?.containerID) throw new StatusError(400, 'BadRequest', `previous terminated container "${name}" in pod "${podName}" not found`)
    return waiting ? own.restartCount : own.restartCount - 1
  }
  if (running || terminated || before) return own.restartCount
  const reason = waiting?.reason ?? 'Unknown'
  if (reason === 'ErrImagePull' || reason === 'ImagePullBackOff')
    throw new StatusError(400, 'BadRequest', `container "${name}" in pod "${podName}" is waiting to start: ${reason === 'ErrImagePull' ? 'image can\'t be pulled' : 'trying and failing to pull image'}`)
  throw new StatusError(400, 'BadRequest', `container "${name}" in pod "${podName}" is waiting to start: ${reason}`)
}

/** A client that left ends what it executed; what it was attached to goes on. */
function leave(verb: 'exec' | 'attach', session: ExecSession): void {
  if (verb === 'exec') session.kill()
  session.stdout.destroy()
  session.stderr?.destroy()
}

function authorize(request: IncomingMessage): void {
  const socket = request.socket as TLSSocket
  if (!socket.authorized) throw new StatusError(401, 'Unauthorized', 'Unauthorized: show a client certificate of the cluster')
  const { CN, O } = socket.getPeerCertificate().subject as { CN?: string; O?: string | string[] }
  const groups = Array.isArray(O) ? O : [O]
  if (CN !== 'kube-apiserver-kubelet-client' && !groups.includes('system:masters'))
    throw new StatusError(403, 'Forbidden', `Forbidden (user=${CN}, verb=${request.method?.toLowerCase()}, resource=nodes, subresource=proxy)`)
}

const answerOf = (error: unknown) => error instanceof StatusError ? { code: error.status.code, text: error.message } : { code: 500, text: (error as Error).message }

function refuse(response: ServerResponse, error: unknown): void {
  const { code, text } = answerOf(error)
  if (response.headersSent) response.destroy()
  else response.writeHead(code, { 'content-type': 'text/plain; charset=utf-8' }).end(`${text}\n`)
}

function refuseUpgrade(socket: Duplex, error: unknown): void {
  const { code, text } = answerOf(error)
  socket.end(`HTTP/1.1 ${code} Refused\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: ${Buffer.byteLength(text) + 1}\r\nConnection: close\r\n\r\n${text}\n`)
}
