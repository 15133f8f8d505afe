// Pulls images: the client side of the OCI distribution API. It asks through a function that it is
// given, because the agent's own network has no way out.
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { request as httpsRequest } from 'node:https'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { request as httpRequest } from '#lib/http.ts'
import type { RegistryAuth } from '../../runtime/cri.ts'
import { FormatError, isDigest, manifestTypes, maxDocument, parseDocument, pickPlatform } from '../formats.ts'
import type { Descriptor } from '../formats.ts'
import { canonical, familiar } from '../reference.ts'
import type { Reference } from '../reference.ts'
import { imagePullError, isImagePullError } from '../store.ts'
import { removeTree, scratch, unpackImage } from '../unpack/apply.ts'
import type { StoredImage } from '../unpack/apply.ts'
import { UnpackError } from '../unpack/tree.ts'
import { basic, isAnonymous, parseChallenges, tokenRequest } from './challenge.ts'
import { helperAnswer, storedFor } from './docker-config.ts'
import type { FetchResponse, RegistryFetch } from './fetch.ts'
import { baseUrl, blobUrl, manifestUrl, redirect } from './url.ts'

export interface PullOptions {
  readonly fetch: RegistryFetch
  /** Images are unpacked below it. */
  readonly directory: string
  /** Go's word: `amd64`. */
  readonly architecture: string
  /** First wait before a failed request is repeated; doubles each time. */
  readonly retryMs?: number
}
export interface Pulled { readonly image: StoredImage; /** Of the manifest that the reference named. */ readonly digest: string }

const tries = 5
const parallel = 3
const maxLayer = 32 * 2 ** 30
const answerTimeoutMs = 30_000, idleTimeoutMs = 60_000

/** Tries the credentials in order and anonymously last. Throws ImagePullError in containerd's words. */
export async function pull(reference: Reference, auths: readonly RegistryAuth[], options: PullOptions): Promise<Pulled> {
  const name = canonical(reference)
  let refused: unknown
  for (const auth of [...auths.filter(auth => !isAnonymous(auth)), {}]) {
    const session = new Session(reference, auth, options)
    try {
      return await pullWith(session, reference, options)
    } catch (error) {
      if (!(error instanceof Refused)) throw pullError(error, reference)
      refused = error
    }
  }
  throw imagePullError('ErrImagePull', `rpc error: code = Unknown desc = failed to pull and unpack image "${name}": failed to resolve reference "${name}": ` +
    `pull access denied, repository does not exist or may require authorization: server message: ${(refused as Error).message}`)
}

/** The registry wants other credentials. */
class Refused extends Error {}
/** An answer that no repetition will change. */
class StatusFailure extends Error {
  readonly status: number
  constructor(status: number, message: string) { super(message); this.status = status }
}
/** No answer, or half of one. */
class Unreachable extends Error {}

function pullError(error: unknown, reference: Reference): unknown {
  if (isImagePullError(error)) return error
  const name = canonical(reference)
  const prefix = `failed to pull and unpack image "${name}"`
  if (error instanceof StatusFailure && error.status === 404) return imagePullError('ErrImagePull', `rpc error: code = NotFound desc = ${prefix}: failed to resolve reference "${name}": ${name}: not found`)
  if (error instanceof Unreachable) {
    return imagePullError('ErrImagePull', `rpc error: code = Unknown desc = ${prefix}: failed to resolve reference "${name}": failed to do request: ${error.message}. ` +
      `Where ${reference.registry} cannot be reached, load the image from a file: docker save ${familiar(reference)} -o image.tar, then fairway image load image.tar`)
  }
  if (error instanceof FormatError || error instanceof UnpackError) return imagePullError('ErrImagePull', `rpc error: code = FailedPrecondition desc = ${prefix}: ${error.message}`)
  if (error instanceof StatusFailure) return imagePullError('ErrImagePull', `rpc error: code = Unknown desc = ${prefix}: ${error.message}`)
  return error
}

