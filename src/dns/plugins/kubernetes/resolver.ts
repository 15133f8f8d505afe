// The answers of the cluster's zones. Those made of one Service alone are kept by the question's
// bytes and hold as long as that Service does not change; everything negative is made of the zone
// alone, so there is nothing that could be stale.
import { after, failure, records, refused, type Answer, type Packed, type Result } from '../../plugin.ts'
import { pack, unpack } from '../../answer.ts'
import type { Query } from '../../query.ts'
import type { Rr } from '../../wire/message.ts'
import { fold, isBelow, longestZone, type Name } from '../../wire/name.ts'
import { address, cname, ns, ptr, soa, srv, txt } from '../../wire/rdata.ts'
import { classes, flags, rcodes, types } from '../../wire/types.ts'
import { isIp6, isReverse } from './address.ts'
import { addressBody, cut, soaBody, type ZoneSoa } from './bodies.ts'
import { clusterIps, isHeadless, type Catalog, type Entry } from './catalog.ts'
import { Lookup, type Found, type Host, type LookupOptions } from './lookup.ts'
import { parseRequest } from './request.ts'

export interface ResolverOptions extends LookupOptions {
  /** Folded. */
  readonly zones: readonly Name[]
  /** The first that is no reverse zone: where PTR records point. */
  readonly primary: Name
  readonly ttl: number
  /** Zones whose missing names are passed on; undefined: none. */
  readonly fallthrough?: readonly Name[] | undefined
}

export interface Outside {
  random(): number
  lookup(query: Query): Result
  /** Addresses of this machine: by them our own Service is found, for NS. */
  readonly localIps: readonly string[]
}

/** An answer and what it was made of. */
interface Kept extends Packed {
  readonly entry: Entry
  readonly version: number
  /** The name has no records of the type: where in the question its zone begins. The SOA to send is always today's. */
  readonly emptyIn: Name | undefined
}

const mostKept = 50_000
/** CNAMEs in one answer, and queries of our own for one query. */
const longestChain = 10
/** CoreDNS's: the specification's version changes so seldom. */
const versionTtl = 28_800
const specification = '1.1.0'
const svc = '\x03svc', nsLabels = '\x02ns\x03dns', hostmaster = '\x0ahostmaster'

export class Resolver {
  readonly catalog: Catalog
  readonly lookup: Lookup
  readonly options: ResolverOptions
  readonly #outside: Outside
  readonly #kept = new Map<string, Kept>()
  #negative = new Map<number, Packed>()
  #negativeSerial = -1
  #namespaces = 0

  constructor(catalog: Catalog, options: ResolverOptions, outside: Outside) {
    this.catalog = catalog
    this.options = options
    this.#outside = outside
    this.lookup = new Lookup(catalog, options)
  }

  /** undefined: not ours, or missing in a zone that falls through. */
  answer(query: Query): Result | undefined {
    if (this.#namespaces !== this.catalog.namespacesVersion) this.#forgetNamespaces()
    const kept = this.#kept.get(query.key)
    if (kept && kept.version === kept.entry.version) return kept.emptyIn === undefined ? this.#fit(query, kept) : this.#nodata(query, kept.emptyIn)
    if (query.class !== classes.IN) return undefined
    const zone = longestZone(query.name, this.options.zones)
    if (zone === undefined) return undefined
    const { type } = query
    if (type === types.AXFR || type === types.IXFR) return refused // transfer stands before this plugin and answers those it allows
    if (query.name.length === zone.length) return this.#apex(query, zone)
    if (isReverse(query.name)) return this.#reverse(query, zone)
    return this.#forward(query, zone)
  }

  /** Where namespaces are chosen by label, all that was kept may be of one that is chosen no more. */
  #forgetNamespaces(): void {
    this.#namespaces = this.catalog.namespacesVersion
    if (this.options.namespaceLabels !== undefined) this.#kept.clear()
  }

