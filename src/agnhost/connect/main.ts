// agnhost connect: makes one connection and says in a fixed word how it failed, for tests that ask
// whether something is refused, dropped or unknown.
import { createSocket } from 'node:dgram'
import { lookup } from 'node:dns/promises'
import { createConnection } from 'node:net'
import { UserError } from '#lib/errors.ts'
import { duration, parseFlags, string } from '../flags.ts'
import { outcome, splitHostPort } from './outcome.ts'
import type { Failure } from './outcome.ts'

const flags = { 'timeout': duration(0), 'protocol': string('tcp'), 'udp-data': string('hostname'), 'sctp-data': string('hostname') }

export async function run(argv: string[]): Promise<number> {
  const { values, words } = parseFlags(argv, flags)
  if (words.length !== 1) throw new UserError(`accepts 1 arg(s), received ${words.length}: connect HOST:PORT`)
  const line = await attempt(words[0]!, values.protocol || 'tcp', { timeoutMs: values.timeout, data: values['udp-data'] })
  if (line === undefined) return 0
  process.stderr.write(`${line}\n`)
  return 1
}

/** `undefined` when it worked; `timeoutMs` 0 leaves it to the kernel. */
export async function attempt(destination: string, protocol: string, { timeoutMs, data }: { timeoutMs: number; data: string }): Promise<string | undefined> {
  if (protocol === 'sctp') return "OTHER: Fairway's agnhost has no SCTP"
  if (protocol !== 'tcp' && protocol !== 'udp') return `Unsupported protocol ${protocol}`
  const target = splitHostPort(destination)
  if (!target) return `UNKNOWN: address ${destination}: missing or invalid port`
  try {
    const { address } = await lookup(target.host || '127.0.0.1')
    await (protocol === 'tcp' ? connectTcp(address, target.port, timeoutMs) : connectUdp(address, target.port, { timeoutMs, data }))
    return undefined
  } catch (error) {
    return outcome(protocol, error as Failure)
  }
}

const timeout = () => Object.assign(new Error('i/o timeout'), { code: 'TIMEOUT' })

function connectTcp(host: string, port: number, timeoutMs: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = createConnection({ host, port })
    const timer = timeoutMs > 0 ? setTimeout(() => socket.destroy(timeout()), timeoutMs) : undefined
    socket.once('connect', () => { clearTimeout(timer); socket.destroy(); resolve() })
    socket.once('error', error => { clearTimeout(timer); reject(error) })
  })
}

/** Sends `data` and waits for any answer: only that shows that the datagram arrived. */
function connectUdp(host: string, port: number, { timeoutMs, data }: { timeoutMs: number; data: string }): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4')
    const timer = timeoutMs > 0 ? setTimeout(() => end(timeout()), timeoutMs) : undefined
    const end = (error?: Error) => { clearTimeout(timer); socket.close(); error ? reject(error) : resolve() }
    socket.once('error', end)
    socket.once('message', reply => end(reply.length === 0 ? new Error('No data received from the server. Cannot guarantee the server received the request.') : undefined))
    socket.connect(port, host, () => socket.send(`${data}\n`))
  })
}
