// hosts: names from a hosts file and from the Corefile itself.
import { failure, records, type Env, type Plugin, type Serve } from '../../plugin.ts'
import type { Query } from '../../query.ts'
import { isBelow } from '../../wire/name.ts'
import { ptr } from '../../wire/rdata.ts'
import { flags, types } from '../../wire/types.ts'
import { readIfChanged } from './apply.ts'
import { parse, type Options } from './config.ts'
import { Hosts, reverseAddress } from './table.ts'

class HostsPlugin {
  readonly #options: Options
  readonly #env: Env
  #hosts: Hosts
  #seen: string | undefined
  #isReading = false

  constructor(options: Options, env: Env) {
    this.#options = options
    this.#env = env
    this.#hosts = Hosts.read(options.inline)
  }

  async read(): Promise<void> {
    if (this.#isReading) return
    this.#isReading = true
    const { file, inline } = this.#options
    try {
      const changed = await readIfChanged(file, this.#seen)
      if (!changed) return
      if (changed.text === undefined) this.#env.log.warn('there is no hosts file, only what the Corefile holds is served', { file })
      this.#seen = changed.seen
      this.#hosts = Hosts.read(changed.text ?? '', inline)
      this.#env.metrics.gauge('coredns_hosts_entries', 'The combined number of entries in hosts and Corefile.').with().set(this.#hosts.entries)
      this.#env.metrics.gauge('coredns_hosts_reload_timestamp_seconds', 'The timestamp of the last reload of hosts file.').with().set(Math.floor(this.#env.now() / 1000))
    } finally { this.#isReading = false }
  }

  serve(query: Query, next: Serve): ReturnType<Serve> {
    const { zones, fallthrough, fallthroughUnsupported, ttl, reverse } = this.#options
    const { asked, type, name } = query
    if (type === types.PTR) {
      // Reverse zones need not be named.
      const address = reverse ? reverseAddress(name) : undefined
      const names = address === undefined ? [] : this.#hosts.names(address)
      return names.length ? records({ flags: flags.AA, answer: names.map(target => ptr(asked, ttl, target)) }) : next(query)
    }
    if (!zones.some(zone => isBelow(name, zone))) return next(query)
    const goesOn = fallthrough.some(zone => isBelow(name, zone))
    const addresses = this.#hosts.addresses(name)
    // Without a SOA nothing can be denied: CoreDNS answers SERVFAIL too.
    if (!addresses) return goesOn ? next(query) : failure('plugin/hosts: the name is not in the hosts file, and there is no fallthrough')
    if (type !== types.A && type !== types.AAAA) return goesOn && fallthroughUnsupported ? next(query) : records({ flags: flags.AA })
    const fitting = addresses.filter(bytes => bytes.length === (type === types.A ? 4 : 16))
    return records({ flags: flags.AA, answer: fitting.map(data => ({ name: asked, type, class: 1, ttl, data })) })
  }
}

export const plugin: Plugin<Options> = {
  name: 'hosts',
  parse,
  setup(options, env) {
    const hosts = new HostsPlugin(options, env)
    let stop = () => {}
    return {
      name: 'hosts',
      async start() {
        await hosts.read()
        if (options.reload > 0) stop = env.every(options.reload, () => { hosts.read().catch(error => env.log.error('cannot read the hosts file', error)) })
      },
      stop() { stop() },
      serve: next => query => hosts.serve(query, next),
    }
  },
}
