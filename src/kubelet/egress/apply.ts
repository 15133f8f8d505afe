// How the agent, whose network has no way out, reaches image registries: through the HTTP CONNECT
// proxy that `fairway up` offers on a unix socket. TLS goes end to end through it. It pulls nothing itself.
import { connect as netConnect, type Socket } from 'node:net'
import { connect as tlsConnect } from 'node:tls'
import { request as httpRequest } from '#lib/http.ts'
import type { RegistryFetch } from '../images/registry/fetch.ts'

const answerTimeoutMs = 30_000, idleTimeoutMs = 60_000

export const egressFetch = (socketPath: string): RegistryFetch => async (url, { method = 'GET', headers, body, signal }) => {
  const target = new URL(url)
  const tunnel = await openTunnel(socketPath, target, signal)
  const socket = target.protocol === 'https:' ? await secure(tunnel, target.hostname) : tunnel
  return new Promise((resolve, reject) => {
    const length = body === undefined ? {} : { 'Content-Length': String(Buffer.byteLength(body)) }
    const request = httpRequest({ createConnection: () => socket, method, path: target.pathname + target.search, headers: { Host: target.host, ...headers, ...length, Connection: 'close' }, ...(signal && { signal }) }, response => {
      clearTimeout(timer)
      response.setTimeout(idleTimeoutMs, () => response.destroy(new Error('the registry sent nothing for a minute')))
      resolve({ status: response.statusCode!, body: response, headers: Object.fromEntries(Object.entries(response.headers).map(([name, value]) => [name, Array.isArray(value) ? value.join(', ') : value])) })
    })
    const timer = setTimeout(() => request.destroy(new Error('i/o timeout')), answerTimeoutMs)
    request.on('error', error => { clearTimeout(timer); socket.destroy(); reject(error) })
    request.end(body)
  })
}

const portOf = (target: URL) => target.port || (target.protocol === 'https:' ? '443' : '80')

/** A connection to the target's host and port; the proxy's refusal keeps the code that the resolver or the kernel gave (ENOTFOUND, ...). */
function openTunnel(socketPath: string, target: URL, signal: AbortSignal | undefined): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const request = httpRequest({ socketPath, method: 'CONNECT', path: `${target.hostname}:${portOf(target)}`, headers: { Host: target.host }, createConnection: () => netConnect(socketPath), ...(signal && { signal }) })
    const timer = setTimeout(() => request.destroy(new Error('i/o timeout')), answerTimeoutMs)
    request.on('connect', (response, socket, head) => {
      clearTimeout(timer)
      if (response.statusCode === 200) { if (head.length) socket.unshift(head); resolve(socket as Socket); return }
      socket.destroy()
      const message = response.statusMessage ?? `the proxy answered ${response.statusCode}`
      const code = /\b(E[A-Z_]{4,})\b/.exec(message)?.[1]
      reject(Object.assign(new Error(message), code && { code }))
    })
    request.on('error', error => { clearTimeout(timer); reject(error) })
    request.end()
  })
}

function secure(socket: Socket, host: string): Promise<Socket> {
  const name = host.replace(/^\[|\]$/g, '')
  return new Promise((resolve, reject) => {
    const encrypted = tlsConnect({ socket, host: name, ...(!/^[\d.]+$|:/.test(name) && { servername: name }) }, () => resolve(encrypted))
    encrypted.once('error', error => { socket.destroy(); reject(error) })
  })
}
