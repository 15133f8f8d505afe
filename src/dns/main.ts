// `fairway dns`: serves a Corefile in place of CoreDNS. Reads the flags, listens to signals, and has
// one process a worker.
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { flushCompileCache } from 'node:module'
import { UserError } from '#lib/errors.ts'
import { logger } from '#lib/log.ts'
import { parseFlags, usage, type Config } from './config.ts'
import { order } from './plugins.ts'
import { DnsServer, type ServerOptions } from './server.ts'
import { answerFirst, workerLink, Workers, workerVariable } from './workers/server.ts'

/** CoreDNS's when there is no Corefile. */
const withoutCorefile = '.:53 {\n  whoami\n  log\n}\n'

export async function main(argv: string[]): Promise<number> {
  const config = parseFlags(argv)
  if (config.show) { process.stdout.write(shown(config.show)); return 0 }
  const index = Number(process.env[workerVariable] ?? 0)
  const log = logger('dns')
  if (config.pidfile !== undefined && index === 0) writeFileSync(config.pidfile, `${process.pid}\n`)
  const out = new LineWriter()
  const options: ServerOptions = {
    corefile: corefileReader(config), port: config.port, log, print: line => out.line(line),
    fatal: message => { log.error(message); out.flush(); process.exit(1) },
  }
  const count = index > 0 ? config.workers : Math.max(config.workers, await DnsServer.processesWanted(options))
  if (config.conf === '-' && count > 1) throw new UserError('several processes cannot share stdin: give the Corefile as a file')
  const workers = index === 0 && count > 1 ? new Workers([...argv, `-workers=${count}`], { count, log }) : undefined
  const code = await run({ ...options, ...(count > 1 && { worker: workerLink(index, count, workers) }) }, { quiet: config.quiet, index, workers, out })
  out.flush()
  return code
}

function shown(what: NonNullable<Config['show']>): string {
  if (what === 'help') return usage
  if (what === 'plugins') return order.map(name => `dns.${name}\n`).join('')
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string }
  return `Fairway-${version}\n${process.platform}/${process.arch}, node ${process.version}\n`
}

function corefileReader({ conf }: Config): () => { text: string; file: string } {
  if (conf === '-') {
    const text = readFileSync(0, 'utf8') // stdin can be read once only: a reload finds it the same
    return () => ({ text, file: 'stdin' })
  }
  const file = conf ?? 'Corefile'
  return () => {
    if (conf === undefined && !existsSync(file)) return { text: withoutCorefile, file: 'default' }
    try { return { text: readFileSync(file, 'utf8'), file } } catch (error) {
      throw new UserError(`cannot read the Corefile: ${(error as Error).message}`)
    }
  }
}

async function run(options: ServerOptions, { quiet, index, workers, out }: { quiet: boolean; index: number; workers: Workers | undefined; out: LineWriter }): Promise<number> {
  const { log } = options
  const server = await DnsServer.start(options)
  const reload = () => { server.reload().catch(error => log.error('the Corefile is not taken, the old one stays', error)) }
  const ended = new Promise<'lameduck' | 'now'>(resolve => {
    process.once('SIGTERM', () => resolve('lameduck'))
    process.once('SIGINT', () => resolve('now'))
    if (index > 0) answerFirst(server, { reload, stop: () => resolve('lameduck') })
  })
  process.on('SIGUSR1', () => { reload(); workers?.reload() })
  await workers?.start()
  if (index === 0 && !quiet) out.line([...server.zones(), `Fairway DNS, ${workers?.count ?? 1} process${workers ? 'es' : ''}`].join('\n'))
  // The next start reads compiled code, and needs no compiler in memory: 20 MB and 100 ms less.
  if (index === 0) flushCompileCache()
  const how = await ended
  const others = workers?.stop()
  if (how === 'lameduck') await server.lameduck()
  await server.stop()
  await others
  return 0
}

/** stdout in batches: a write per query would cost more than the query. */
class LineWriter {
  #held = ''
  #timer: NodeJS.Timeout | undefined
  line(text: string): void {
    this.#held += `${text}\n`
    if (this.#held.length > 60_000) this.flush()
    else this.#timer ??= setTimeout(() => this.flush(), 50)
  }
  flush(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    process.stdout.write(this.#held)
    this.#held = ''
  }
}
