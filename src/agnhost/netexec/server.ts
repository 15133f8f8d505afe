// agnhost netexec: an HTTP server and a UDP server that do what a request tells them to: answer with
// a name, dial another server, run a command, exit. The meaning of requests is in routes.ts.
import { spawn } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { lookup } from 'node:dns/promises'
import { readFile } from 'node:fs/promises'
import { get } from '#lib/http.ts'
import { hostname } from 'node:os'
import { UserError } from '#lib/errors.ts'
import { parseIp } from '#net/ip.ts'
import { int, parseFlags, string } from '../flags.ts'
import { error, goJson, hostPort, text } from '../http.ts'
import type { Request, Response } from '../http.ts'
import { listenHttp, listenUdp, log, untilSignal } from '../server.ts'
import type { Listening } from '../server.ts'
import { httpError, udpError } from './dial.ts'
import type { Failure } from './dial.ts'
import { dialAnswer, goTime, overridden, route, udpReply } from './routes.ts'
import type { Action, Dial, State } from './routes.ts'

const flags = {
  'http-port': int(8080), 'udp-port': int(8081), 'sctp-port': int(-1), 'tls-cert-file': string(''), 'tls-private-key-file': string(''),
  'http-override': string(''), 'udp-listen-addresses': string(''), 'delay-shutdown': int(0),
}
type Values = ReturnType<typeof parseFlags<typeof flags>>['values']

const dialTimeoutMs = 5000
const outputLimit = 4 << 20

export async function run(argv: string[]): Promise<number> {
  const { values } = parseFlags(argv, flags)
  const server = await start(values)
  log(`Started HTTP server on port ${values['http-port']}`)
  void untilSignal().then(() => server.terminate(values['delay-shutdown'] * 1000))
  return server.exited
}

export interface Netexec {
  readonly httpPort: number
  readonly udpPorts: readonly number[]
  /** The exit status, once a request or a signal has ended it. */
  readonly exited: Promise<number>
  terminate(delayMs: number): Promise<void>
}

export const defaults = (argv: string[] = []): Values => parseFlags(argv, flags).values

export async function start(values: Values): Promise<Netexec> {
  if (values['sctp-port'] !== -1) throw new UserError("Fairway's agnhost has no SCTP: leave --sctp-port out")
  const ended = Promise.withResolvers<number>()
  const state = { hostname: hostname(), ready: false, terminating: false }
  const udp = values['udp-port'] === -1 ? [] : await startUdp(values, state)
  state.ready = true
  const startedAt = performance.now()
  const perform = performer(startedAt, (code, graceMs) => {
    void Promise.all([http, ...udp].map(server => server.close(graceMs))).then(() => ended.resolve(code))
  })
  const http = await listenHttp(values['http-port'], request =>
    perform(route(values['http-override'] === '' ? request : overridden(request, values['http-override']), state), request), await tls(values))
  return {
    httpPort: http.port, udpPorts: udp.map(server => server.port), exited: ended.promise,
    async terminate(delayMs) {
      state.terminating = true
      if (delayMs > 0) log(`Sleeping ${delayMs / 1000} seconds before terminating...`)
      await sleep(delayMs)
      await Promise.all([http, ...udp].map(server => server.close(1000)))
      ended.resolve(0)
    },
  }
}

async function tls(values: Values) {
  const [cert, key] = [values['tls-cert-file'], values['tls-private-key-file']]
  return cert === '' ? {} : { tls: { cert: await readFile(cert), key: await readFile(key === '' ? cert : key) } }
}

function startUdp(values: Values, state: State): Promise<Listening[]> {
  const addresses = values['udp-listen-addresses'] === '' ? [undefined] : [...new Set(values['udp-listen-addresses'].split(','))]
  return Promise.all(addresses.map(async address => {
    if (address !== undefined && !parseIp(address)) throw new UserError(`parseAddress: invalid address ${address}`)
    const server = await listenUdp(values['udp-port'], (data, from) => {
      const { log: line, reply } = udpReply(data.toString(), hostPort(from.address, from.port), state.hostname)
      if (line !== '') log(line)
      return reply
    }, address)
    log(`Started UDP server on port ${address ?? ''} ${values['udp-port']}`)
    return server
  }))
}

const sleep = (ms: number) => new Promise<void>(resolve => setTimeout(resolve, ms))

