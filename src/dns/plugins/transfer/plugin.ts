// transfer: whole zones to secondaries (RFC 5936), and word to them when a zone has changed (RFC 1996).
import { bits, parseIp } from '#net/ip.ts'
import { failure, records, refused, type Env, type Instance, type Plugin, type Result, type Serve } from '../../plugin.ts'
import type { Query } from '../../query.ts'
import { decode, encode, type Rr } from '../../wire/message.ts'
import { longestZone, showName, type Name } from '../../wire/name.ts'
import { readSoa } from '../../wire/rdata.ts'
import { classes, flags, opcodes, rcodes, types } from '../../wire/types.ts'
import { tell } from './apply.ts'
import { parse, type Rule } from './config.ts'

/** Bytes of records in one message, before compression. */
const perMessage = 16_000

/** The same records in messages of a size that fits. */
function* sized(given: Iterable<readonly Rr[]>): Generator<readonly Rr[]> {
  let message: Rr[] = [], size = 0
  for (const some of given) {
    for (const record of some) {
      const bytes = record.name.length + 10 + record.data.length
      if (message.length > 0 && size + bytes > perMessage) {
        yield message
        message = []
        size = 0
      }
      message.push(record)
      size += bytes
    }
  }
  if (message.length) yield message
}

/** The serial that an IXFR query says it has (RFC 1995 3). */
function serialOf(query: Query): number | undefined {
  const soa = decode(query.message).authority.find(({ type }) => type === types.SOA)
  return soa && readSoa(soa).serial
}

export class Transfer implements Instance {
  readonly name = 'transfer'
  readonly #rules: readonly Rule[]
  readonly #env: Env
  readonly #stops = new Set<() => void>()

  constructor(rules: readonly Rule[], env: Env) {
    this.#rules = rules
    this.#env = env
  }

  /** For plugins that hold zones: theirs has another serial now. */
  notify(zone: Name): void {
    const message = encode({ id: 0, flags: flags.AA, opcode: opcodes.NOTIFY, rcode: rcodes.NOERROR, questions: [{ name: zone, type: types.SOA, class: classes.IN }], answer: [], authority: [], additional: [] })
    for (const rule of this.#rules.filter(({ zones }) => zones.includes(zone))) {
      for (const target of rule.notify) {
        const { done, stop } = tell(message, target)
        this.#stops.add(stop)
        done.catch((error: Error) => this.#env.log.warn('a secondary was not told of the change', { zone: showName(zone), secondary: target.host, error: error.message })).finally(() => this.#stops.delete(stop))
      }
    }
  }
  stop(): void { for (const stop of this.#stops) stop() }

  serve(next: Serve): Serve {
    return query => query.type === types.AXFR || query.type === types.IXFR ? this.#transfer(query, next) : next(query)
  }

  #transfer(query: Query, next: Serve): Result {
    const rule = this.#rules.find(({ zones }) => longestZone(query.name, zones) !== undefined)
    if (!rule) return next(query)
    if (!isAllowed(rule, query.origin.address)) return refused
    const serial = query.type === types.IXFR ? serialOf(query) : undefined
    for (const peer of this.#env.peers()) {
      const zone = peer.transfer?.(query.name, serial)
      if (zone) return this.#send(query, zone)
    }
    return next(query)
  }

  #send(query: Query, zone: Iterable<readonly Rr[]>): Result {
    const messages = sized(zone), first = messages.next().value as readonly Rr[] | undefined
    if (!first?.[0]) return failure('plugin/transfer: the zone is not there yet')
    if (query.origin.protocol === 'udp') {
      // A zone over UDP there is not (RFC 5936 4.2); who asks for the changes learns the serial, and comes again over TCP (RFC 1995 2).
      return query.type === types.AXFR ? records({ rcode: rcodes.FORMERR }) : records({ flags: flags.AA, answer: [first[0]] })
    }
    this.#env.log.info('a zone goes out', { zone: showName(query.name), to: query.origin.address })
    return records({ flags: flags.AA, answer: first, stream: messages })
  }
}

function isAllowed({ any, nets }: Rule, address: string): boolean {
  const ip = parseIp(address)
  if (any || !ip) return any
  return nets.some(({ base, prefix }) => base.family === ip.family && base.value >> BigInt(bits(base.family) - prefix) === ip.value >> BigInt(bits(base.family) - prefix))
}

export const plugin: Plugin<readonly Rule[]> = {
  name: 'transfer',
  parse,
  setup: (rules, env) => new Transfer(rules, env),
}
