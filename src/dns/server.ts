// The running server: reads the Corefile, sets its plugins up, opens listeners, and exchanges all of
// that at a reload without missing a query. What a query meets is front.ts and the chain.
import { readFileSync, globSync } from 'node:fs'
import { dirname, isAbsolute, join } from 'node:path'
import { UserError } from '#lib/errors.ts'
import type { Log } from '#lib/log.ts'
import { configure, pluginsNamed, type Configured } from './blocks.ts'
import { compose, observed } from './chain.ts'
import { parseCorefile } from './corefile/parse.ts'
import type { Transport } from './corefile/zones.ts'
import { Front, type Served } from './front.ts'
import { HttpPages } from './http/server.ts'
import { Listener } from './listeners/server.ts'
import type { TlsFiles } from './listeners/tls.ts'
import { Registry, type Snapshot } from './metrics/registry.ts'
import { failure, type Block, type Env, type Instance, type ListenSettings, type Plugin } from './plugin.ts'
import { load } from './plugins.ts'

export interface ServerOptions {
  /** Read at the start and at each reload; `file` names it in errors, imports are relative to it. */
  readonly corefile: () => { readonly text: string; readonly file: string }
  readonly port: number
  readonly log: Log
  readonly print: (line: string) => void
  readonly fatal: (message: string) => void
  /** One of several processes on the same ports. */
  readonly worker?: { readonly index: number; readonly count: number; metrics(own: readonly Snapshot[]): Promise<readonly Snapshot[]>; notReady(): Promise<readonly string[]> }
}

/** `sources` grows by what is imported. */
interface Read { readonly text: string; readonly file: string; readonly sources: string[] }
interface Running { readonly configured: Configured; readonly instances: Instance[]; readonly served: Served }
interface Generation { readonly blocks: Running[]; readonly sources: readonly string[] }
interface Wanted { readonly transport: Transport; readonly host: string; readonly port: number; readonly listen: ListenSettings; readonly root: string; readonly blocks: Running[] }

const noConnections = { connections: 10_000, connectionsOfOne: 1_000 }

export class DnsServer {
  readonly metrics = new Registry()
  readonly pages: HttpPages
  readonly #options: ServerOptions
  readonly #listeners = new Map<string, Listener>()
  #generation: Generation = { blocks: [], sources: [] }
  #reloading: Promise<unknown> = Promise.resolve()

  private constructor(options: ServerOptions) {
    this.#options = options
    this.pages = new HttpPages(options.log)
  }

  /** Resolves once all listeners are open. Rejects with a UserError that says what is wrong. */
  static async start(options: ServerOptions): Promise<DnsServer> {
    const server = new DnsServer(options)
    await server.#take(server.#read())
    return server
  }

  /** How many processes the Corefile wants (multisocket); it is checked on the way. */
  static async processesWanted(options: ServerOptions): Promise<number> {
    const server = new DnsServer(options)
    const configured = await server.#configure(server.#read())
    return Math.max(1, ...configured.map(({ listen }) => listen.sockets ?? 1))
  }

