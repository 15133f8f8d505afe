// A whole zone as records, for `transfer`. Pod names are not in it: with `insecure` there are as many
// as addresses (and the specification has removed them).
import type { Rr } from '../../wire/message.ts'
import { isBelow, type Name } from '../../wire/name.ts'
import { address, cname, ptr, srv, txt } from '../../wire/rdata.ts'
import { isReverse, reverseName } from './address.ts'
import { clusterIps, isHeadless } from './catalog.ts'
import { parseRequest } from './request.ts'
import { serviceName, type Resolver } from './resolver.ts'

const perMessage = 100

/** SOA first and last; only the SOA when `serial` is ours (IXFR). */
export function* transferOf(resolver: Resolver, zone: Name, serial?: number): Generator<readonly Rr[]> {
  const soa = resolver.soaRecord(zone)
  yield [soa]
  if (serial === resolver.catalog.serial) return
  let message: Rr[] = []
  for (const record of isReverse(zone) ? reverseRecords(resolver, zone) : forwardRecords(resolver, zone)) {
    message.push(record)
    if (message.length === perMessage) { yield message; message = [] }
  }
  yield [...message, soa]
}

function* forwardRecords(resolver: Resolver, zone: Name): Generator<Rr> {
  const { options: { ttl }, catalog } = resolver
  yield* resolver.nsRecords(zone)
  yield txt('\x0bdns-version' + zone as Name, 28_800, '1.1.0')
  for (const entry of catalog.entries()) {
    const name = serviceName(entry, zone, '')
    const found = name && resolver.lookup.find(parseRequest(name, zone))
    if (!found) continue
    if (found.kind === 'alias') yield cname(name, ttl, found.target)
    if (found.kind !== 'hosts') continue
    const seen = new Set<string>()
    const once = (key: string) => !seen.has(key) && seen.add(key)
    for (const { ip, label } of found.hosts) {
      const target = serviceName(entry, zone, label)
      if (!target) continue
      if (once(ip)) yield address(name, ttl, ip)
      if (label && once(ip + target)) yield address(target, ttl, ip)
    }
    yield* srvRecords(resolver, zone, entry)
  }
}

function* srvRecords(resolver: Resolver, zone: Name, entry: Parameters<typeof serviceName>[0]): Generator<Rr> {
  const { options: { ttl }, catalog } = resolver
  const ports = isHeadless(entry.service!) ? catalog.endpoints(entry).flatMap(endpoint => endpoint.ports) : entry.service!.spec.ports ?? []
  const named = new Set(ports.flatMap(({ name, protocol = 'TCP' }) => name ? [`${name}/${protocol}`.toLowerCase()] : []))
  for (const [port, protocol] of [...named].map(text => text.split('/') as [string, string])) {
    const name = serviceName(entry, zone, '')
    const owner = name && `${String.fromCharCode(port.length + 1)}_${port}${String.fromCharCode(protocol.length + 1)}_${protocol}${name}` as Name
    const found = owner && resolver.lookup.find(parseRequest(owner, zone))
    if (!found || found.kind !== 'hosts' || owner.length > 255) continue
    const seen = new Set<string>()
    for (const { port: number, label } of found.hosts) {
      const target = serviceName(entry, zone, label)
      if (!target || number < 0 || seen.has(number + target)) continue
      seen.add(number + target)
      yield srv(owner, ttl, { priority: 0, weight: Math.max(1, Math.floor(100 / found.hosts.length)), port: number, target })
    }
  }
}

function* reverseRecords(resolver: Resolver, zone: Name): Generator<Rr> {
  const { options: { ttl, primary }, catalog, lookup } = resolver
  const ips = new Set<string>()
  for (const entry of catalog.entries()) {
    for (const ip of isHeadless(entry.service) ? [] : clusterIps(entry.service)) ips.add(ip)
    for (const { ip } of catalog.endpoints(entry)) ips.add(ip)
  }
  for (const ip of ips) {
    const name = reverseName(ip)
    if (!isBelow(name, zone)) continue
    for (const target of lookup.namesOf(ip)) yield ptr(name, ttl, `${target}\x03svc${primary}` as Name)
  }
}
