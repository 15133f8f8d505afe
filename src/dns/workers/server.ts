// Several processes on the same ports (SO_REUSEPORT): the first one starts the others, asks them for
// their metrics and readiness, passes signals on, and starts one again that died.
import { fork, type ChildProcess } from 'node:child_process'
import type { Log } from '#lib/log.ts'
import { merge, type Snapshot } from '../metrics/registry.ts'
import type { DnsServer, ServerOptions } from '../server.ts'
import type { Ask, Reply, Started } from './messages.ts'

/** Set in a worker's environment: its number, from 1. */
export const workerVariable = 'FAIRWAY_DNS_WORKER'

/** A worker that does not answer within this is left out of the sum. */
const patience = 1000

export class Workers {
  readonly #children = new Map<number, ChildProcess>()
  readonly #waiting = new Map<number, (reply: Reply) => void>()
  readonly #argv: readonly string[]
  readonly #log: Log
  readonly count: number
  #lastId = 0
  #ending = false

  constructor(argv: readonly string[], { count, log }: { count: number; log: Log }) {
    this.#argv = argv
    this.#log = log
    this.count = count
  }

  /** Resolves when all of them listen. */
  async start(): Promise<void> {
    await Promise.all(Array.from({ length: this.count - 1 }, (_, i) => this.#fork(i + 1)))
  }

  #fork(index: number): Promise<void> {
    const child = fork(process.argv[1]!, ['dns', ...this.#argv], { env: { ...process.env, [workerVariable]: String(index) }, stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
    this.#children.set(index, child)
    return new Promise(resolve => {
      child.on('message', (message: Reply | Started) => 'started' in message ? resolve() : this.#waiting.get(message.id)?.(message))
      child.once('exit', (code, signal) => {
        resolve()
        this.#children.delete(index)
        if (this.#ending) return
        this.#log.warn('a worker ended and is started again', { worker: index, code: code ?? signal })
        setTimeout(() => { if (!this.#ending) void this.#fork(index) }, 1000).unref()
      })
    })
  }

  async metrics(own: readonly Snapshot[]): Promise<readonly Snapshot[]> {
    return merge([own, ...(await this.#ask('metrics')).map(reply => reply.metrics ?? [])])
  }
  async notReady(): Promise<string[]> {
    return (await this.#ask('ready')).flatMap(reply => reply.notReady ?? [])
  }
  reload(): void { for (const child of this.#children.values()) child.send({ id: 0, ask: 'reload' } satisfies Ask) }

  /** Each ends in its own time, lameduck included. */
  async stop(): Promise<void> {
    this.#ending = true
    await Promise.all([...this.#children.values()].map(child => new Promise<void>(resolve => {
      child.once('exit', () => resolve())
      child.send({ id: 0, ask: 'stop' } satisfies Ask)
    })))
  }

  #ask(ask: 'metrics' | 'ready'): Promise<Reply[]> {
    return Promise.all([...this.#children.values()].map(child => new Promise<Reply>(resolve => {
      const id = ++this.#lastId
      const done = (reply: Reply) => { clearTimeout(timer); this.#waiting.delete(id); resolve(reply) }
      const timer = setTimeout(() => done({ id, ...(ask === 'ready' && { notReady: ['a worker that does not answer'] }) }), patience)
      this.#waiting.set(id, done)
      child.send({ id, ask } satisfies Ask)
    })))
  }
}

export const workerLink = (index: number, count: number, workers?: Workers): NonNullable<ServerOptions['worker']> => ({
  index, count,
  metrics: async own => workers ? workers.metrics(own) : own,
  notReady: async () => workers ? workers.notReady() : [],
})

/** A worker's side: answers the first process, and ends with it. */
export function answerFirst(server: DnsServer, { reload, stop }: { reload: () => void; stop: () => void }): void {
  process.on('message', (message: Ask) => {
    if (message.ask === 'reload') reload()
    else if (message.ask === 'stop') stop()
    else process.send!({ id: message.id, ...(message.ask === 'metrics' ? { metrics: server.metrics.snapshot() } : { notReady: server.notReady() }) } satisfies Reply)
  })
  process.once('disconnect', stop)
  process.send!({ started: true } satisfies Started)
}