/** Carries an action out; `exit` is called when it is to end the program. */
function performer(startedAt: number, exit: (code: number, graceMs: number) => void): (action: Action, request: Request) => Promise<Response | undefined> {
  return async action => {
    log(action.log)
    switch (action.kind) {
      case 'respond': return action.response
      case 'abort': return undefined
      case 'now': return text(`NOW: ${goTime(Date.now(), performance.now() - startedAt)}`)
      case 'shell': return text(goJson(await shell(action.command)))
      case 'dial': return dial(action.dial)
      case 'exit':
        await sleep(action.waitMs)
        exit(action.code, action.timeoutMs)
        return action.timeoutMs === 0 ? undefined : text('')
    }
  }
}

/** exec.Cmd.CombinedOutput, with a bound. */
function shell(command: string): Promise<{ error?: string; output?: string }> {
  return new Promise(resolve => {
    const child = spawn('/bin/sh', ['-c', command], { stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (chunk: string) => { if (output.length < outputLimit) output += chunk })
    }
    const end = (error?: string) => resolve({ ...error !== undefined && { error }, ...output !== '' && { output } })
    child.on('error', error => end(error.message))
    child.on('close', (code, signal) => end(signal ? `signal: ${signalWords[signal] ?? signal}` : code ? `exit status ${code}` : undefined))
  })
}
const signalWords: Partial<Record<NodeJS.Signals, string>> = { SIGKILL: 'killed', SIGTERM: 'terminated', SIGINT: 'interrupt', SIGSEGV: 'segmentation fault', SIGABRT: 'aborted', SIGHUP: 'hangup' }

async function dial({ protocol, host, port, request, tries }: Dial): Promise<Response> {
  const number = Number(port)
  const address = await resolve(host)
  if (!address || !/^\d{1,5}$/.test(port) || number > 65535) {
    return error(`host and/or port param are invalid. ${address ? `address ${port}: invalid port` : `lookup ${host}: no such host`}`, 400)
  }
  const results: ({ response: string } | { error: string })[] = []
  for (let i = 0; i < tries; i++) {
    results.push(await (protocol === 'http' ? dialHttp : dialUdp)(address, number, request)
      .then(response => ({ response }), (failure: Error) => ({ error: failure.message })))
  }
  return dialAnswer(results)
}

/** Go resolves once, before the first try, and prefers IPv4. */
const resolve = (host: string): Promise<string | undefined> =>
  lookup(host === '' ? '127.0.0.1' : host, { verbatim: false }).then(found => found.address, () => undefined)

function dialHttp(address: string, port: number, request: string): Promise<string> {
  const url = `http://${hostPort(address, port)}/${request}`
  return follow(url, 10)
}

/** A connection of its own for each try, so that each is balanced anew. */
function follow(url: string, redirects: number): Promise<string> {
  return new Promise((resolve, reject) => {
    let waiting = false
    const fail = (failure: Failure) => reject(new Error(httpError(url, new URL(url).host, failure, waiting)))
    const request = get(url, { agent: false, timeout: dialTimeoutMs }, response => {
      const location = response.headers.location
      if (location !== undefined && [301, 302, 303, 307, 308].includes(response.statusCode!)) {
        request.destroy()
        return redirects === 0 ? reject(new Error(`Get ${JSON.stringify(url)}: stopped after 10 redirects`)) : resolve(follow(new URL(location, url).href, redirects - 1))
      }
      let body = ''
      response.setEncoding('utf8').on('data', (chunk: string) => { if (body.length < outputLimit) body += chunk })
      response.on('end', () => resolve(body)).on('error', fail)
    })
    request.on('socket', socket => socket.on('connect', () => { waiting = true }))
    request.setTimeout(dialTimeoutMs, () => request.destroy(Object.assign(new Error('timeout'), { code: 'TIMEOUT' })))
    request.on('error', fail)
  })
}

function dialUdp(address: string, port: number, request: string): Promise<string> {
  const target = hostPort(address, port)
  return new Promise((resolve, reject) => {
    const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4')
    const timer = setTimeout(() => fail({ code: 'TIMEOUT', message: '' }), dialTimeoutMs)
    const close = () => { clearTimeout(timer); socket.close() }
    const fail = (failure: Failure) => { close(); reject(new Error(udpError(target, failure))) }
    socket.once('error', fail)
    socket.once('message', data => { close(); resolve(data.toString()) })
    socket.connect(port, address, () => socket.send(request))
  })
}