  /** One listener's port, by its place in the Corefile: for tests with port 0. */
  port(key = 0): number { return [...this.#listeners.values()][key]!.port }
  addresses(): string[] { return [...this.#listeners.values()].flatMap(listener => listener.addresses()) }
  zones(): string[] { return this.#generation.blocks.map(({ configured }) => configured.id) }

  /** One after the other; `same` when nothing changed. */
  reload(): Promise<'reloaded' | 'same'> {
    const next = this.#reloading.then(async () => {
      const read = this.#read()
      if (read.sources.join('\0') === this.#generation.sources.join('\0')) return 'same' as const
      await this.#take(read)
      this.#options.log.info('the Corefile was reloaded')
      return 'reloaded' as const
    })
    this.#reloading = next.catch(() => {})
    return next
  }

  notReady(): string[] {
    return [...new Set(this.#generation.blocks.flatMap(({ instances }) => instances.filter(instance => instance.ready?.() === false).map(({ name }) => name)))]
  }

  /** Queries are answered all the while. */
  async lameduck(): Promise<void> {
    await Promise.all(this.#generation.blocks.flatMap(({ instances }) => instances.map(instance => instance.lameduck?.())))
  }
  async stop(): Promise<void> {
    await Promise.all([...this.#listeners.values()].map(listener => listener.close()))
    await stopAll(this.#generation.blocks)
  }

  #read(): Read {
    const { text, file } = this.#options.corefile()
    return { text, file, sources: [text] }
  }

  async #configure({ text, file, sources }: Read): Promise<Configured[]> {
    const blocks = parseCorefile(text, {
      file, env: name => process.env[name],
      files: (pattern, from) => {
        const path = isAbsolute(pattern) ? pattern : join(dirname(from), pattern)
        return globSync(path).sort().map(found => {
          const text = readFileSync(found, 'utf8')
          sources.push(text)
          return { file: found, text }
        })
      },
    })
    const plugins = new Map(await Promise.all(pluginsNamed(blocks).map(async name => [name, await load(name)] as const)))
    const configured = configure(blocks, { plugins, port: this.#options.port, folder: dirname(file) })
    if (configured.length === 0) throw new UserError(`${file} has no server block: write such as '.:53 { ... }'`)
    return configured
  }

  /** Makes a generation, opens what it listens on, lets it answer, and ends the one before. */
  async #take(read: Read): Promise<void> {
    const configured = await this.#configure(read)
    const { sources } = read
    const next: Generation = { blocks: configured.map(block => this.#setUp(block, sources)), sources }
    try {
      for (const { instances } of next.blocks) for (const instance of instances) await instance.start?.()
      await this.#listen(next)
    } catch (error) {
      await stopAll(next.blocks)
      throw error
    }
    const before = this.#generation
    this.#generation = next
    await stopAll(before.blocks)
  }

  #setUp(configured: Configured, sources: readonly string[]): Running {
    const previous = this.#generation.blocks.find(block => block.configured.id === configured.id)
    const instances: Instance[] = []
    const { zones, root, file, line, view, plugins, keys, listen } = configured
    const block: Block = { zones, root, file, line, view, server: labelOf(keys[0]!.transport, listen.hosts?.[0] ?? '', keys[0]!.port), debug: plugins.some(({ plugin }) => plugin.name === 'debug') }
    for (const { plugin, options } of plugins) {
      instances.push(plugin.setup(options, this.#env({ plugin, block, instances, sources, configured, previous: previous?.instances.find(({ name }) => name === plugin.name) })))
    }
    const panics = this.metrics.counter('coredns_panics_total', 'A metrics that counts the number of panics.').with()
    const failed = (error: unknown) => {
      panics.inc()
      this.#options.log.error(`a plugin failed: ${(error as Error)?.stack ?? error}`)
    }
    const views = instances.filter(instance => instance.takes !== undefined)
    const served: Served = {
      zones, serve: compose(instances, failed), observe: observed(instances), chaos: listen.chaos ?? false, isFiltered: views.length > 0,
      takes: views.length ? query => views.every(instance => instance.takes!(query)) : () => true,
    }
    return { configured, instances, served }
  }

  #env({ plugin, block, instances, sources, configured, previous }: { plugin: Plugin; block: Block; instances: Instance[]; sources: readonly string[]; configured: Configured; previous: Instance | undefined }): Env {
    const log = this.#options.log.named(`dns/${plugin.name}`)
    const { worker } = this.#options
    const guarded = (call: () => void) => () => { try { call() } catch (error) { log.error('a timer failed', error) } }
    return {
      block, log, metrics: this.metrics, sources, previous,
      now: () => Date.now(),
      random: () => Math.random(),
      every: (ms, call) => { const timer = setInterval(guarded(call), ms).unref(); return () => clearInterval(timer) },
      later: (ms, call) => { const timer = setTimeout(guarded(call), ms).unref(); return () => clearTimeout(timer) },
      peer: name => instances.find(instance => instance.name === name),
      peers: () => instances,
      lookup: query => this.#frontOf(configured)?.dispatch(query) ?? failure('the server is not listening yet'),
      http: (address, path, page) => worker?.index ? Promise.resolve(() => {}) : this.pages.add(address, path, page),
      reload: () => this.reload(),
      fatal: this.#options.fatal,
      print: this.#options.print,
      worker: worker?.index ?? 0,
      allMetrics: async () => worker ? worker.metrics(this.metrics.snapshot()) : this.metrics.snapshot(),
      notReady: async () => [...new Set([...this.notReady(), ...await worker?.notReady() ?? []])],
    }
  }

  #frontOf({ keys, listen }: Configured): Front | undefined {
    const { transport, port } = keys[0]!
    return this.#listeners.get(idOf(transport, listen.hosts?.[0] ?? '', port))?.front
  }

  /** Opens listeners that are new before any changes its blocks, so that a failure leaves the old ones as they were. */
  async #listen({ blocks }: Generation): Promise<void> {
    const wanted = wantedListeners(blocks)
    const opened: string[] = []
    try {
      for (const [id, want] of wanted) {
        if (this.#listeners.has(id)) continue
        this.#listeners.set(id, await this.#open(want))
        opened.push(id)
      }
    } catch (error) {
      for (const id of opened) {
        await this.#listeners.get(id)!.close()
        this.#listeners.delete(id)
      }
      throw error
    }
    for (const [id, { blocks, listen, root, transport }] of wanted) {
      const listener = this.#listeners.get(id)!
      listener.front.use(blocks.map(({ served }) => served))
      if (listen.tls && transport !== 'dns' && !opened.includes(id)) listener.renew(readTls(listen.tls, root))
    }
    for (const [id, listener] of this.#listeners) {
      if (wanted.has(id)) continue
      this.#listeners.delete(id)
      await listener.close()
    }
  }

  async #open({ transport, host, port, listen, root, blocks }: Wanted): Promise<Listener> {
    const { log, worker } = this.#options
    const front = new Front(labelOf(transport, host, port), { now: () => performance.now(), failed: error => log.error(`an answer failed: ${(error as Error)?.stack ?? error}`) })
    front.use(blocks.map(({ served }) => served))
    if (transport === 'tls' && !listen.tls) throw new UserError(`tls://…:${port} needs the plugin tls with a certificate and a key: 'tls CERT KEY'`)
    return Listener.open(front, {
      transport, host, port, log, tls: listen.tls && transport !== 'dns' ? readTls(listen.tls, root) : undefined,
      timeouts: listen.timeouts ?? {}, limits: noConnections, shared: (worker?.count ?? 1) > 1,
    })
  }
}

async function stopAll(blocks: readonly Running[]): Promise<void> {
  await Promise.all(blocks.flatMap(({ instances }) => instances.map(async instance => instance.stop?.())))
}

/** As CoreDNS labels it: `dns://:53`. */
const labelOf = (transport: Transport, host: string, port: number) => `${transport}://${host.includes(':') ? `[${host}]` : host}:${port}`
const idOf = labelOf

/** Blocks with the same address share a listener, and the first one's certificate and timeouts. */
function wantedListeners(blocks: readonly Running[]): Map<string, Wanted> {
  const wanted = new Map<string, Wanted>()
  for (const block of blocks) {
    const { keys, listen, root } = block.configured
    for (const { transport, port } of keys) for (const host of listen.hosts ?? ['']) {
      const id = idOf(transport, host, port)
      const want = wanted.get(id) ?? { transport, host, port, listen, root, blocks: [] }
      if (!want.blocks.includes(block)) want.blocks.push(block)
      wanted.set(id, want)
    }
  }
  return wanted
}

function readTls({ cert, key, ca, clientAuth }: NonNullable<ListenSettings['tls']>, root: string): TlsFiles {
  const read = (file: string) => {
    try { return readFileSync(isAbsolute(file) ? file : join(root, file)) } catch (error) { throw new UserError(`cannot read ${file} for tls: ${(error as Error).message}`) }
  }
  return { cert: read(cert), key: read(key), ca: ca === undefined ? undefined : read(ca), clientAuth }
}
