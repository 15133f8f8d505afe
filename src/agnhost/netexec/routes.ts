// What netexec's paths mean: a request in, an answer or an effect out. Pure; server.ts carries the
// effects out. Behaviour and texts follow upstream's test/images/agnhost/netexec.
import { parseDuration } from '../duration.ts'
import { canonicalHeader, error, goJson, text } from '../http.ts'
import type { Request, Response } from '../http.ts'

export interface Dial { readonly protocol: 'http' | 'udp'; readonly host: string; readonly port: string; readonly request: string; readonly tries: number }

/** What to do with a request; `log` is upstream's log line. */
export type Action = { readonly log: string } & (
  | { readonly kind: 'respond'; readonly response: Response }
  | { readonly kind: 'abort' }
  | { readonly kind: 'now' }
  | { readonly kind: 'dial'; readonly dial: Dial }
  | { readonly kind: 'shell'; readonly command: string }
  /** With `timeoutMs` 0 at once, else after the connections have ended or the time is over. */
  | { readonly kind: 'exit'; readonly code: number; readonly waitMs: number; readonly timeoutMs: number })

export interface State { readonly hostname: string; readonly ready: boolean; readonly terminating: boolean }

/** More would only keep this process busy; upstream has no bound. */
const maxTries = 10_000

type Route = (request: Request, state: State) => Action

const respond = (log: string, response: Response): Action => ({ kind: 'respond', log, response })
const value = (request: Request, name: string) => request.form.get(name) ?? ''
const quoted = (text: string) => JSON.stringify(text)
const integer = (text: string): number | undefined => /^[-+]?\d{1,15}$/.test(text) ? Number(text) : undefined

const routes: Record<string, Route> = {
  '/clientip': request => respond('GET /clientip', text(request.remote)),
  '/dial': dial,
  '/echo': echo,
  '/exit': exit,
  '/header': header,
  '/healthz': (_, state) => respond('GET /healthz', text('', state.ready ? 200 : 412)),
  '/readyz': (_, state) => respond('GET /readyz', state.terminating ? text('shutting down', 503) : state.ready ? text('ok') : text('', 412)),
  '/hostname': (_, state) => respond('GET /hostname', text(state.hostname)),
  '/hostName': (_, state) => respond('GET /hostName', text(state.hostname)),
  '/redirect': redirect,
  '/shell': request => {
    const command = value(request, 'shellCommand') || value(request, 'cmd')
    return { kind: 'shell', log: `GET /shell?cmd=${command}`, command }
  },
  '/shutdown': () => ({ kind: 'exit', log: 'GET /shutdown', code: 0, waitMs: 0, timeoutMs: 0 }),
  '/upload': () => respond('GET /upload', error("upload is not supported by Fairway's agnhost", 501)),
}

/** Any path that is not a route is `/`, as with Go's ServeMux. */
export function route(request: Request, state: State): Action {
  const found = Object.hasOwn(routes, request.path) ? routes[request.path]! : undefined
  return found ? found(request, state) : { kind: 'now', log: 'GET /' }
}

/** The request that `--http-override` puts in the place of every other. */
export function overridden(request: Request, override: string): Request {
  const [path, query = ''] = override.split(/\?(.*)/s)
  return { ...request, method: 'GET', path: path!, url: override, form: new URLSearchParams(query), headers: {} }
}

function echo(request: Request): Action {
  const message = value(request, 'msg'), codeText = value(request, 'code')
  const log = `GET /echo?msg=${message}&code=${codeText}`
  if (codeText === '') return respond(log, text(message))
  const code = integer(codeText)
  if (code === undefined) return respond(log, text(`argument 'code' must be an integer or empty, got ${quoted(codeText)}\n`))
  if (code < 100 || code > 999) return { kind: 'abort', log } // Go's WriteHeader panics, which ends the connection
  return respond(log, text(message, code < 200 ? 200 : code))
}

function header(request: Request): Action {
  const key = value(request, 'key')
  const of = (name: string): readonly string[] => {
    const found = request.headers[name.toLowerCase()]
    return found === undefined ? [] : typeof found === 'string' ? [found] : found
  }
  if (key !== '') return respond(`GET /header?key=${key}`, text(of(key)[0] ?? ''))
  // Go keeps Host apart from the headers.
  const names = Object.keys(request.headers).filter(name => name !== 'host').map(canonicalHeader).sort()
  return respond('GET /header', text(goJson(Object.fromEntries(names.map(name => [name, of(name)])))))
}

