// The cluster's objects as DNS looks for them: Services with their EndpointSlices by name, and what
// an address belongs to. Kept by single changes, each of which costs what its own Service costs.
// Knows neither zones nor questions nor answers; those are resolver.ts.
import type { Namespace, Pod, Service } from '#api/core/v1.ts'
import type { EndpointPort, EndpointSlice } from '#api/discovery/v1.ts'
import { canonical, dashed } from './address.ts'
import { serviceNameLabel } from './objects.ts'

/** An address that is ready, under its label below the Service's name. */
export interface EndpointAddress {
  readonly label: string
  readonly ip: string
  /** The label is the endpoint's own hostname, not made of its address or pod. */
  readonly named: boolean
  /** Of its EndpointSlice. */
  readonly ports: readonly EndpointPort[]
}

/** One Service's name: the Service and its slices, in whatever order they come. */
export class Entry {
  readonly name: string
  readonly namespace: string
  /** The labels of both as a question has them: `\x03web\x07default`. */
  readonly key: string
  service: Service | undefined
  readonly slices = new Map<string, EndpointSlice>()
  /** Grows with every change: what was made of another version is void. */
  version = 0
  #endpoints: readonly EndpointAddress[] | undefined
  #byLabel: Map<string, EndpointAddress[]> | undefined

  constructor(namespace: string, name: string) {
    this.namespace = namespace
    this.name = name
    this.key = entryKey(namespace, name)
  }

  changed(): void {
    this.version++
    this.#endpoints = this.#byLabel = undefined
  }

  /** In the order of the slices' names, so that it depends on nothing but the objects. */
  endpoints(podNames: boolean): readonly EndpointAddress[] {
    return this.#endpoints ??= [...this.slices.values()].sort((a, b) => a.metadata.name < b.metadata.name ? -1 : 1).flatMap(slice => addressesOf(slice, podNames))
  }
  labelled(label: string, podNames: boolean): readonly EndpointAddress[] {
    if (!this.#byLabel) {
      this.#byLabel = new Map()
      for (const endpoint of this.endpoints(podNames)) {
        const same = this.#byLabel.get(endpoint.label)
        if (same) same.push(endpoint)
        else this.#byLabel.set(endpoint.label, [endpoint])
      }
    }
    return this.#byLabel.get(label) ?? []
  }
}

export const entryKey = (namespace: string, name: string): string =>
  String.fromCharCode(name.length) + name + String.fromCharCode(namespace.length) + namespace

/** Missing means ready (EndpointConditions). */
const readyEndpoints = (slice: EndpointSlice) =>
  slice.addressType === 'FQDN' ? [] : (slice.endpoints ?? []).filter(endpoint => endpoint.conditions?.ready !== false)

function addressesOf(slice: EndpointSlice, podNames: boolean): EndpointAddress[] {
  return readyEndpoints(slice).flatMap(({ addresses, hostname, targetRef }) => addresses.flatMap(address => {
    const ip = canonical(address)
    if (ip === undefined) return []
    const podName = podNames && targetRef?.name && targetRef.name.length < 64 ? targetRef.name : undefined
    return [{ ip, label: (hostname || podName || dashed(ip)).toLowerCase(), named: Boolean(hostname), ports: slice.ports ?? [] }]
  }))
}

export const isHeadless = ({ spec }: Service): boolean => spec.clusterIP === 'None'
export const isExternalName = ({ spec }: Service): boolean => spec.type === 'ExternalName'
export function clusterIps({ spec }: Service): string[] {
  const all = spec.clusterIPs?.length ? spec.clusterIPs : spec.clusterIP ? [spec.clusterIP] : []
  return all.flatMap(text => canonical(text) ?? [])
}
/** What reaches the Service from outside: externalIPs and the load balancer's addresses. */
export function externalIps({ spec, status }: Service): string[] {
  const all = [...spec.externalIPs ?? [], ...(status?.loadBalancer?.ingress ?? []).flatMap(({ ip }) => ip ?? [])]
  return [...new Set(all.flatMap(text => canonical(text) ?? []))]
}

