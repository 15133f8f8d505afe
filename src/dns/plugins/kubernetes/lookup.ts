// Which endpoints, addresses or alias a request means, by what the cluster has now: CoreDNS's
// findServices and findPods. Says nothing of record types, TTLs or bytes.
import type { Service } from '#api/core/v1.ts'
import type { EndpointPort } from '#api/discovery/v1.ts'
import { parseName, type Name } from '../../wire/name.ts'
import { canonical, fromDashed, fromReverse } from './address.ts'
import { clusterIps, isExternalName, isHeadless, type Catalog, type Entry } from './catalog.ts'
import type { Request } from './request.ts'

/** One address with one of its ports. */
export interface Host {
  readonly ip: string
  /** -1 where there is none: an address without SRV. */
  readonly port: number
  /** Below the Service's name; '' when it is the Service itself. */
  readonly label: string
}

export type Found =
  | { readonly kind: 'none' }
  /** The name exists and has no records of its own. */
  | { readonly kind: 'empty' }
  | { readonly kind: 'hosts'; readonly hosts: readonly Host[]; readonly entry?: Entry }
  | { readonly kind: 'alias'; readonly target: Name; readonly entry: Entry }

export const none: Found = { kind: 'none' }
export const empty: Found = { kind: 'empty' }

export interface LookupOptions {
  /** Only these namespaces; undefined: all. */
  readonly namespaces?: ReadonlySet<string> | undefined
  /** Only namespaces that were listed, because a selector limits those. */
  readonly namespaceLabels?: string | undefined
  readonly pods: 'disabled' | 'insecure' | 'verified'
  readonly ignoreEmptyService: boolean
  readonly ptrHostnameOnly: boolean
}

export class Lookup {
  readonly #catalog: Catalog
  readonly #options: LookupOptions

  constructor(catalog: Catalog, options: LookupOptions) {
    this.#catalog = catalog
    this.#options = options
  }

  /** Without the names that only zones have (apex, ns, version). */
  find(request: Request): Found {
    if (request.kind === 'invalid') return none
    if (request.namespace === '') return empty
    if (!this.isExposed(request.namespace)) return none
    if (request.kind === 'pod') return this.#pod(request)
    // A namespace exists when a Service of it does: its own event may come a moment later.
    if (request.service === '') return this.#catalog.hasNamespace(request.namespace) ? empty : none
    const entry = this.#catalog.get(request.key)
    return entry ? this.#service(entry, request) : none
  }

  isExposed(namespace: string): boolean {
    const { namespaces, namespaceLabels } = this.#options
    return (!namespaces || namespaces.has(namespace)) && (namespaceLabels === undefined || this.#catalog.hasNamespace(namespace))
  }

  #service(entry: Entry, request: Request): Found {
    const service = entry.service!, { endpoint } = request
    if (isExternalName(service)) return endpoint ? none : alias(entry, service)
    if (endpoint || isHeadless(service)) return this.endpoints(entry, request)
    if (this.#options.ignoreEmptyService && this.#catalog.endpoints(entry).length === 0) return none
    return hostsAt(clusterIps(service), entry, request)
  }

  /** Of a headless Service, or the one that the request names. */
  endpoints(entry: Entry, request: Request): Found {
    const all = request.endpoint ? this.#catalog.labelled(entry, request.endpoint) : this.#catalog.endpoints(entry)
    const hosts: Host[] = []
    for (const { ip, label, ports } of all) for (const port of portsFor(request, ports)) hosts.push({ ip, port, label })
    return found(entry, hosts) ?? none
  }

  #pod({ namespace, service: label, endpoint, protocol }: Request): Found {
    const { pods } = this.#options
    if (pods === 'disabled' || endpoint || protocol) return none
    if (label === '') return this.#catalog.hasNamespace(namespace) ? empty : none
    const ip = fromDashed(label)
    if (ip === undefined) return none
    const exists = pods === 'insecure' ? this.#catalog.hasNamespace(namespace) : this.#catalog.pods(ip).some(pod => pod.metadata.namespace === namespace)
    return exists ? { kind: 'hosts', hosts: [{ ip, port: -1, label: '' }] } : none
  }

  /** The labels before `svc.<zone>` of all that a reverse name stands for; empty: NXDOMAIN. */
  reverse(name: Name): string[] | undefined {
    const ip = fromReverse(name)
    return ip === undefined ? undefined : this.namesOf(ip)
  }
  namesOf(ip: string): string[] {
    const [service] = this.#catalog.byClusterIp(ip).filter(entry => this.isExposed(entry.namespace))
    if (service) return [service.key]
    const labels = this.#catalog.byEndpointIp(ip).filter(entry => this.isExposed(entry.namespace)).flatMap(entry =>
      this.#catalog.endpoints(entry).filter(endpoint => endpoint.ip === ip && (endpoint.named || !this.#options.ptrHostnameOnly)).map(({ label }) => String.fromCharCode(label.length) + label + entry.key))
    return [...new Set(labels)]
  }
}

/** A Service at these addresses, with the ports that are meant; without an address yet it is empty. */
export function hostsAt(ips: readonly string[], entry: Entry, request: Request): Found {
  const ports = portsFor(request, entry.service!.spec.ports ?? [])
  return found(entry, ports.flatMap(port => ips.map(ip => ({ ip, port, label: '' })))) ?? (ports.length ? empty : none)
}

const found = (entry: Entry, hosts: readonly Host[]): Found | undefined => hosts.length ? { kind: 'hosts', hosts, entry } : undefined

/** An address as externalName gets no CNAME, and so no answer at all: the API takes it, DNS cannot. */
function alias(entry: Entry, { spec }: Service): Found {
  const text = spec.externalName ?? ''
  const target = text === '' || canonical(text) !== undefined ? undefined : parseName(text.endsWith('.') ? text : `${text}.`)
  return target ? { kind: 'alias', target, entry } : none
}

/** The numbers of the ports meant; a Service or slice without ports has one that is none. */
function portsFor({ port, protocol }: Request, ports: readonly (EndpointPort | { name?: string; protocol?: string; port: number })[]): number[] {
  if (port === '' && protocol === '') return ports.length ? ports.map(({ port = -1 }) => port) : [-1]
  return ports.filter(({ name = '', protocol: of = 'TCP' }) => (port === '' || name.toLowerCase() === port) && (protocol === '' || of.toLowerCase() === protocol)).map(({ port: number = -1 }) => number)
}
