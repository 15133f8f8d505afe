// One `kubernetes` of a server block at work. Other plugins find it with `kubernetesOf` (k8s_external).
import type { Env, Instance, Serve } from '../../plugin.ts'
import type { Query } from '../../query.ts'
import type { Rr } from '../../wire/message.ts'
import { isBelow, longestZone, type Name } from '../../wire/name.ts'
import { isReverse } from './address.ts'
import type { KubernetesOptions } from './config.ts'
import { metadataOf } from './metadata.ts'
import { Resolver } from './resolver.ts'
import type { Source } from './source.ts'
import { transferOf } from './transfer.ts'

export class Kubernetes implements Instance {
  readonly name = 'kubernetes'
  readonly options: KubernetesOptions
  readonly source: Source
  readonly localIps: readonly string[]
  /** Only with `pods verified`: else nobody is known. */
  readonly searchPath?: (query: Query) => readonly Name[] | undefined
  /** Of our own objects, synced or not. */
  readonly resolver: Resolver
  readonly #env: Env
  /** Answers until we are synced, after a reload that changed what is watched. */
  #before: Kubernetes | undefined
  #held = false

  constructor(options: KubernetesOptions, env: Env, { source, localIps }: { source: Source; localIps: readonly string[] }) {
    this.options = options
    this.source = source
    this.localIps = localIps
    if (options.pods === 'verified') this.searchPath = query => this.#searchPath(query)
    this.#env = env
    this.resolver = new Resolver(source.catalog, options, { random: () => env.random(), lookup: query => env.lookup(query), localIps })
    const previous = env.previous instanceof Kubernetes ? env.previous : undefined
    if (previous && previous.source !== source && previous.source.catalog.synced) this.#before = previous
  }

  serve(next: Serve): Serve {
    return query => (this.#before ?? this).resolver.answer(query) ?? next(query)
  }

  start(): void {
    const synced = this.source.hold() // throws where there is no API server to ask
    this.#held = true
    const before = this.#before
    if (before) void before.source.hold()
    const stopTelling = this.#env.later(this.options.startupTimeout, () => {
      if (!this.source.catalog.synced) this.#env.log.warn('starting server with unsynced Kubernetes API')
    })
    synced.then(stopTelling, stopTelling).finally(() => {
      this.#before = undefined
      before?.source.release()
    })
  }

  stop(): void {
    if (this.#held) this.source.release()
    this.#held = false
  }

  ready(): boolean { return this.source.catalog.synced || this.#before !== undefined }

  /** Reverse names that fall through are answered by others too, and may be kept as those say. */
  owns(query: Query): boolean {
    const { zones, fallthrough } = this.options
    const zone = longestZone(query.name, zones)
    return zone !== undefined && !(isReverse(zone) && fallthrough && longestZone(query.name, fallthrough) !== undefined)
  }

  metadata(query: Query): Iterable<readonly [string, () => string]> { return metadataOf(query, this.resolver) }

  transfer(zone: Name, serial?: number): Iterable<readonly Rr[]> | undefined {
    return this.options.zones.includes(zone) ? transferOf(this.resolver, zone, serial) : undefined
  }

  /** Of the pod that asks, by its address. Where two pods have had it, the one whose first element the name is below. */
  #searchPath(query: Query): readonly Name[] | undefined {
    const zone = longestZone(query.name, this.options.zones)
    if (zone === undefined) return undefined
    const namespaces = this.source.catalog.pods(query.origin.address).filter(pod => !pod.spec?.hostNetwork).map(pod => pod.metadata.namespace!)
    const paths = namespaces.map(namespace => [`${String.fromCharCode(namespace.length)}${namespace}\x03svc${zone}`, `\x03svc${zone}`, zone, '\0'] as Name[])
    return paths.find(([first]) => isBelow(query.name, first!)) ?? paths[0]
  }
}

/** The instance of the same server block, if it has one. */
export function kubernetesOf(env: Env): Kubernetes | undefined {
  const peer = env.peer('kubernetes')
  return peer instanceof Kubernetes ? peer : undefined
}