  #forward(query: Query, zone: Name): Result | undefined {
    const request = parseRequest(query.name, zone)
    if (request.kind === 'version') return query.type === types.TXT ? this.#one(query, txt(query.name, versionTtl, specification)) : this.#nodata(query, zone)
    if (request.kind === 'ns') return this.#addresses(query, zone, this.#servers(zone).flatMap(({ ips }) => ips))
    const found = this.lookup.find(request)
    switch (found.kind) {
      case 'none': return this.#missing(query, zone)
      case 'empty': return this.#nodata(query, zone)
      case 'alias': return query.type === types.SRV ? this.#nodata(query, zone) : this.#follow(query, zone, found.target) // SRV would have to be of the target's ports, which nobody knows
      case 'hosts': return this.#hosts(query, zone, found)
    }
  }

  // Answers of hosts

  #hosts(query: Query, zone: Name, { hosts, entry }: Extract<Found, { kind: 'hosts' }>): Answer {
    const { type } = query
    if (type === types.SRV && entry) {
      const made = this.#srv(query, zone, { hosts, entry })
      return made ? this.#keep(query, made, entry) : this.#keepEmpty(query, zone, entry)
    }
    const ips = hosts.map(({ ip }) => ip)
    return this.#addresses(query, zone, ips, entry)
  }

  #addresses(query: Query, zone: Name, all: readonly string[], entry?: Entry): Answer {
    const { type } = query
    if (type !== types.A && type !== types.AAAA) return this.#nodata(query, zone) // not kept: an asker could fill the memory with 65,536 types
    const ips = [...new Set(all.filter(ip => isIp6(ip) === (type === types.AAAA)))]
    if (ips.length === 0) return entry ? this.#keepEmpty(query, zone, entry) : this.#nodata(query, zone)
    const made: Packed = { rcode: rcodes.NOERROR, flags: flags.AA, ...addressBody(ips, this.options.ttl) }
    return entry ? this.#keep(query, made, entry) : this.#fit(query, made)
  }

  /** Weights as CoreDNS gives them: 100 shared by all that were found, doubles included. */
  #srv(query: Query, zone: Name, { hosts, entry }: { hosts: readonly Host[]; entry: Entry }): Packed | undefined {
    const { ttl } = this.options
    const weight = Math.max(1, Math.floor(100 / hosts.length))
    const answer = new Map<string, Rr>(), additional = new Map<string, Rr>()
    for (const { ip, port, label } of hosts) {
      if (port < 0) continue
      const target = serviceName(entry, zone, label)
      if (!target) continue
      answer.set(`${port}${target}`, srv(query.name, ttl, { priority: 0, weight, port, target }))
      additional.set(`${ip}${target}`, address(target, ttl, ip))
    }
    if (answer.size === 0) return undefined
    return packFor(query, [...answer.values()], [...additional.values()])
  }

  #keep(query: Query, made: Packed, entry: Entry): Answer {
    return this.#fit(query, this.#put(query, made, { entry, emptyIn: undefined }))
  }
  #keepEmpty(query: Query, zone: Name, entry: Entry): Answer {
    const answer = this.#nodata(query, zone)
    if (answer !== notSynced) this.#put(query, nothing, { entry, emptyIn: zone })
    return answer
  }
  /** All in one object, of one shape, so that a hit is one look-up and one comparison. */
  #put(query: Query, { rcode, flags, counts, body, width }: Packed, { entry, emptyIn }: { entry: Entry; emptyIn: Name | undefined }): Kept {
    if (this.#kept.size >= mostKept) this.#kept.clear()
    const kept: Kept = { rcode, flags, counts, body, ...(width && { width }), entry, version: entry.version, emptyIn }
    this.#kept.set(query.key, kept)
    return kept
  }

  /** Cuts what cannot be sent whole, without reading thousands of records for each query. */
  #fit(query: Query, answer: Packed): Packed {
    if (query.end + answer.body.length + 11 <= query.size) return answer
    const room = query.size - query.end - (query.edns ? 11 : 0)
    return answer.body.length <= room ? answer : cut(answer, room, this.#outside.random())
  }

  #one(query: Query, record: Rr): Packed { return packFor(query, [record]) }

  // What is not there

  #nodata(query: Query, zone: Name): Packed { return this.#soaAnswer(query, zone, rcodes.NOERROR) }

  #missing(query: Query, zone: Name): Packed | undefined {
    const { fallthrough } = this.options
    if (fallthrough && longestZone(query.name, fallthrough) !== undefined) return undefined
    return this.#soaAnswer(query, zone, rcodes.NXDOMAIN)
  }

  /** Depends on nothing but the zone, where in the question it stands, and the serial. Before the first sync nobody knows what is missing. */
  #soaAnswer(query: Query, zone: Name, rcode: number): Packed {
    if (!this.catalog.synced) return notSynced
    if (this.#negativeSerial !== this.catalog.serial) {
      this.#negative = new Map()
      this.#negativeSerial = this.catalog.serial
    }
    const key = this.options.zones.indexOf(zone) * 1024 + (query.name.length - zone.length) * 4 + rcode
    let made = this.#negative.get(key)
    if (!made) this.#negative.set(key, made = { rcode, flags: flags.AA, counts: [0, 1, 0], body: soaBody(query.name, zone, this.#soa()) })
    return made
  }

  #soa(): ZoneSoa {
    const { ttl } = this.options
    return { serial: this.catalog.serial, ttl: Math.min(ttl, 300), mname: nsLabels, rname: hostmaster, refresh: 7200, retry: 1800, expire: 86_400, minimum: ttl }
  }
  soaRecord(zone: Name): Rr {
    const { mname, rname, ttl, ...rest } = this.#soa()
    return soa(zone, ttl, { ...rest, mname: mname + zone as Name, rname: rname + zone as Name })
  }

  // The zone itself

  #apex(query: Query, zone: Name): Packed {
    if (query.type === types.SOA) return this.#one(query, this.soaRecord(zone))
    if (query.type !== types.NS) return this.#nodata(query, zone)
    const [answer, additional] = this.#ns(zone)
    return packFor(query, answer, additional)
  }

  #ns(zone: Name): [servers: Rr[], addresses: Rr[]] {
    const { ttl } = this.options
    const servers = this.#servers(isReverse(zone) ? this.options.primary : zone)
    return [servers.map(({ name }) => ns(zone, ttl, name)), servers.flatMap(({ name, ips }) => ips.map(ip => address(name, ttl, ip)))]
  }
  /** The zone's NS records, and the addresses of its `ns.dns`. */
  nsRecords(zone: Name): Rr[] {
    const ips = new Set(this.#servers(zone).flatMap(({ ips }) => ips))
    return [...this.#ns(zone)[0], ...[...ips].map(ip => address(nsLabels + zone as Name, this.options.ttl, ip))]
  }

  /** The Services that this machine's addresses are endpoints of, which are ours; without any, this machine. */
  #servers(zone: Name): { name: Name; ips: string[] }[] {
    const servers = new Map<Name, Set<string>>()
    const add = (name: Name | undefined, ips: readonly string[]) => {
      if (name) servers.set(name, new Set([...servers.get(name) ?? [], ...ips]))
    }
    for (const local of this.#outside.localIps) {
      for (const entry of this.catalog.byEndpointIp(local)) {
        if (!isHeadless(entry.service!)) add(serviceName(entry, zone, ''), clusterIps(entry.service!))
        else for (const { label, ip } of this.catalog.endpoints(entry)) add(serviceName(entry, zone, label), [ip])
      }
    }
    if (servers.size === 0) add(nsLabels + zone as Name, this.#outside.localIps)
    return [...servers].map(([name, ips]) => ({ name, ips: [...ips] }))
  }

  #reverse(query: Query, zone: Name): Packed | undefined {
    const names = this.lookup.reverse(query.name)
    if (!names?.length) return this.#missing(query, zone)
    if (query.type !== types.PTR) return this.#nodata(query, zone)
    const answer = names.map(name => ptr(query.name, this.options.ttl, name + svc + this.options.primary as Name))
    return this.#fit(query, packFor(query, answer))
  }

  // ExternalName

  /** The chain of CNAMEs as far as it is in this zone, and behind it what the rest of this server says. */
  #follow(query: Query, zone: Name, first: Name): Result {
    const { ttl } = this.options
    const answer: Rr[] = [cname(query.asked, ttl, first)]
    const done = (rcode: number, more: readonly Rr[] = []) =>
      records({ rcode, flags: flags.AA, answer: [...answer, ...more], authority: more.length || query.type === types.CNAME ? [] : [this.soaRecord(zone)] })
    if (query.type === types.CNAME) return done(rcodes.NOERROR)
    const seen = new Set<string>([query.name])
    for (let target = first; ;) {
      const name = fold(target)
      if (seen.has(name) || seen.size > longestChain) return this.#nodata(query, zone)
      seen.add(name)
      if (longestZone(name, this.options.zones) !== zone || !isBelow(name, zone)) return this.#upstream(query, target, answer)
      const found = this.lookup.find(parseRequest(name, zone))
      if (found.kind === 'alias') {
        answer.push(cname(target, ttl, found.target))
        target = found.target
        continue
      }
      if (found.kind === 'none') return this.catalog.synced ? done(rcodes.NXDOMAIN) : notSynced
      const ips = found.kind === 'hosts' && (query.type === types.A || query.type === types.AAAA) ? found.hosts.map(({ ip }) => ip) : []
      return done(rcodes.NOERROR, [...new Set(ips)].filter(ip => isIp6(ip) === (query.type === types.AAAA)).map(ip => address(target, ttl, ip)))
    }
  }

  #upstream(query: Query, target: Name, answer: readonly Rr[]): Result {
    let depth = 0
    for (let from = query.from; from; from = from.from) depth++
    if (depth > longestChain) return failure('plugin/kubernetes: externalName leads in a circle')
    const asking = query.asking({ name: target })
    asking.size = 65_535
    return after(this.#outside.lookup(asking), result => {
      const got = unpack(result, asking)
      // RFC 6604: the rcode is that of the chain's end. What is neither an answer nor a denial is a failure, so that the asker tries again.
      const rcode = got.rcode === rcodes.NOERROR || got.rcode === rcodes.NXDOMAIN ? got.rcode : rcodes.SERVFAIL
      return records({ rcode, flags: flags.AA | got.flags & flags.TC, answer: [...answer, ...got.answer], authority: got.authority, ...(rcode === rcodes.SERVFAIL && { error: got.error ?? 'plugin/kubernetes: the target of externalName cannot be resolved' }) })
    })
  }
}

const packFor = ({ name, type }: Query, answer: readonly Rr[], additional: readonly Rr[] = []): Packed => pack(records({ flags: flags.AA, answer, additional }), { name, type })

/** In place of an answer that is made of the zone. */
const nothing: Packed = { rcode: 0, flags: 0, counts: [0, 0, 0], body: Buffer.alloc(0) }
const notSynced = failure('plugin/kubernetes: not synced with the API server yet')

/** Of the Service, or of an endpoint below it; undefined when it would be longer than a name can be. */
export function serviceName(entry: Entry, zone: Name, label: string): Name | undefined {
  const name = (label && String.fromCharCode(label.length) + label) + entry.key + svc + zone
  return name.length <= 255 && label.length < 64 ? name as Name : undefined
}
