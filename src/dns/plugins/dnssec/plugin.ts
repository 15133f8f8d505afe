// dnssec: signs answers on their way out, for those who ask for signatures.
import { unpack } from '../../answer.ts'
import { CorefileError } from '../../corefile/errors.ts'
import { after, records, silence, type Env, type Plugin, type Result, type Serve } from '../../plugin.ts'
import type { Query } from '../../query.ts'
import { longestZone, type Name } from '../../wire/name.ts'
import { flags, types } from '../../wire/types.ts'
import { loadKey } from './apply.ts'
import { parse, type KeyFile, type Options } from './config.ts'
import type { Key } from './key.ts'
import { Signer } from './signer.ts'

function load({ base, token }: KeyFile): Key {
  try { return loadKey(base) } catch (error) { throw new CorefileError(token, `cannot read the key ${base}: ${(error as Error).message}`) }
}

/** A zone signs with keys of its own name, or all of them when none is (CoreDNS allows either). */
function signersOf({ zones, keys, capacity }: Options): Map<Name, Signer> {
  const all = keys.map(load)
  return new Map(zones.map(zone => {
    const own = all.filter(({ dnskey }) => dnskey.name === zone)
    return [zone, new Signer(own.length ? own : all, capacity)]
  }))
}

class Dnssec {
  readonly #env: Env
  readonly #signers: ReadonlyMap<Name, Signer>
  readonly #zones: readonly Name[]
  constructor(signers: ReadonlyMap<Name, Signer>, env: Env) {
    this.#signers = signers
    this.#zones = [...signers.keys()]
    this.#env = env
  }

  serve(query: Query, next: Serve): Result {
    const zone = longestZone(query.name, this.#zones)
    if (zone === undefined) return next(query)
    const signer = this.#signers.get(zone)!
    const isKeys = query.type === types.DNSKEY && query.name === zone
    const result = isKeys ? records({ flags: flags.AA, answer: signer.dnskeys(query.asked) }) : next(query)
    if (!query.dnssec) return result
    return after(result, answer => {
      if (answer === silence) return answer
      const { hits, misses } = signer
      const signed = signer.sign(unpack(answer, query), { name: query.name, type: query.type, zone, now: Math.floor(this.#env.now() / 1000) })
      this.#count(query.server, signer, { hits: signer.hits - hits, misses: signer.misses - misses })
      return signed
    })
  }

  #count(server: string, signer: Signer, { hits, misses }: { hits: number; misses: number }): void {
    const { metrics } = this.#env
    metrics.counter('coredns_dnssec_cache_hits_total', 'The count of cache hits.', ['server']).with(server).inc(hits)
    metrics.counter('coredns_dnssec_cache_misses_total', 'The count of cache misses.', ['server']).with(server).inc(misses)
    metrics.gauge('coredns_dnssec_cache_entries', 'The number of elements in the dnssec cache.', ['server', 'type']).with(server, 'signature').set(signer.size)
  }
}

export const plugin: Plugin<Options> = {
  name: 'dnssec',
  parse,
  setup(options, env) {
    let dnssec: Dnssec | undefined
    return {
      name: 'dnssec',
      start() { dnssec = new Dnssec(signersOf(options), env) },
      serve: next => query => dnssec!.serve(query, next),
    }
  },
}
