// Connections to kubelets: logs fetched, exec and attach tunnelled byte for byte. The server shows its
// client certificate and trusts only a kubelet whose certificate bears the node's name.
import type { IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import type { Duplex } from 'node:stream'
import { connect, type TLSSocket } from 'node:tls'
import { StatusError } from '#lib/errors.ts'
import type { Pki } from '../config.ts'
import type { KubeletTarget } from '../http/request.ts'

export interface KubeletClient {
  /** The bytes of a GET, as they arrive; throws StatusError when the kubelet refuses. */
  get(target: KubeletTarget, signal: AbortSignal | undefined): AsyncIterable<Uint8Array>
  /** Sends an upgrade request on to the kubelet and joins both connections. */
  tunnel(target: KubeletTarget, client: { incoming: IncomingMessage; socket: Duplex; head: Buffer }): Promise<void>
}

const dialTimeout = 10_000

export function kubeletClient(pki: Pki | undefined): KubeletClient {
  const tls = (node: string) => {
    if (!pki) throw new StatusError(503, 'ServiceUnavailable', 'this API server has no certificates and cannot call kubelets')
    return { ca: pki.ca, cert: pki.apiserverKubeletClient.cert, key: pki.apiserverKubeletClient.key, servername: node }
  }
  return {
    async *get({ host, port, path, node }, signal) {
      const response = await new Promise<IncomingMessage>((resolve, reject) => {
        const sent = httpsRequest({ host, port, path, method: 'GET', agent: false, ...tls(node), ...(signal && { signal }) }, resolve)
        const late = setTimeout(() => sent.destroy(new Error('timed out')), dialTimeout)
        sent.once('error', error => { clearTimeout(late); reject(unreachable(host, port, path, error)) })
        sent.once('response', () => clearTimeout(late))
        sent.end()
      })
      if (response.statusCode !== 200) throw await refusal(response)
      yield* response as AsyncIterable<Buffer>
    },
    async tunnel(target, { incoming, socket, head }) {
      let kubelet: TLSSocket
      try {
        kubelet = await dial(target, tls(target.node))
      } catch (error) {
        const { status } = error as StatusError
        const text = JSON.stringify(status)
        socket.end(`HTTP/1.1 ${status.code} Error\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(text)}\r\nConnection: close\r\n\r\n${text}`)
        return
      }
      if (socket.destroyed) { kubelet.destroy(); return } // the client did not wait
      kubelet.write(upgradeRequest(incoming, target))
      if (head.length > 0) kubelet.write(head)
      join(socket, kubelet)
    },
  }
}

const unreachable = (host: string, port: number, path: string, error: Error): StatusError =>
  new StatusError(500, 'InternalError', `Internal error occurred: error dialing backend: Get "https://${host}:${port}${path.split('?')[0]}": ${error.message}`)

/** What the kubelet said, in a Status (upstream's log streamer keeps its code). */
async function refusal(response: IncomingMessage): Promise<StatusError> {
  let text = ''
  for await (const chunk of response as AsyncIterable<Buffer>) if (text.length < 10_000) text += chunk.toString()
  const code = response.statusCode ?? 500
  const reason = ({ 400: 'BadRequest', 401: 'Unauthorized', 403: 'Forbidden', 404: 'NotFound' } as Record<number, string>)[code] ?? 'InternalError'
  return new StatusError(code, reason, text.trim() || `the kubelet answered ${code}`)
}

function dial({ host, port, path }: KubeletTarget, tls: { ca: string; cert: string; key: string; servername: string }): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const options = { host, port, ...tls, allowHalfOpen: true, ALPNProtocols: ['http/1.1'] }
    const socket = connect(options)
    const fail = (error: Error) => { clearTimeout(late); socket.destroy(); reject(unreachable(host, port, path, error)) }
    const late = setTimeout(() => fail(new Error('timed out')), dialTimeout)
    socket.once('error', fail)
    socket.once('secureConnect', () => { clearTimeout(late); socket.off('error', fail); socket.setNoDelay(true); resolve(socket) })
  })
}

// The client's credentials are for the API server alone.
const kept = new Set(['upgrade', 'connection', 'origin', 'content-length', 'user-agent'])

function upgradeRequest({ method, rawHeaders }: IncomingMessage, { host, port, path }: KubeletTarget): string {
  const lines = [`${method} ${path} HTTP/1.1`, `Host: ${host}:${port}`]
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index]!.toLowerCase()
    if (kept.has(name) || name.startsWith('sec-websocket-') || name.startsWith('x-stream-protocol')) lines.push(`${rawHeaders[index]}: ${rawHeaders[index + 1]}`)
  }
  return `${lines.join('\r\n')}\r\n\r\n`
}

/** Both ways, each end of stream passed on by itself; an error on one side ends the other. */
function join(client: Duplex, kubelet: Duplex): void {
  client.pipe(kubelet)
  kubelet.pipe(client)
  client.once('error', () => kubelet.destroy())
  kubelet.once('error', () => client.destroy())
  client.once('close', () => kubelet.destroy())
  kubelet.once('close', () => client.destroy())
}
