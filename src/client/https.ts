// The Transport over HTTP(S): any API server. Connections are kept and reused; a watch holds one of
// its own until it ends or is aborted. It knows nothing of kinds.
import type { Agent as AnyAgent, ClientRequest, IncomingMessage } from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest, type AgentOptions } from 'node:https'
import { createSecureContext } from 'node:tls'
import { StatusError, type Status } from '#lib/errors.ts'
import { systemClock } from '#lib/clock.ts'
import { Agent as HttpAgent, request as httpRequest } from '#lib/http.ts'
import { deepFreeze } from './freeze.ts'
import { LineSplitter } from './lines.ts'
import type { ApiRequest, Transport, WatchEvent } from './transport.ts'

export interface HttpsOptions {
  /** `https://192.168.109.1:6443`, with an optional path prefix; `http://` for `kubectl proxy`. */
  readonly server: string
  readonly ca?: string | Buffer
  readonly cert?: string | Buffer
  readonly key?: string | Buffer
  /** A function is asked for each request, so that a rotated token is used from the next request on. */
  readonly token?: string | (() => Promise<string> | string)
  readonly insecureSkipTlsVerify?: boolean
  /** The name that the server's certificate must carry, when it is not the server's host. */
  readonly tlsServerName?: string
  /** The address to connect from. */
  readonly localAddress?: string
}

const maxBodyBytes = 512 << 20
const maxErrorBytes = 1 << 20
/** A request that has had no answer for this long has lost its server. Watches have none: they are silent for long. */
const idleTimeoutMs = 60_000
const maxRetries = 10

export function httpsTransport(options: HttpsOptions): Transport {
  const connection = new Connection(options)
  return {
    request: request => connection.request(request),
    watch: request => connection.watch(request),
    stream: request => connection.stream(request),
    close: () => connection.close(),
  }
}

class Connection {
  readonly #base: URL
  readonly #options: HttpsOptions
  readonly #agent: AnyAgent | HttpsAgent
  readonly #tls: Pick<AgentOptions, 'secureContext' | 'localAddress' | 'servername' | 'rejectUnauthorized'>

