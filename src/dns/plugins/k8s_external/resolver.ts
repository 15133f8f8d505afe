// Names of Services by what reaches them from outside: `web.default.example.org` is the load
// balancer's address. Reads the catalog that `kubernetes` keeps; has zones, TTL and SOA of its own.
import { after, records, type Packed, type Result } from '../../plugin.ts'
import { pack, unpack } from '../../answer.ts'
import type { Query } from '../../query.ts'
import type { Rr } from '../../wire/message.ts'
import { labels, longestZone, parseName, type Name } from '../../wire/name.ts'
import { address, cname, ns, ptr, soa, srv } from '../../wire/rdata.ts'
import { classes, flags, rcodes, types } from '../../wire/types.ts'
import { fromReverse, isIp6 } from '../kubernetes/address.ts'
import { addressBody, soaBody, type ZoneSoa } from '../kubernetes/bodies.ts'
import { externalIps, isHeadless, type Entry } from '../kubernetes/catalog.ts'
import { empty, hostsAt, none, type Found } from '../kubernetes/lookup.ts'
import { parseBelow, type Request } from '../kubernetes/request.ts'
import type { Resolver } from '../kubernetes/resolver.ts'
import type { ExternalOptions } from './config.ts'

export interface ExternalOutside { lookup(query: Query): Result; readonly localIps: readonly string[] }

const label = (text: string) => String.fromCharCode(text.length) + text

export class ExternalResolver {
  readonly #options: ExternalOptions
  readonly #cluster: Resolver
  readonly #outside: ExternalOutside

  constructor(options: ExternalOptions, cluster: Resolver, outside: ExternalOutside) {
    this.#options = options
    this.#cluster = cluster
    this.#outside = outside
  }

  /** undefined: not ours, or missing in a zone that falls through. */
  answer(query: Query): Result | undefined {
    const zone = longestZone(query.name, this.#options.zones)
    if (zone === undefined || query.class !== classes.IN) return undefined
    if (query.name.length === zone.length) return this.#apex(query, zone)
    const parts = labels(query.name.slice(0, query.name.length - zone.length) + '\0' as Name)
    if (parts.at(-1) === this.#options.apex) return this.#own(query, zone, parts)
    if (query.type === types.PTR) {
      const ip = fromReverse(query.name)
      if (ip !== undefined) return this.#reverse(query, zone, ip)
    }
    const request = parseBelow('svc', parts)
    return this.#forward(query, zone, { request, found: this.#find(request) })
  }

  #find(request: Request): Found {
    const { lookup, catalog } = this.#cluster
    if (request.kind === 'invalid' || !lookup.isExposed(request.namespace)) return none
    if (request.service === '') return catalog.hasNamespace(request.namespace) ? empty : none
    const entry = catalog.get(request.key)
    if (!entry) return none
    const ips = externalIps(entry.service!)
    if (ips.length > 0) return request.endpoint ? none : hostsAt(ips, entry, request)
    if (hostnameOf(entry) && !request.endpoint) return { kind: 'alias', target: hostnameOf(entry)!, entry }
    return this.#options.headless && (isHeadless(entry.service!) || request.endpoint) ? lookup.endpoints(entry, request) : none
  }

  #forward(query: Query, zone: Name, { request, found }: { request: Request; found: Found }): Result | undefined {
    if (found.kind === 'none') return this.#missing(query, zone)
    if (found.kind === 'empty') return this.#negative(query, zone, rcodes.NOERROR)
    if (found.kind === 'alias') return this.#alias(query, zone, { request, target: found.target, entry: found.entry })
    if (query.type === types.SRV) {
      const weight = Math.max(1, Math.floor(100 / found.hosts.length))
      const answer = new Map<string, Rr>(), additional = new Map<string, Rr>()
      for (const host of found.hosts) {
        const target = this.#name(found.entry!, zone, host.label)
        if (host.port < 0 || !target) continue
        answer.set(`${host.port}${target}`, srv(query.name, this.#options.ttl, { priority: 0, weight, port: host.port, target }))
        additional.set(`${host.ip}${target}`, address(target, this.#options.ttl, host.ip))
      }
      return answer.size ? this.#pack(query, [...answer.values()], [...additional.values()]) : this.#negative(query, zone, rcodes.NOERROR)
    }
    return this.#addresses(query, zone, found.hosts.map(({ ip }) => ip))
  }

  /** A load balancer with a name instead of an address. */
  #alias(query: Query, zone: Name, { request, target, entry }: { request: Request; target: Name; entry: Entry }): Result {
    const { ttl } = this.#options, { type } = query
    if (type === types.SRV) {
      const found = hostsAt(['0.0.0.0'], entry, request) // for its ports
      const ports = found.kind === 'hosts' ? [...new Set(found.hosts.map(({ port }) => port))].filter(port => port >= 0) : []
      if (ports.length === 0) return this.#negative(query, zone, found.kind === 'none' ? rcodes.NXDOMAIN : rcodes.NOERROR)
      return this.#pack(query, ports.map(port => srv(query.name, ttl, { priority: 0, weight: Math.max(1, Math.floor(100 / ports.length)), port, target })))
    }
    const answer = [cname(query.asked, ttl, target)]
    if (type !== types.A && type !== types.AAAA) return records({ flags: flags.AA, answer })
    const asking = query.asking({ name: target })
    asking.size = 65_535
    return after(this.#outside.lookup(asking), result => {
      const got = unpack(result, asking)
      const rcode = got.rcode === rcodes.NOERROR || got.rcode === rcodes.NXDOMAIN ? got.rcode : rcodes.SERVFAIL
      return records({ rcode, flags: flags.AA | got.flags & flags.TC, answer: [...answer, ...got.answer], authority: got.authority, ...(rcode === rcodes.SERVFAIL && { error: got.error ?? 'plugin/k8s_external: the name of the load balancer cannot be resolved' }) })
    })
  }

  #addresses(query: Query, zone: Name, all: readonly string[]): Packed {
    const ips = [...new Set(all)].filter(ip => query.type === (isIp6(ip) ? types.AAAA : types.A))
    if (ips.length === 0) return this.#negative(query, zone, rcodes.NOERROR)
    return { rcode: rcodes.NOERROR, flags: flags.AA, ...addressBody(ips, this.#options.ttl) }
  }

  #reverse(query: Query, zone: Name, ip: string): Packed | undefined {
    const { lookup, catalog } = this.#cluster
    const entries = catalog.byExternalIp(ip).filter(entry => lookup.isExposed(entry.namespace))
    if (entries.length === 0) return this.#missing(query, zone)
    return this.#pack(query, entries.map(entry => ptr(query.name, this.#options.ttl, this.#name(entry, this.#options.zones[0]!, '')!)))
  }

  #name(entry: Entry, zone: Name, of: string): Name | undefined {
    const name = (of && label(of)) + entry.key + zone
    return name.length <= 255 && of.length < 64 ? name as Name : undefined
  }

  // The zone itself

  #apex(query: Query, zone: Name): Packed {
    const { ttl } = this.#options
    if (query.type === types.SOA) return this.#pack(query, [this.soaRecord(zone)])
    if (query.type !== types.NS) return this.#negative(query, zone, rcodes.NOERROR)
    return this.#pack(query, [ns(query.name, ttl, this.#server(zone))], this.#serverIps().map(ip => address(this.#server(zone), ttl, ip)))
  }