async function pullWith(session: Session, reference: Reference, { directory, architecture }: PullOptions): Promise<Pulled> {
  const top = await session.manifest(reference.digest ?? reference.tag!)
  let manifest = parseDocument(top.text, canonical(reference))
  for (let depth = 0; manifest.kind === 'index'; depth++) {
    const chosen = pickPlatform(manifest.manifests, architecture)
    if (!chosen || depth > 4) throw new FormatError(`no match for platform in manifest: linux/${architecture}: not found`)
    manifest = parseDocument((await session.manifest(chosen.digest)).text, chosen.digest)
  }
  const configuration = await session.document(manifest.config)
  const spool = await scratch(directory)
  try {
    const unique = [...new Map(manifest.layers.map(layer => [layer.digest, layer])).values()]
    const queue = unique.values()
    const downloads = Array.from({ length: parallel }, async () => {
      for (const layer of queue) await session.blob(layer, join(spool, layer.digest.slice(7)))
    })
    await Promise.all(downloads).catch(async error => {
      session.abort()
      await Promise.allSettled(downloads) // nothing may write into the directory that is removed next
      throw error
    })
    const layers = manifest.layers.map(({ digest }) => ({ file: join(spool, digest.slice(7)) }))
    return { digest: top.digest, image: await unpackImage(directory, { id: manifest.config.digest, configuration, layers, architecture }) }
  } finally {
    await removeTree(spool)
  }
}

/** One registry, one credential, one token. */
class Session {
  private readonly reference: Reference
  private readonly auth: RegistryAuth
  private readonly options: PullOptions
  private authorization: string | undefined
  private readonly aborted = new AbortController()

  constructor(reference: Reference, auth: RegistryAuth, options: PullOptions) {
    this.reference = reference
    this.auth = auth
    this.options = options
  }

  /** Ends what is under way. */
  abort(): void { this.aborted.abort() }

  async manifest(name: string): Promise<{ text: string; digest: string }> {
    const url = manifestUrl(this.reference, name)
    return this.repeat(async () => {
      const response = await this.get(url, { Accept: manifestTypes.join(', ') })
      const text = await textOf(response, url)
      const digest = digestOf(text), promised = isDigest(name) ? name : response.headers['docker-content-digest']
      if (promised?.startsWith('sha256:') && promised !== digest) throw new FormatError(`manifest ${name} is damaged: its content is ${digest}, expected ${promised}`)
      return { text, digest }
    })
  }

  async document({ digest }: Descriptor): Promise<string> {
    const url = blobUrl(this.reference, digest)
    return this.repeat(async () => {
      const text = await textOf(await this.get(url, {}), url)
      if (digestOf(text) !== digest) throw new FormatError(`unexpected commit digest ${digestOf(text)}, expected ${digest}: failed precondition`)
      return text
    })
  }

  /** Into a new file; what came before a connection broke is kept and the rest asked for. */
  async blob({ digest, size }: Descriptor, file: string): Promise<void> {
    const url = blobUrl(this.reference, digest)
    const hash = createHash('sha256')
    let received = 0
    await this.repeat(async () => {
      const response = await this.get(url, received > 0 ? { Range: `bytes=${received}-` } : {})
      if (received > 0 && response.status !== 206) throw new StatusFailure(response.status, `${url}: the connection broke and the registry cannot resume`)
      const take = new Transform({ transform(chunk: Buffer, _, done) {
        received += chunk.length
        if (received > (size >= 0 ? size : maxLayer)) return done(new FormatError(`blob ${digest} is larger than the ${size} bytes that its manifest promises`))
        hash.update(chunk)
        done(undefined, chunk)
      } })
      await pipeline(response.body, take, createWriteStream(file, { flags: 'a', mode: 0o600 })).catch(error => { throw networkError(error, url) })
    })
    const found = `sha256:${hash.digest('hex')}`
    if (found !== digest) throw new FormatError(`unexpected commit digest ${found}, expected ${digest}: failed precondition`)
  }