/** Address to what has it. Nearly always one, so that one needs no array; the same owner may be in it twice, and leaves as often. */
class Owners<T> {
  readonly #owners = new Map<string, T | T[]>()
  get size(): number { return this.#owners.size }
  get(ip: string): readonly T[] {
    const found = this.#owners.get(ip)
    return found === undefined ? [] : Array.isArray(found) ? [...new Set(found)] : [found]
  }
  add(ip: string, owner: T): void {
    const found = this.#owners.get(ip)
    if (found === undefined) this.#owners.set(ip, owner)
    else if (Array.isArray(found)) found.push(owner)
    else this.#owners.set(ip, [found, owner])
  }
  remove(ip: string, owner: T): void {
    const found = this.#owners.get(ip)
    if (!Array.isArray(found)) { if (found === owner) this.#owners.delete(ip); return }
    const at = found.indexOf(owner)
    if (at >= 0) found.splice(at, 1)
    if (found.length === 1) this.#owners.set(ip, found[0]!)
  }
}

export class Catalog {
  readonly #entries = new Map<string, Entry>()
  readonly #namespaces = new Set<string>()
  readonly #clusterIps = new Owners<Entry>()
  readonly #endpointIps = new Owners<Entry>()
  readonly #externalIps = new Owners<Entry>()
  readonly #podIps = new Owners<Pod>()
  readonly #podNames: boolean
  readonly #now: () => number
  /** Everything has been listed once. */
  synced = false
  /** Grows with every change of a Namespace. */
  namespacesVersion = 0
  /** Seconds since 1970 of the last change: the zones' serial. */
  serial: number
  /** The same of changes to external addresses. */
  externalSerial: number

  /** `podNames`: endpoints without a hostname are named after their pod (`endpoint_pod_names`); `now`: milliseconds. */
  constructor({ podNames = false, now }: { podNames?: boolean; now: () => number }) {
    this.#podNames = podNames
    this.#now = now
    this.serial = this.externalSerial = this.#seconds()
  }
  #seconds(): number { return Math.floor(this.#now() / 1000) >>> 0 }

  /** By `entryKey`; undefined when there is no such Service. */
  get(key: string): Entry | undefined {
    const entry = this.#entries.get(key)
    return entry?.service && entry
  }
  /** All Services, by namespace and name. */
  *entries(): Generator<Entry & { service: Service }> {
    const all = [...this.#entries.values()].filter(hasService)
    yield* all.sort((a, b) => a.namespace < b.namespace ? -1 : a.namespace > b.namespace ? 1 : a.name < b.name ? -1 : 1)
  }
  endpoints(entry: Entry): readonly EndpointAddress[] { return entry.endpoints(this.#podNames) }
  labelled(entry: Entry, label: string): readonly EndpointAddress[] { return entry.labelled(label, this.#podNames) }

  hasNamespace(name: string): boolean { return this.#namespaces.has(name) }
  byClusterIp(ip: string): readonly Entry[] { return this.#live(this.#clusterIps.get(ip)) }
  byEndpointIp(ip: string): readonly Entry[] { return this.#live(this.#endpointIps.get(ip)) }
  byExternalIp(ip: string): readonly Entry[] { return this.#live(this.#externalIps.get(ip)) }
  #live(entries: readonly Entry[]): readonly Entry[] {
    return entries.filter(hasService).sort((a, b) => a.key < b.key ? -1 : 1)
  }
  /** How much is held of each. */
  sizes(): { entries: number; namespaces: number; clusterIps: number; endpointIps: number; externalIps: number; podIps: number } {
    return { entries: this.#entries.size, namespaces: this.#namespaces.size, clusterIps: this.#clusterIps.size, endpointIps: this.#endpointIps.size, externalIps: this.#externalIps.size, podIps: this.#podIps.size }
  }
  pods(ip: string): readonly Pod[] { return this.#podIps.get(ip) }

  changeService(old: Service | undefined, now: Service | undefined): void {
    const entry = this.#entry((now ?? old)!.metadata.namespace!, (now ?? old)!.metadata.name)
    if (old) this.#index(entry, old, 'remove')
    entry.service = now
    if (now) this.#index(entry, now, 'add')
    this.#touch(entry)
    if (externalText(old) !== externalText(now)) this.externalSerial = this.#seconds()
  }
  #index(entry: Entry, service: Service, change: 'add' | 'remove'): void {
    if (!isHeadless(service) && !isExternalName(service)) for (const ip of clusterIps(service)) this.#clusterIps[change](ip, entry)
    for (const ip of externalIps(service)) this.#externalIps[change](ip, entry)
  }

  changeSlice(old: EndpointSlice | undefined, now: EndpointSlice | undefined): void {
    // A slice that is given to another Service leaves the one it had.
    if (old && now && ownerOf(old) !== ownerOf(now)) { this.changeSlice(old, undefined); old = undefined }
    const owner = ownerOf((now ?? old)!)
    if (owner === undefined) return
    const entry = this.#entry((now ?? old)!.metadata.namespace!, owner)
    if (old) for (const ip of ipsOf(old)) this.#endpointIps.remove(ip, entry)
    if (now) {
      entry.slices.set(now.metadata.name, now)
      for (const ip of ipsOf(now)) this.#endpointIps.add(ip, entry)
    } else entry.slices.delete(old!.metadata.name)
    this.#touch(entry)
  }

  changeNamespace(old: Namespace | undefined, now: Namespace | undefined): void {
    if (now) this.#namespaces.add(now.metadata.name)
    else this.#namespaces.delete(old!.metadata.name)
    this.namespacesVersion++
    this.serial = this.#seconds()
  }

  changePod(old: Pod | undefined, now: Pod | undefined): void {
    for (const { ip } of old?.status?.podIPs ?? []) this.#podIps.remove(canonical(ip!) ?? '', old!)
    for (const { ip } of now?.status?.podIPs ?? []) this.#podIps.add(canonical(ip!) ?? '', now!)
  }

  #entry(namespace: string, name: string): Entry {
    const key = entryKey(namespace, name)
    let entry = this.#entries.get(key)
    if (!entry) this.#entries.set(key, entry = new Entry(namespace, name))
    return entry
  }
  #touch(entry: Entry): void {
    entry.changed()
    if (!entry.service && entry.slices.size === 0) this.#entries.delete(entry.key)
    this.serial = this.#seconds()
  }
}

const hasService = (entry: Entry): entry is Entry & { service: Service } => entry.service !== undefined
const ownerOf = (slice: EndpointSlice) => slice.metadata.labels?.[serviceNameLabel]
const ipsOf = (slice: EndpointSlice) => readyEndpoints(slice).flatMap(({ addresses }) => addresses.flatMap(address => canonical(address) ?? []))
const externalText = (service: Service | undefined) => service ? externalIps(service).join() : ''