  /** `dns` and `ns1.dns`, where the zone's nameservers live. */
  #own(query: Query, zone: Name, parts: readonly string[]): Packed {
    if (parts.length === 1) return this.#negative(query, zone, rcodes.NOERROR)
    if (parts.length > 2 || parts[0] !== 'ns1') return this.#negative(query, zone, rcodes.NXDOMAIN)
    return this.#addresses(query, zone, this.#serverIps())
  }

  #server(zone: Name): Name { return label('ns1') + label(this.#options.apex) + zone as Name }

  /** Where the DNS Service is reached from outside; without such, this machine. */
  #serverIps(): readonly string[] {
    const { catalog } = this.#cluster
    const ips = this.#outside.localIps.flatMap(local => catalog.byEndpointIp(local)).flatMap(entry => {
      const external = externalIps(entry.service!)
      return external.length || !this.#options.headless || !isHeadless(entry.service!) ? external : catalog.endpoints(entry).map(({ ip }) => ip)
    })
    return ips.length ? [...new Set(ips)] : this.#outside.localIps
  }

  #soa(): ZoneSoa {
    const { apex, ttl } = this.#options
    return { serial: this.#cluster.catalog.externalSerial, ttl, mname: label('ns1') + label(apex), rname: label('hostmaster') + label(apex), refresh: 7200, retry: 1800, expire: 86_400, minimum: ttl }
  }
  soaRecord(zone: Name): Rr {
    const { mname, rname, ttl, ...rest } = this.#soa()
    return soa(zone, ttl, { ...rest, mname: mname + zone as Name, rname: rname + zone as Name })
  }
  #missing(query: Query, zone: Name): Packed | undefined {
    const { fallthrough } = this.#options
    return fallthrough && longestZone(query.name, fallthrough) !== undefined ? undefined : this.#negative(query, zone, rcodes.NXDOMAIN)
  }
  #negative(query: Query, zone: Name, rcode: number): Packed {
    return this.#cluster.catalog.synced ? { rcode, flags: flags.AA, counts: [0, 1, 0], body: soaBody(query.name, zone, this.#soa()) } : notSynced
  }
  #pack({ name, type }: Query, answer: readonly Rr[], additional: readonly Rr[] = []): Packed {
    return pack(records({ flags: flags.AA, answer, additional }), { name, type })
  }

  /** All of the zone but its SOA, for `transfer`. */
  *records(zone: Name): Generator<Rr> {
    const { ttl } = this.#options, { catalog, lookup } = this.#cluster
    yield ns(zone, ttl, this.#server(zone))
    for (const ip of this.#serverIps()) yield address(this.#server(zone), ttl, ip)
    for (const entry of catalog.entries()) {
      const name = this.#name(entry, zone, '')
      if (!name || !lookup.isExposed(entry.namespace)) continue
      const found = this.#find(parseBelow('svc', [entry.name, entry.namespace]))
      if (found.kind === 'alias') yield cname(name, ttl, found.target)
      if (found.kind !== 'hosts') continue
      for (const ip of new Set(found.hosts.map(host => host.ip))) yield address(name, ttl, ip)
      yield* this.#endpointRecords(entry, zone, found)
    }
  }
  *#endpointRecords(entry: Entry, zone: Name, { hosts }: Extract<Found, { kind: 'hosts' }>): Generator<Rr> {
    const seen = new Set<string>()
    for (const { ip, label: of } of hosts) {
      const name = of && this.#name(entry, zone, of)
      if (!name || seen.has(ip + name)) continue
      seen.add(ip + name)
      yield address(name, this.#options.ttl, ip)
    }
  }
}

const notSynced: Packed = { rcode: rcodes.SERVFAIL, flags: 0, counts: [0, 0, 0], body: Buffer.alloc(0), error: 'plugin/k8s_external: not synced with the API server yet' }

function hostnameOf({ service }: Entry): Name | undefined {
  const text = service!.status?.loadBalancer?.ingress?.find(({ hostname }) => hostname)?.hostname
  return text ? parseName(`${text.replace(/\.$/, '')}.`) : undefined
}