  /** Repeats what failed on the way or inside the registry. */
  private async repeat<T>(attempt: () => Promise<T>): Promise<T> {
    for (let i = 1; ; i++) {
      try {
        return await attempt()
      } catch (error) {
        const passing = error instanceof Unreachable || (error instanceof StatusFailure && (error.status >= 500 || error.status === 429))
        // A name that does not exist, or a port where nothing listens, will be so in a second too.
        if (!passing || i === tries || this.aborted.signal.aborted || /no such host|connection refused|unreachable/.test((error as Error).message)) throw error
        await new Promise(resolve => setTimeout(resolve, (this.options.retryMs ?? 500) * 2 ** (i - 1)))
      }
    }
  }

  /** Authorised as the registry asks, redirected as it says; 200 or 206, everything else throws. */
  private async get(url: string, headers: Record<string, string>): Promise<FetchResponse> {
    let response = await this.follow(url, headers)
    if (response.status === 401 && await this.authorize(response)) response = await this.follow(url, headers)
    if (response.status === 200 || response.status === 206) return response
    const words = await errorWords(response)
    if (response.status === 401 || response.status === 403) throw new Refused(words)
    throw new StatusFailure(response.status, `unexpected status from GET request to ${url}: ${response.status} ${words}`)
  }

  private async follow(url: string, headers: Record<string, string>): Promise<FetchResponse> {
    let at = url, authorization = this.authorization
    for (let i = 0; i < 6; i++) {
      const response = await this.fetch(at, { ...headers, ...authorization !== undefined && { Authorization: authorization } })
      if (![301, 302, 303, 307, 308].includes(response.status)) return response
      response.body.destroy()
      const next = redirect(at, response.headers.location)
      if (!next) throw new FormatError(`${at} redirects to ${JSON.stringify(response.headers.location)}, which is not followed`)
      if (!next.sameHost) authorization = undefined
      at = next.url
    }
    throw new FormatError(`${url}: more than 5 redirects`)
  }

  private fetch(url: string, headers: Record<string, string>, more: { method?: 'GET' | 'POST'; body?: string } = {}): Promise<FetchResponse> {
    return this.options.fetch(url, { ...more, signal: this.aborted.signal, headers: { 'User-Agent': 'fairway', ...headers } }).catch(error => { throw networkError(error, url, more.method) })
  }

  /** Whether there is something new to try. */
  private async authorize(response: FetchResponse): Promise<boolean> {
    response.body.destroy()
    const challenges = parseChallenges(response.headers['www-authenticate'] ?? '')
    const bearer = challenges.find(({ scheme }) => scheme === 'bearer')
    if (bearer) {
      const token = await this.token(bearer)
      if (token === undefined || `Bearer ${token}` === this.authorization) return false
      this.authorization = `Bearer ${token}`
      return true
    }
    if (this.authorization !== undefined || !this.auth.username || !challenges.some(({ scheme }) => scheme === 'basic')) return false
    this.authorization = basic(this.auth)
    return true
  }

  private async token(challenge: Parameters<typeof tokenRequest>[0]): Promise<string | undefined> {
    const { repository, registry } = this.reference
    const ask = tokenRequest(challenge, { repository, auth: this.auth, registryUrl: baseUrl(registry) })
    if (!ask) return undefined
    const response = await this.fetch(ask.url, ask.headers, { method: ask.method, ...ask.body !== undefined && { body: ask.body } })
    if (response.status >= 500) throw new StatusFailure(response.status, `${ask.url.split('?')[0]}: ${response.status}`)
    if (response.status !== 200) throw new Refused(`failed to fetch ${isAnonymous(this.auth) ? 'anonymous token' : 'oauth token'}: unexpected status: ${response.status}`)
    const answer = JSON.parse(await textOf(response, ask.url)) as { token?: unknown; access_token?: unknown }
    const token = answer.token ?? answer.access_token
    return typeof token === 'string' && /^[\x21-\x7e]+$/.test(token) ? token : undefined
  }
}

