// One attempt of a probe or of a lifecycle hook: exec, httpGet, tcpSocket, grpc. All connections go
// through the runtime's dial, inside the pod's network. What the outcome means is in machine.ts.
import { connect as http2Connect } from 'node:http2'
import type { Socket } from 'node:net'
import { connect as tlsConnect } from 'node:tls'
import type { Container, ExecAction, GRPCAction, HTTPGetAction, ProbeHandler, TCPSocketAction } from '#api/core/v1.ts'
import { request as httpRequest } from '#lib/http.ts'
import type { Runtime } from '../runtime/cri.ts'
import type { Outcome } from './prober.ts'

export interface Target {
  readonly runtime: Pick<Runtime, 'dial' | 'execSync'>
  readonly sandboxId: string
  readonly containerId: string
  readonly podIp: string
  readonly container: Container
}

/** Rejects only where upstream says `unknown` rather than failed; the caller counts both as failures. */
export async function attemptProbe(probe: ProbeHandler, target: Target, timeoutMs: number): Promise<Outcome> {
  if (probe.exec) return execProbe(probe.exec, target, timeoutMs)
  if (probe.httpGet) return httpProbe(probe.httpGet, target, timeoutMs)
  if (probe.tcpSocket) return tcpProbe(probe.tcpSocket, target, timeoutMs)
  if (probe.grpc) return grpcProbe(probe.grpc, target, timeoutMs)
  throw new Error(`missing probe handler for ${target.container.name}`)
}

async function execProbe({ command = [] }: ExecAction, target: Target, timeoutMs: number): Promise<Outcome> {
  try {
    const { exitCode, output } = await target.runtime.execSync(target.containerId, command, timeoutMs)
    return { success: exitCode === 0, output }
  } catch (error) { return { success: false, output: (error as Error).message } }
}

/** A port by number or by the name that the container gives it. */
export function portOf(port: number | string, container: Container): number {
  const number = typeof port === 'number' ? port : container.ports?.find(({ name }) => name === port)?.containerPort ?? Number(port)
  if (!(number > 0 && number < 65536)) throw new Error(`invalid port number: ${port}`)
  return number
}

async function tcpProbe({ host, port }: TCPSocketAction, target: Target, timeoutMs: number): Promise<Outcome> {
  const address = host || target.podIp, number = portOf(port, target.container)
  try {
    const socket = await within(timeoutMs, target.runtime.dial(target.sandboxId, address, number), `dial tcp ${address}:${number}: i/o timeout`, late => late.destroy())
    socket.destroy()
    return { success: true, output: '' }
  } catch (error) { return { success: false, output: goError(error as Error, `${address}:${number}`) } }
}

/** Connection failures in the words of Go's net package, which people know from upstream's events. */
function goError(error: NodeJS.ErrnoException, where: string): string {
  const words: Record<string, string> = { ECONNREFUSED: 'connect: connection refused', ETIMEDOUT: 'connect: connection timed out', EHOSTUNREACH: 'connect: no route to host', ENETUNREACH: 'connect: network is unreachable' }
  if (error.code === 'ECONNRESET') return `read tcp ${where}: read: connection reset by peer`
  const known = error.code && words[error.code]
  return known ? `dial tcp ${where}: ${known}` : error.message
}

async function httpProbe(action: HTTPGetAction, target: Target, timeoutMs: number): Promise<Outcome> {
  try {
    const { status } = await httpGet(action, target, timeoutMs)
    return status >= 200 && status < 400 ? { success: true, output: '' } : { success: false, output: `HTTP probe failed with statuscode: ${status}` }
  } catch (error) { return { success: false, output: (error as Error).message } }
}

const maxBody = 10 << 10

/** Also the httpGet of lifecycle hooks. Certificates are not verified, redirects not followed (they count as success). */
export async function httpGet(action: HTTPGetAction, target: Target, timeoutMs: number): Promise<{ status: number; body: string }> {
  const host = action.host || target.podIp, port = portOf(action.port, target.container)
  const secure = action.scheme === 'HTTPS'
  const path = action.path?.startsWith('/') ? action.path : `/${action.path ?? ''}`
  const url = `${secure ? 'https' : 'http'}://${host.includes(':') ? `[${host}]` : host}:${port}${path}`
  const late = `Get "${url}": context deadline exceeded (Client.Timeout exceeded while awaiting headers)`
  let plain: Socket | undefined
  try {
    return await within(timeoutMs, (async () => {
      plain = await target.runtime.dial(target.sandboxId, host, port)
      const socket = secure ? tlsConnect({ socket: plain, rejectUnauthorized: false, ...(action.host && !/^[\d.:]+$/.test(host) && { servername: host }) }) : plain
      return await exchange(socket, path, headersOf(action, host, port))
    })(), late)
  } catch (error) {
    const message = goError(error as Error, `${host}:${port}`)
    throw new Error(message === late ? message : `Get "${url}": ${message}`)
  } finally { plain?.destroy() }
}