  constructor(options: HttpsOptions) {
    this.#options = options
    this.#base = new URL(options.server)
    const { ca, cert, key, localAddress, tlsServerName } = options
    // One context for all connections: reading the certificates again for each would cost 5 ms a time.
    const secureContext = this.#base.protocol === 'http:' ? undefined : createSecureContext({ ...(ca && { ca }), ...(cert && { cert }), ...(key && { key }) })
    this.#tls = { ...(secureContext && { secureContext }), ...(localAddress && { localAddress }),
      ...(tlsServerName && { servername: tlsServerName }), ...(options.insecureSkipTlsVerify && { rejectUnauthorized: false }) }
    // The keep-alive delay is TCP's: it finds a dead peer of a silent watch.
    const keep = { keepAlive: true, keepAliveMsecs: 15_000, maxFreeSockets: 16, scheduling: 'lifo' as const }
    this.#agent = this.#base.protocol === 'http:' ? new HttpAgent(keep) : new HttpsAgent({ ...keep, ...this.#tls })
  }

  close(): void { this.#agent.destroy() }

  async request(request: ApiRequest): Promise<unknown> {
    const response = await this.#open(request, idleTimeoutMs)
    const text = (await readAll(response, maxBodyBytes)).toString('utf8')
    if (text === '') return undefined
    return isJson(response) ? deepFreeze(parseJson(text, request)) : text
  }

  async *watch(request: ApiRequest): AsyncGenerator<WatchEvent> {
    const lines = new LineSplitter()
    for await (const chunk of this.stream(request)) {
      for (const line of lines.push(chunk)) yield deepFreeze(parseJson(line, request)) as WatchEvent
    }
    // What follows the last newline is an event cut off by the end of the stream: a resumed watch sends it again.
  }

  /** Leaving the loop, an abort and an error alike end in the response's destruction, and so in its socket's. */
  async *stream(request: ApiRequest): AsyncGenerator<Uint8Array> {
    let response: IncomingMessage | undefined
    try {
      response = await this.#open(request)
      for await (const chunk of response) yield chunk as Uint8Array
    } catch (error) {
      if (!request.signal?.aborted) throw error
    } finally {
      if (response && !response.readableEnded) response.destroy()
    }
  }

  /** The answer once its head is here, if it is a success; else throws. Does again what the server asks to do again later. */
  async #open(request: ApiRequest, timeout?: number): Promise<IncomingMessage> {
    const body = request.body === undefined ? undefined : Buffer.from(typeof request.body === 'string' ? request.body : JSON.stringify(request.body))
    for (let attempt = 0; ; attempt++) {
      const response = await this.#send(request, body, await this.#headers(request, body), timeout)
      const code = response.statusCode ?? 0
      if (code >= 200 && code < 300) return response
      const text = (await readAll(response, maxErrorBytes)).toString('utf8')
      const retryAfter = Number(response.headers['retry-after'])
      if ((code === 429 || code >= 500) && retryAfter >= 0 && attempt < maxRetries) { // client-go's withRetry
        await systemClock.sleep(retryAfter * 1000, request.signal)
        continue
      }
      throw statusError(code, text, request)
    }
  }

  async #send(request: ApiRequest, body: Buffer | undefined, headers: Record<string, string>, timeout?: number): Promise<IncomingMessage> {
    for (let attempt = 0; ; attempt++) {
      let sent: ClientRequest | undefined
      try {
        return await new Promise<IncomingMessage>((resolve, reject) => {
          const make = this.#base.protocol === 'http:' ? httpRequest : httpsRequest
          sent = make(this.#url(request), { ...this.#tls, method: request.method, headers, agent: this.#agent, signal: request.signal, timeout })
          sent.on('response', resolve).on('error', reject)
          sent.on('timeout', () => sent!.destroy(new Error(`no answer within ${idleTimeoutMs / 1000} s`)))
          sent.end(body)
        })
      } catch (error) {
        if (request.signal?.aborted) throw error
        // The server closed a kept connection just as this request went out on it: RFC 9112 9.3.1.
        const code = (error as NodeJS.ErrnoException).code
        if (sent?.reusedSocket && code === 'ECONNRESET' && request.method === 'GET' && attempt < 3) continue
        throw new Error(`cannot reach the API server at ${this.#base.origin}: ${(error as Error).message || code}`, { cause: error })
      }
    }
  }

  #url(request: ApiRequest): URL {
    const url = new URL(this.#base)
    url.pathname = this.#base.pathname.replace(/\/$/, '') + request.path
    for (const [key, value] of Object.entries(request.query ?? {})) if (value !== undefined) url.searchParams.set(key, value)
    return url
  }

  async #headers(request: ApiRequest, body: Buffer | undefined): Promise<Record<string, string>> {
    const { token } = this.#options
    const bearer = typeof token === 'function' ? await token() : token
    return { accept: 'application/json', 'user-agent': 'fairway',
      ...(bearer && { authorization: `Bearer ${bearer}` }),
      ...(body && { 'content-type': request.contentType ?? 'application/json', 'content-length': String(body.length) }) }
  }
}

const isJson = (response: IncomingMessage) => response.headers['content-type']?.includes('json') ?? false

function parseJson(text: string, request: ApiRequest): unknown {
  try { return JSON.parse(text) } catch (error) {
    throw new Error(`${request.method} ${request.path}: the answer is not JSON: ${(error as Error).message}`)
  }
}

async function readAll(response: IncomingMessage, limit: number): Promise<Buffer> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of response) {
    chunks.push(chunk as Buffer)
    length += (chunk as Buffer).length
    if (length > limit) { response.destroy(); throw new Error(`the answer is longer than ${limit} bytes`) }
  }
  return Buffer.concat(chunks)
}

/** client-go's NewGenericServerResponse: reasons of answers that carry no Status. */
const reasons: Record<number, string> = {
  400: 'BadRequest', 401: 'Unauthorized', 403: 'Forbidden', 404: 'NotFound', 405: 'MethodNotAllowed', 406: 'NotAcceptable',
  409: 'Conflict', 410: 'Gone', 413: 'RequestEntityTooLarge', 415: 'UnsupportedMediaType', 422: 'Invalid', 429: 'TooManyRequests',
  500: 'InternalError', 503: 'ServiceUnavailable', 504: 'Timeout',
}

function statusError(code: number, text: string, request: ApiRequest): StatusError {
  const status = parseStatus(text)
  if (status) return StatusError.from({ ...status, code: status.code || code })
  return new StatusError(code, reasons[code] ?? 'Unknown', text.trim().slice(0, 2048) || `${request.method} ${request.path}: status ${code}`)
}

function parseStatus(text: string): Status | undefined {
  if (!text.startsWith('{')) return undefined
  try {
    const value = JSON.parse(text) as Status
    return value.kind === 'Status' ? value : undefined
  } catch { return undefined }
}
