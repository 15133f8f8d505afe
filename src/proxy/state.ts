// The desired state of the Service proxy: Services, EndpointSlices and Nodes in, and for every
// Service port its chosen endpoints out. Kept up to date change by change; a change costs what its
// own Service costs. `desiredPorts` computes the same from nothing, and a test holds the two equal.
import type { Node, Service } from '#api/core/v1.ts'
import type { EndpointSlice } from '#api/discovery/v1.ts'
import { keyOf } from '#api/object.ts'
import { equal } from '#lib/equal.ts'
import type { Family } from '#net/ip.ts'
import { endpointKey, endpoints, serviceOf, type Endpoint } from './endpoints.ts'
import { isProxied, servicePorts, type ServicePort } from './services.ts'
import { chooseEndpoints, type ChosenEndpoints, type NodeTopology } from './topology.ts'

/** A Service port with the endpoints that packets may reach from this node. */
export interface ProxiedPort extends ServicePort, ChosenEndpoints {
  /** Ready endpoints on this node: what the health check node port answers. */
  readonly localReady: number
}

export type Change =
  | { readonly kind: 'Service'; readonly key: string; readonly now: Service | undefined }
  | { readonly kind: 'EndpointSlice'; readonly key: string; readonly now: EndpointSlice | undefined }
  | { readonly kind: 'Node'; readonly key: string; readonly now: Node | undefined }

export interface Objects {
  readonly services: Iterable<Service>
  readonly slices: Iterable<EndpointSlice>
  readonly nodes: Iterable<Node>
}

export interface StateOptions { readonly nodeName: string; readonly family: Family }

export class ProxyState {
  readonly #options: StateOptions
  readonly #services = new Map<string, Service>()
  readonly #slices = new Map<string, Map<string, EndpointSlice>>() // by Service, then by the slice's own key
  readonly #sliceService = new Map<string, string>()
  readonly #nodes = new Map<string, Readonly<Record<string, string>>>()
  readonly #stale = new Set<string>()
  readonly #ports = new Map<string, readonly ProxiedPort[]>()
  #sorted: readonly ProxiedPort[] | undefined = []
  /** Services with ports, sorted; undefined when one came or went. */
  #keys: readonly string[] | undefined = []

  constructor(options: StateOptions) { this.#options = options }

  /** Takes one change in; true when it may change the desired state. */
  applyChange(change: Change): boolean {
    const before = this.#stale.size
    switch (change.kind) {
      case 'Service': this.#applyService(change.key, change.now); break
      case 'EndpointSlice': this.#applySlice(change.key, change.now); break
      case 'Node': return this.#applyNode(change.key, change.now)
    }
    return this.#stale.size > before
  }

  /** Every proxied port, sorted by Service, in the Service's own order; a port whose state did not change is the same object as before. */
  ports(): readonly ProxiedPort[] {
    for (const service of this.#stale) this.#recompute(service)
    this.#stale.clear()
    this.#keys ??= [...this.#ports.keys()].sort()
    if (!this.#sorted) {
      const sorted: ProxiedPort[] = [] // a plain loop: with 10,000 Services this is most of what a change costs here
      for (const key of this.#keys) for (const port of this.#ports.get(key)!) sorted.push(port)
      this.#sorted = sorted
    }
    return this.#sorted
  }

  /** Whether some Service has topologyKeys, for which the labels of all Nodes are needed. */
  usesTopologyKeys(): boolean {
    for (const service of this.#services.values()) if (service.spec.topologyKeys?.length) return true
    return false
  }

  #applyService(key: string, now: Service | undefined): void {
    if (now && isProxied(now.metadata.labels)) this.#services.set(key, now)
    else if (!this.#services.delete(key)) return
    this.#stale.add(key)
  }

  #applySlice(key: string, now: EndpointSlice | undefined): void {
    const oldService = this.#sliceService.get(key)
    const newService = now && isProxied(now.metadata.labels) ? serviceOf(now) : undefined
    if (oldService !== undefined && oldService !== newService) {
      this.#slices.get(oldService)!.delete(key)
      if (this.#slices.get(oldService)!.size === 0) this.#slices.delete(oldService)
      this.#sliceService.delete(key)
      this.#stale.add(oldService)
    }
    if (newService === undefined) return
    const slices = this.#slices.get(newService) ?? this.#slices.set(newService, new Map()).get(newService)!
    slices.set(key, now!)
    this.#sliceService.set(key, newService)
    this.#stale.add(newService)
  }

  /** A node's labels matter to zone hints (own node) and to topologyKeys (every node). */
  #applyNode(name: string, now: Node | undefined): boolean {
    const labels = now && (now.metadata.labels ?? {})
    if (equal(this.#nodes.get(name), labels)) return false
    if (labels) this.#nodes.set(name, labels)
    else this.#nodes.delete(name)
    const own = name === this.#options.nodeName
    let changed = false
    for (const [key, service] of this.#services) {
      if (own || service.spec.topologyKeys?.length) { this.#stale.add(key); changed = true }
    }
    return changed
  }

  #recompute(key: string): void {
    const service = this.#services.get(key)
    const slices = [...this.#slices.get(key) ?? []].sort(([a], [b]) => a < b ? -1 : 1).map(([, slice]) => slice)
    const ports = service ? proxiedPorts(service, slices, { ...this.#options, node: this.#topology() }) : []
    const before = this.#ports.get(key) ?? []
    if (equal(before, ports)) return
    if ((before.length === 0) !== (ports.length === 0)) this.#keys = undefined
    if (ports.length === 0) this.#ports.delete(key)
    else this.#ports.set(key, ports.map(port => before.find(old => equal(old, port)) ?? port))
    this.#sorted = undefined
  }

  #topology(): NodeTopology {
    const { nodeName } = this.#options
    return { nodeName, labels: this.#nodes.get(nodeName) ?? {}, labelsOf: name => this.#nodes.get(name) }
  }
}

/** The same ports, computed from all objects at once. */
export function desiredPorts(objects: Objects, options: StateOptions): readonly ProxiedPort[] {
  const nodes = new Map([...objects.nodes].map(node => [node.metadata.name, node.metadata.labels ?? {}]))
  const node = { nodeName: options.nodeName, labels: nodes.get(options.nodeName) ?? {}, labelsOf: (name: string) => nodes.get(name) }
  const slices = Map.groupBy([...objects.slices].filter(slice => isProxied(slice.metadata.labels)).sort(byKey), serviceOf)
  return [...objects.services].sort(byKey).flatMap(service =>
    proxiedPorts(service, slices.get(keyOf(service)) ?? [], { ...options, node }))
}
const byKey = (a: Service | EndpointSlice, b: Service | EndpointSlice) => keyOf(a) < keyOf(b) ? -1 : keyOf(a) > keyOf(b) ? 1 : 0

function proxiedPorts(service: Service, slices: readonly EndpointSlice[], options: StateOptions & { node: NodeTopology }): ProxiedPort[] {
  const all = endpoints(slices, options.family, options.nodeName)
  return servicePorts(service, options.family).map(port => {
    const own: readonly Endpoint[] = all.get(endpointKey(port.portName, port.protocol)) ?? []
    return { ...port, ...chooseEndpoints(own, port, options.node), localReady: own.filter(one => one.isLocal && one.ready).length }
  })
}