function headersOf(action: HTTPGetAction, host: string, port: number): Record<string, string | string[]> {
  const headers: Record<string, string | string[]> = { Host: `${host}:${port}`, 'User-Agent': 'kube-probe/1.36', Accept: '*/*', Connection: 'close' }
  for (const { name, value } of action.httpHeaders ?? []) {
    const known = Object.keys(headers).find(key => key.toLowerCase() === name.toLowerCase())
    if (known) headers[known] = value
    else headers[name] = value
  }
  return headers
}

const exchange = (socket: Socket, path: string, headers: Record<string, string | string[]>) => new Promise<{ status: number; body: string }>((resolve, reject) => {
  const request = httpRequest({ createConnection: () => socket, path, headers, method: 'GET' })
  request.on('error', reject)
  request.on('response', response => {
    const chunks: Buffer[] = []
    let length = 0
    const done = () => resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString('utf8') })
    response.on('data', (chunk: Buffer) => { chunks.push(chunk); length += chunk.length; if (length > maxBody) { done(); socket.destroy() } })
    response.on('end', done)
    response.on('error', reject)
  })
  request.end()
})

/** grpc.health.v1.Health/Check by hand: one unary call, one length-prefixed message each way. */
async function grpcProbe({ port, service }: GRPCAction, target: Target, timeoutMs: number): Promise<Outcome> {
  let socket: Socket | undefined
  const where = `${target.podIp}:${port}`
  try {
    const status = await within(timeoutMs, (async () => {
      socket = await target.runtime.dial(target.sandboxId, target.podIp, port)
      return await healthCheck(socket, where, service ?? '')
    })(), `timeout: failed to connect service "${where}" within ${timeoutMs / 1000}s: context deadline exceeded`)
    const names = ['UNKNOWN', 'SERVING', 'NOT_SERVING', 'SERVICE_UNKNOWN']
    return { success: status === 1, output: `service unhealthy (responded with "${names[status] ?? status}")` }
  } catch (error) { return { success: false, output: `error: ${(error as Error).message}` } } finally { socket?.destroy() }
}

function healthCheck(socket: Socket, authority: string, service: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const session = http2Connect(`http://${authority}`, { createConnection: () => socket })
    session.on('error', reject)
    const stream = session.request({ ':method': 'POST', ':path': '/grpc.health.v1.Health/Check', 'content-type': 'application/grpc', te: 'trailers' })
    const chunks: Buffer[] = []
    let status = '', message = ''
    const note = (headers: Record<string, unknown>) => { status = String(headers['grpc-status'] ?? status); message = String(headers['grpc-message'] ?? message) }
    stream.on('response', note).on('trailers', note).on('data', (chunk: Buffer) => { chunks.push(chunk) }).on('error', reject)
    stream.on('end', () => {
      session.close()
      if (status !== '' && status !== '0') reject(new Error(`health rpc failed: rpc error: code = ${status} desc = ${message}`))
      else resolve(servingStatus(Buffer.concat(chunks)))
    })
    stream.end(healthRequest(service))
  })
}

/** HealthCheckRequest { string service = 1 } behind gRPC's five bytes (not compressed, length). */
function healthRequest(service: string): Buffer {
  const name = Buffer.from(service)
  const length = name.length < 128 ? [name.length] : [name.length & 127 | 128, name.length >> 7] // a varint; names are below 16 KiB
  const message = name.length ? Buffer.concat([Buffer.from([0x0a, ...length]), name]) : Buffer.alloc(0)
  const head = Buffer.alloc(5)
  head.writeUInt32BE(message.length, 1)
  return Buffer.concat([head, message])
}

/** HealthCheckResponse { ServingStatus status = 1 }; an absent field is 0, UNKNOWN. */
const servingStatus = (answer: Buffer): number => answer.length >= 7 && answer[5] === 0x08 ? answer[6]! : 0

/** Rejects with `message` after `ms`; what comes later is handed to `discard`. */
async function within<T>(ms: number, work: Promise<T>, message: string, discard?: (late: T) => void): Promise<T> {
  let timer: NodeJS.Timeout | undefined, expired = false
  work.then(value => { if (expired) discard?.(value) }, () => {})
  try {
    return await Promise.race([work, new Promise<never>((_, reject) => { timer = setTimeout(() => { expired = true; reject(new Error(message)) }, ms) })])
  } finally { clearTimeout(timer) }
}