function redirect(request: Request): Action {
  const location = value(request, 'location'), codeText = value(request, 'code')
  const log = `${request.method} /redirect?msg=${location}&code=${codeText}`
  const code = codeText === '' ? 302 : integer(codeText)
  if (code === undefined) return respond(log, text(`argument 'code' must be an integer or empty, got ${quoted(codeText)}\n`))
  if (code < 200 || code > 999 || /[^\x20-\x7e]/.test(location)) return { kind: 'abort', log }
  // net/http.Redirect: a path is taken as it is, anything else is relative to this one.
  const absolute = location.startsWith('/') || /^[a-z][a-z0-9+.-]*:/i.test(location) ? location : `/${location}`
  const body = `<a href="${absolute.replace(/[&<>"']/g, char => `&#${char.charCodeAt(0)};`)}">${names[code] ?? ''}</a>.\n\n`
  return respond(log, { status: code, headers: { 'Location': absolute, 'Content-Type': 'text/html; charset=utf-8' }, body: request.method === 'GET' ? body : '' })
}
const names: Record<number, string> = { 301: 'Moved Permanently', 302: 'Found', 303: 'See Other', 307: 'Temporary Redirect', 308: 'Permanent Redirect' }

function exit(request: Request): Action {
  const [wait, timeout, code] = ['wait', 'timeout', 'code'].map(name => value(request, name)) as [string, string, string]
  const log = `GET /exit?code=${code}&timeout=${timeout}&wait=${wait}`
  const [waitMs, timeoutMs] = [wait, timeout].map(text => text === '' ? 0 : parseDuration(text))
  const status = code === '' ? 0 : integer(code)
  const problem = timeoutMs === undefined ? `argument 'timeout' must be a valid golang duration or empty, got ${quoted(timeout)}`
    : waitMs === undefined ? `argument 'wait' must be a valid golang duration or empty, got ${quoted(wait)}`
    : status === undefined ? `argument 'code' must be an integer [0-127] or empty, got ${quoted(code)}` : undefined
  return problem === undefined
    ? { kind: 'exit', log, code: status! & 255, waitMs: Math.max(0, waitMs!), timeoutMs: Math.max(0, timeoutMs!) } : respond(log, text(`${problem}\n`))
}

function dial(request: Request): Action {
  // Upstream looks at the query alone here, not at a form.
  const query = new URLSearchParams(request.url.split(/\?(.*)/s)[1] ?? '')
  const [host, port, what, protocol, triesText] = ['host', 'port', 'request', 'protocol', 'tries'].map(name => query.get(name) ?? '') as [string, string, string, string, string]
  const log = `GET /dial?host=${host}&protocol=${protocol}&port=${port}&request=${what}&tries=${triesText}`
  const tries = triesText === '' ? 1 : integer(triesText)
  if (tries === undefined || tries > maxTries) {
    return respond(log, error(`tries parameter is invalid. strconv.Atoi: parsing ${quoted(triesText)}: ${tries === undefined ? 'invalid syntax' : `at most ${maxTries}`}`, 400))
  }
  if (what === '') return respond(log, error('request parameter not specified. <nil>', 400))
  const name = protocol.toLowerCase() || 'http'
  if (name === 'sctp') return respond(log, error("unsupported protocol. sctp: Fairway's agnhost has no SCTP", 400))
  if (name !== 'http' && name !== 'udp') return respond(log, error(`unsupported protocol. ${protocol}`, 400))
  return { kind: 'dial', log, dial: { protocol: name, host, port, request: what, tries } }
}

/** Upstream leaves `responses` out when the last try brought nothing. */
export function dialAnswer(results: readonly ({ readonly response: string } | { readonly error: string })[]): Response {
  const responses = results.flatMap(result => 'response' in result ? [result.response] : [])
  const errors = results.flatMap(result => 'error' in result ? [result.error] : [])
  const last = results.at(-1)
  return text(goJson({ ...errors.length > 0 && { errors }, ...last && 'response' in last && last.response !== '' && { responses } }))
}

/** Go's `time.Now()` printed with %v. */
export function goTime(milliseconds: number, sinceStartMs: number): string {
  const [day, time] = new Date(milliseconds).toISOString().split('T') as [string, string]
  const fraction = time.slice(8, 12).replace(/\.?0+$/, '')
  return `${day} ${time.slice(0, 8)}${fraction} +0000 UTC m=+${(sinceStartMs / 1000).toFixed(9)}`
}

/** The UDP server's three commands; `undefined` is silence. Commands are read without case, as upstream does, so an echo is lower case. */
export function udpReply(data: string, client: string, hostname: string): { readonly log: string; readonly reply?: string } {
  const received = data.trim().toLowerCase()
  if (received === 'hostname') return { log: 'Sending udp hostName response', reply: hostname }
  if (received.startsWith('echo ')) return { log: `Echoing ${received.slice(5)} to UDP client ${client}`, reply: received.slice(5) }
  if (received === 'clientip') return { log: `Sending clientip back to UDP client ${client}`, reply: client }
  return { log: received === '' ? '' : `Unknown UDP command received from ${client}: ${received}` }
}