const digestOf = (text: string) => `sha256:${createHash('sha256').update(text).digest('hex')}`

async function textOf({ body }: FetchResponse, url: string): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  try {
    for await (const chunk of body as AsyncIterable<Buffer>) {
      size += chunk.length
      if (size > maxDocument) throw new FormatError(`${url} is larger than ${maxDocument} bytes`)
      chunks.push(chunk)
    }
  } catch (error) {
    throw networkError(error, url)
  }
  return Buffer.concat(chunks).toString()
}

/** The registry's own words: `{"errors":[{"code":"DENIED","message":"..."}]}`. */
async function errorWords(response: FetchResponse): Promise<string> {
  const text = await textOf(response, '').catch(() => '')
  try {
    const [error] = (JSON.parse(text) as { errors: { code?: string; message?: string }[] }).errors
    return `${String(error!.code).toLowerCase()}: ${error!.message ?? ''}`.slice(0, 500)
  } catch {
    return response.status === 401 || response.status === 403 ? 'insufficient_scope: authorization failed' : ''
  }
}

function networkError(error: unknown, url: string, method = 'GET'): unknown {
  if (!(error instanceof Error) || error instanceof FormatError) return error
  const code = (error as NodeJS.ErrnoException).code ?? ''
  const { host, hostname } = URL.canParse(url) ? new URL(url) : { host: url, hostname: url }
  const words = ['ENOTFOUND', 'EAI_AGAIN'].includes(code) ? `dial tcp: lookup ${hostname}: no such host` : code === 'ECONNREFUSED' ? `dial tcp ${host}: connect: connection refused`
    : ['ENETUNREACH', 'EHOSTUNREACH'].includes(code) ? `dial tcp ${host}: connect: network is unreachable` : error.message
  return new Unreachable(`${method} ${JSON.stringify(url.split('?')[0])}: ${words}`)
}

/** Straight from this process's own network. */
export const directFetch: RegistryFetch = (url, { method = 'GET', headers, body, signal }) => new Promise((resolve, reject) => {
  const start = url.startsWith('https:') ? httpsRequest : httpRequest
  const request = start(url, { method, headers: { ...headers, ...body !== undefined && { 'Content-Length': String(Buffer.byteLength(body)) } }, signal }, response => {
    clearTimeout(timer)
    response.setTimeout(idleTimeoutMs, () => response.destroy(new Error('the registry sent nothing for a minute')))
    resolve({ status: response.statusCode!, body: response, headers: Object.fromEntries(Object.entries(response.headers).map(([name, value]) => [name, Array.isArray(value) ? value.join(', ') : value])) })
  })
  const timer = setTimeout(() => request.destroy(new Error('i/o timeout')), answerTimeoutMs)
  request.on('error', error => { clearTimeout(timer); reject(error) })
  request.end(body)
})

/** What `docker login` left on this machine for a registry; empty where there is none. */
export async function hostCredentials(registry: string, configDirectory = process.env.DOCKER_CONFIG ?? join(homedir(), '.docker')): Promise<RegistryAuth[]> {
  const json = await readFile(join(configDirectory, 'config.json'), 'utf8').catch(() => '')
  const found = await Promise.all(storedFor(json, registry).map(stored => stored.kind === 'auth' ? stored.auth : askHelper(stored.program, stored.server)))
  return found.filter(auth => auth !== undefined)
}

function askHelper(program: string, server: string): Promise<RegistryAuth | undefined> {
  return new Promise(resolve => {
    const child = spawn(program, ['get'], { stdio: ['pipe', 'pipe', 'ignore'], timeout: 10_000 })
    let output = ''
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => { if (output.length < 65_536) output += chunk })
    child.on('error', () => resolve(undefined)) // not installed: docker goes on too
    child.on('close', code => resolve(code === 0 ? helperAnswer(output) : undefined))
    child.stdin.on('error', () => {})
    child.stdin.end(server)
  })
}
