// The metrics of queries. Series are found through small tables by number, not by label text: this
// runs for every query.
import type { Counter, Family, Histogram, Metrics } from '../../metrics/registry.ts'
import type { Answer } from '../../plugin.ts'
import type { Query } from '../../query.ts'
import { showName, type Name } from '../../wire/name.ts'
import { rcodeName, typeName, types } from '../../wire/types.ts'

/** CoreDNS's `monitorType`; the others count as `other`. */
const monitored: ReadonlySet<number> = new Set([types.A, types.AAAA, types.AXFR, types.CNAME, types.DNSKEY, types.DS, types.HTTPS, types.IXFR, types.MX, types.NS, types.NSEC, types.NSEC3, types.PTR, types.RRSIG, types.SOA, types.SRV, types.TXT, types.ANY])

const doubling = Array.from({ length: 16 }, (_, i) => 0.00025 * 2 ** i)
const sizes = [0, 100, 200, 300, 400, 511, 1023, 2047, 4095, 8291, 16e3, 32e3, 48e3, 64e3]

interface Families {
  readonly requests: Family<Counter>
  readonly duration: Family<Histogram>
  readonly requestSize: Family<Histogram>
  readonly responseSize: Family<Histogram>
  readonly responses: Family<Counter>
  readonly dnssec: Family<Counter>
}

/** All series of one server and zone. */
class ZoneSeries {
  readonly #families: Families
  readonly #labels: readonly [server: string, zone: string, view: string]
  readonly #requests: Counter[] = []
  readonly #sizes: { request: Histogram; response: Histogram }[] = []
  readonly #responses = new Map<string, Counter[]>()
  readonly #duration: Histogram
  #dnssec: Counter | undefined

  constructor(families: Families, labels: readonly [string, string, string]) {
    this.#families = families
    this.#labels = labels
    this.#duration = families.duration.with(...labels)
  }

  observe(query: Query, answer: Answer, { bytes, ms }: { bytes: number; ms: number }): void {
    const { protocol, family } = query.origin
    const isTcp = protocol === 'tcp' ? 1 : 0
    const type = monitored.has(query.type) ? query.type : 0
    const slot = type << 2 | isTcp << 1 | (family === 6 ? 1 : 0)
    ;(this.#requests[slot] ??= this.#families.requests.with(...this.#labels, protocol, family === 6 ? '2' : '1', type ? typeName(type) : 'other')).inc()
    this.#duration.observe(ms / 1000)
    const of = this.#sizes[isTcp] ??= { request: this.#families.requestSize.with(...this.#labels, protocol), response: this.#families.responseSize.with(...this.#labels, protocol) }
    of.request.observe(query.message.length)
    of.response.observe(bytes)
    let byRcode = this.#responses.get(query.reached)
    if (!byRcode) this.#responses.set(query.reached, byRcode = [])
    ;(byRcode[answer.rcode] ??= this.#families.responses.with(...this.#labels, rcodeName(answer.rcode), query.reached)).inc()
    if (query.edns?.dnssec) (this.#dnssec ??= this.#families.dnssec.with(...this.#labels)).inc()
  }
}

export class QueryMetrics {
  readonly #families: Families
  readonly #view: string
  readonly #zones = new Map<string, ZoneSeries>()
  readonly #labels = new Map<Name, string>()
  #last: { server: string; zone: Name; series: ZoneSeries } | undefined

  constructor(metrics: Metrics, view: string) {
    this.#view = view
    const zone = ['server', 'zone', 'view']
    this.#families = {
      requests: metrics.counter('coredns_dns_requests_total', 'Counter of DNS requests made per zone, protocol and family.', [...zone, 'proto', 'family', 'type']),
      duration: metrics.histogram('coredns_dns_request_duration_seconds', 'Histogram of the time (in seconds) each request took per zone.', zone, doubling),
      requestSize: metrics.histogram('coredns_dns_request_size_bytes', 'Size of the EDNS0 UDP buffer in bytes (64K for TCP) per zone and protocol.', [...zone, 'proto'], sizes),
      responseSize: metrics.histogram('coredns_dns_response_size_bytes', 'Size of the returned response in bytes.', [...zone, 'proto'], sizes),
      responses: metrics.counter('coredns_dns_responses_total', 'Counter of response status codes.', [...zone, 'rcode', 'plugin']),
      dnssec: metrics.counter('coredns_dns_do_requests_total', 'Counter of DNS requests with DO bit set per zone.', zone),
    }
  }

  zoneLabel(zone: Name): string {
    let label = this.#labels.get(zone)
    if (label === undefined) this.#labels.set(zone, label = showName(zone))
    return label
  }

  observe(query: Query, answer: Answer, sent: { bytes: number; ms: number }): void {
    const { server, zone } = query
    if (this.#last?.server !== server || this.#last.zone !== zone) this.#last = { server, zone, series: this.#seriesOf(server, zone) }
    this.#last.series.observe(query, answer, sent)
  }
  #seriesOf(server: string, zone: Name): ZoneSeries {
    const key = `${server}\0${zone}`
    let series = this.#zones.get(key)
    if (!series) this.#zones.set(key, series = new ZoneSeries(this.#families, [server, this.zoneLabel(zone), this.#view]))
    return series
  }
}
