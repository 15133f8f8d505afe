// `fairway dns`: serves a Corefile in place of CoreDNS. Reads the flags, listens to signals, and has
// one process a worker.
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { UserError } from '#lib/errors.ts'
import { logger, silent, type Log } from '#lib/log.ts'
import { parseFlags, usage, type Config } from './config.ts'
import { order } from './plugins.ts'
import { DnsServer } from './server.ts'
import { answerFirst, workerLink, Workers, workerVariable } from './workers/server.ts'

/** CoreDNS's when there is no Corefile. */
const withoutCorefile = '.:53 {\n  whoami\n  log\n}\n'

export async function main(argv: string[]): Promise<number> {
  const config = parseFlags(argv)
  if (config.show) { process.stdout.write(shown(config.show)); return 0 }
  const index = Number(process.env[workerVariable] ?? 0)
  const log = logger('dns')
  if (config.pidfile !== undefined && index === 0) writeFileSync(config.pidfile, `${process.pid}\n`)
  const workers = index === 0 && config.workers > 1 ? new Workers(argv, { count: config.workers, log }) : undefined
  return run(config, { index, log, workers })
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

async function run(config: Config, { index, log, workers }: { index: number; log: Log; workers: Workers | undefined }): Promise<number> {
  const out = new LineWriter()
  const server = await DnsServer.start({
    corefile: corefileReader(config), port: config.port, log: config.quiet && index > 0 ? silent : log,
    print: line => out.line(line),
    fatal: message => { log.error(message); out.flush(); process.exit(1) },
    ...((config.workers > 1) && { worker: workerLink(index, config.workers, workers) }),
  })
  const reload = () => { server.reload().catch(error => log.error('the Corefile is not taken, the old one stays', error)) }
  const ended = new Promise<'lameduck' | 'now'>(resolve => {
    process.once('SIGTERM', () => resolve('lameduck'))
    process.once('SIGINT', () => resolve('now'))
    if (index > 0) answerFirst(server, { reload, stop: () => resolve('lameduck') })
  })
  process.on('SIGUSR1', () => { reload(); workers?.reload() })
  await workers?.start()
  if (index === 0 && !config.quiet) out.line([...server.zones(), `Fairway DNS, ${config.workers} worker${config.workers > 1 ? 's' : ''}`].join('\n'))
  const how = await ended
  const others = workers?.stop()
  if (how === 'lameduck') await server.lameduck()
  await server.stop()
  await others
  out.flush()
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
