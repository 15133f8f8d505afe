// Random Services, EndpointSlices and Nodes for tests: the same seed gives the same objects. Few
// names and addresses, so that changes meet: ports move, slices change Service, labels come and go.
import type { Node, Service } from '#api/core/v1.ts'
import type { EndpointSlice } from '#api/discovery/v1.ts'
import type { Family } from '#net/ip.ts'
import type { Change } from './state.ts'

/** mulberry32: numbers from 0 to 1. */
export function randomNumbers(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = state + 0x6d2b79f5 >>> 0
    let mixed = Math.imul(state ^ state >>> 15, state | 1)
    mixed ^= mixed + Math.imul(mixed ^ mixed >>> 7, mixed | 61)
    return ((mixed ^ mixed >>> 14) >>> 0) / 2 ** 32
  }
}

export class RandomObjects {
  readonly #random: () => number
  readonly #family: Family
  constructor(seed: number, family: Family = 4) { this.#random = randomNumbers(seed); this.#family = family }

  /** One change to one of few objects; every third or so deletes. */
  change(): Change {
    const gone = this.#chance(0.25)
    switch (this.#pick(['Service', 'EndpointSlice', 'EndpointSlice', 'Node'])) {
      case 'Service': {
        const name = `s${this.#below(5)}`
        return { kind: 'Service', key: `default/${name}`, now: gone ? undefined : this.#service(name) }
      }
      case 'Node': {
        const name = `n${this.#below(3)}`
        return { kind: 'Node', key: name, now: gone ? undefined : this.#node(name) }
      }
      default: {
        const name = `slice-${this.#below(9)}`
        return { kind: 'EndpointSlice', key: `default/${name}`, now: gone ? undefined : this.#slice(name) }
      }
    }
  }

  /** In IPv6, the same address in the last four bytes. */
  #ip(text: string): string { return this.#family === 4 ? text : `fd00::${text.split('.').map((part, i) => Number(part).toString(16).padStart(i % 2 ? 2 : 0, '0') + (i === 1 ? ':' : '')).join('')}` }
  #below(limit: number): number { return Math.floor(this.#random() * limit) }
  #chance(chance: number): boolean { return this.#random() < chance }
  #pick<T>(from: readonly T[]): T { return from[this.#below(from.length)]! }
  #some<T>(from: readonly T[]): T[] { return from.filter(() => this.#chance(0.5)) }

  #service(name: string): Service {
    const type = this.#pick(['ClusterIP', 'NodePort', 'LoadBalancer', 'ExternalName'])
    const index = Number(name.slice(1))
    const nodePort = (port: number) => type === 'ClusterIP' ? {} : { nodePort: 30000 + index * 10 + port }
    return {
      metadata: { name, namespace: 'default', ...this.#chance(0.1) && { labels: { 'service.kubernetes.io/service-proxy-name': 'x' } } },
      spec: {
        type, clusterIP: this.#chance(0.1) ? 'None' : this.#ip(`10.96.0.${index + 1}`),
        ports: this.#some([
          { name: 'a', port: 80, protocol: 'TCP', ...nodePort(1) }, { name: 'b', port: 53, protocol: 'UDP', ...nodePort(2) }, { name: 'c', port: 53, protocol: 'TCP', ...nodePort(3) },
        ]),
        externalIPs: this.#some(['203.0.113.1', '203.0.113.2']).map(ip => this.#ip(`${ip}${index}`)),
        sessionAffinity: this.#pick(['None', 'None', 'ClientIP']),
        internalTrafficPolicy: this.#pick(['Cluster', 'Cluster', 'Local']), externalTrafficPolicy: this.#pick(['Cluster', 'Local']),
        ...this.#chance(0.3) && { loadBalancerSourceRanges: ['203.0.113.0/24', '192.168.0.0/16', '203.0.0.0/16', '192.168.7.9/32'].map(cidr => this.#family === 4 ? cidr : `${this.#ip(cidr.split('/')[0]!)}/${Number(cidr.split('/')[1]) + 96}`) },
        ...this.#chance(0.2) && { topologyKeys: this.#pick([['zone'], ['zone', '*'], ['kubernetes.io/hostname', 'zone']]) },
        healthCheckNodePort: 32000 + index,
      },
      status: { loadBalancer: { ingress: this.#some([{ ip: this.#ip(`198.51.100.${index}`) }, { ip: this.#ip(`198.51.100.1${index}`), ipMode: 'Proxy' }]) } },
    }
  }

  #slice(name: string): EndpointSlice {
    return {
      metadata: { name, namespace: 'default', labels: { 'kubernetes.io/service-name': `s${this.#below(5)}` } }, addressType: this.#chance(0.1) === (this.#family === 4) ? 'IPv6' : 'IPv4',
      ports: this.#some([{ name: 'a', port: 8080, protocol: 'TCP' }, { name: 'b', port: 5353, protocol: 'UDP' }, { name: 'c', port: 5353, protocol: 'TCP' }]),
      endpoints: Array.from({ length: this.#below(4) }, () => ({
        addresses: [this.#ip(`10.244.${this.#below(3)}.${this.#below(4) + 2}`)], nodeName: `n${this.#below(3)}`,
        conditions: { ready: this.#chance(0.7), serving: this.#chance(0.8), terminating: this.#chance(0.3) },
        hints: { forZones: this.#chance(0.7) ? [{ name: this.#pick(['z0', 'z1']) }] : [], forNodes: this.#chance(0.4) ? [{ name: `n${this.#below(3)}` }] : [] },
      })),
    }
  }

  #node(name: string): Node {
    return { metadata: { name, labels: { 'kubernetes.io/hostname': name, ...this.#chance(0.8) && { zone: this.#pick(['z0', 'z1']), 'topology.kubernetes.io/zone': this.#pick(['z0', 'z1']) } } }, spec: {} }
  }
}

/** What stands after a list of changes. */
export class Objects {
  readonly #objects = new Map<string, Change>()
  apply(change: Change): void {
    if (change.now) this.#objects.set(`${change.kind} ${change.key}`, change)
    else this.#objects.delete(`${change.kind} ${change.key}`)
  }
  #of<T>(kind: Change['kind']): T[] { return [...this.#objects.values()].filter(change => change.kind === kind).map(change => change.now as T) }
  get services(): Service[] { return this.#of('Service') }
  get slices(): EndpointSlice[] { return this.#of('EndpointSlice') }
  get nodes(): Node[] { return this.#of('Node') }
}
