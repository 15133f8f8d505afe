// file: zones from zone files.
import { unpack } from '../../answer.ts'
import { CorefileError } from '../../corefile/errors.ts'
import { after, type Env, type Instance, type Plugin, type Result, type Serve } from '../../plugin.ts'
import type { Query } from '../../query.ts'
import type { Rr } from '../../wire/message.ts'
import { isBelow, longestZone, showName, type Name } from '../../wire/name.ts'
import { rcodes } from '../../wire/types.ts'
import { loadZone, stamp } from './apply.ts'
import { parse, type FileOptions } from './config.ts'
import type { Zone } from './zone.ts'

/** What `transfer` offers: secondaries are told that a zone has changed. */
interface Notifier { notify?(zone: Name): void }

const perMessage = 100
const longestChain = 10

class Files implements Instance {
  readonly name = 'file'
  readonly #options: readonly FileOptions[]
  readonly #env: Env
  readonly #zones = new Map<Name, { zone: Zone; readonly options: FileOptions; stamp: string }>()
  #names: Name[] = []
  #stops: (() => void)[] = []

  constructor(options: readonly FileOptions[], env: Env) {
    this.#options = options
    this.#env = env
  }

  start(): void {
    for (const options of this.#options) {
      for (const name of options.zones) {
        try {
          this.#zones.set(name, { options, stamp: stamp(options.file), zone: loadZone(options.file, name) })
        } catch (error) { throw new CorefileError(options.token, `cannot read the zone '${showName(name)}' from ${options.file}: ${(error as Error).message}`) }
        this.#measure(name)
      }
      if (options.reload > 0) this.#stops.push(this.#env.every(options.reload, () => this.#reload(options)))
    }
    this.#names = [...this.#zones.keys()]
    this.#stops.push(this.#env.later(0, () => { for (const name of this.#names) this.#notify(name) }))
  }
  stop(): void { for (const stop of this.#stops) stop() }

  #measure(name: Name): void {
    this.#env.metrics.gauge('coredns_file_entries', 'The number of entries in zone file grouped by domain name.', ['domain_name']).with(showName(name)).set(this.#zones.get(name)!.zone.size)
  }
  #notify(name: Name): void { (this.#env.peer('transfer') as Notifier | undefined)?.notify?.(name) }

  /** Only a new serial makes a new zone; a file that cannot be read leaves the old one. */
  #reload(options: FileOptions): void {
    for (const name of options.zones) {
      const held = this.#zones.get(name)!, now = stamp(options.file)
      if (now === held.stamp) continue
      held.stamp = now
      try {
        const zone = loadZone(options.file, name)
        if (zone.serial === held.zone.serial) continue
        held.zone = zone
        this.#env.log.info('the zone was reloaded', { zone: showName(name), serial: zone.serial })
        this.#measure(name)
        this.#notify(name)
      } catch (error) { this.#env.log.error('the zone file is not taken, the old zone stays', error, { zone: showName(name) }) }
    }
  }

  transfer(name: Name, serial?: number): Iterable<readonly Rr[]> | undefined {
    const zone = this.#zones.get(name)?.zone
    return zone && transferOf(zone, serial)
  }

  serve(next: Serve): Serve {
    return query => {
      const name = longestZone(query.name, this.#names)
      if (name === undefined) return next(query)
      const { zone, options } = this.#zones.get(name)!
      const { answer, outside } = zone.answer(query.asked, query.type, query.dnssec)
      if (answer.rcode === rcodes.NXDOMAIN && answer.answer.length === 0 && options.fallthrough.some(below => isBelow(query.name, below))) return next(query)
      return outside === undefined ? answer : this.#follow(query, outside, answer)
    }
  }

  /** A CNAME that leads out of the zone: what this server says of its target. */
  #follow(query: Query, target: Name, answer: ReturnType<Zone['answer']>['answer']): Result {
    let depth = 0
    for (let from = query.from; from; from = from.from) depth++
    if (depth > longestChain) return answer
    const asking = query.asking({ name: target })
    asking.size = 65535
    return after(this.#env.lookup(asking), found => {
      const more = unpack(found, asking)
      // Who cannot be reached leaves the CNAME, which is true all the same.
      return more.rcode === rcodes.NOERROR ? { ...answer, answer: [...answer.answer, ...more.answer] } : answer
    })
  }
}

function* transferOf(zone: Zone, serial: number | undefined): Generator<readonly Rr[]> {
  yield [zone.soa]
  if (serial === zone.serial) return
  const rest = zone.records.filter(record => record !== zone.soa)
  for (let i = 0; i < rest.length; i += perMessage) yield rest.slice(i, i + perMessage)
  yield [zone.soa]
}

export const plugin: Plugin<readonly FileOptions[]> = {
  name: 'file',
  parse,
  setup: (options, env) => new Files(options, env),
}
