// Which endpoint a new connection goes to: strict rotation, and session affinity before it. Upstream's
// LoadBalancerRR (pkg/proxy/userspace/roundrobin.go of 1.20), except that endpoints are not shuffled
// and a change does not start the rotation again. Opens nothing and reads no clock.
import type { Endpoint } from '../endpoints.ts'

/** Clients remembered for one Service port at most; the one unheard of for longest goes first. */
const maxClients = 100_000

/** Which endpoint each client of one Service port was given. Local and Cluster endpoints share it, as the port is one. */
export class Affinity {
  /** By client address, the most recently used last. */
  readonly #clients = new Map<string, { readonly address: string; readonly until: number }>()

  get size(): number { return this.#clients.size }

  /** The endpoint's address; undefined when there is none or its time is over. */
  get(client: string, now: number): string | undefined {
    const found = this.#clients.get(client)
    return found && found.until > now ? found.address : undefined
  }

  set(client: string, address: string, until: number): void {
    this.#clients.delete(client)
    this.#clients.set(client, { address, until })
    if (this.#clients.size > maxClients) this.#clients.delete(this.#clients.keys().next().value!)
  }

  forget(client: string): void { this.#clients.delete(client) }

  /** Drops what is over. */
  expire(now: number): void {
    for (const [client, { until }] of this.#clients) if (until <= now) this.#clients.delete(client)
  }
}

export interface Choice {
  /** Address of the client, without its port. */
  readonly client: string
  /** Milliseconds of any clock that only goes forward. */
  readonly now: number
  /** Addresses of endpoints that did not answer: the client's affinity does not count, and none of them is chosen. */
  readonly failed?: ReadonlySet<string>
}

export class Balancer {
  readonly #affinity: Affinity
  #endpoints: readonly Endpoint[] = []
  #byAddress: ReadonlyMap<string, Endpoint> = new Map()
  #affinityMs = 0
  #next = 0

  constructor(affinity: Affinity = new Affinity()) { this.#affinity = affinity }

  /** `endpoints` sorted by address. The rotation goes on with the endpoint whose turn it is, or with the one that follows where it was. True when they are others than before. */
  update(endpoints: readonly Endpoint[], affinitySeconds: number): boolean {
    this.#affinityMs = affinitySeconds * 1000
    if (endpoints === this.#endpoints) return false
    const turn = this.#endpoints[this.#next]?.address
    this.#endpoints = endpoints
    this.#byAddress = new Map(endpoints.map(endpoint => [endpoint.address, endpoint]))
    this.#next = turn === undefined ? 0 : Math.max(0, endpoints.findIndex(({ address }) => address >= turn))
    return true
  }

  get hasAffinity(): boolean { return this.#affinityMs > 0 }

  has(address: string): boolean { return this.#byAddress.has(address) }

  /** undefined when there is no endpoint, or none left. */
  choose({ client, now, failed }: Choice): Endpoint | undefined {
    if (this.#affinityMs === 0) return this.#rotate(failed)
    const kept = failed ? undefined : this.#byAddress.get(this.#affinity.get(client, now) ?? '')
    const chosen = kept ?? this.#rotate(failed)
    // Each use starts the time anew, as upstream and as `recent --set` does.
    if (chosen) this.#affinity.set(client, chosen.address, now + this.#affinityMs)
    return chosen
  }

  /** The client's endpoint failed it: its next choice is free. */
  forget(client: string): void { this.#affinity.forget(client) }

  #rotate(failed: ReadonlySet<string> | undefined): Endpoint | undefined {
    for (let tried = 0; tried < this.#endpoints.length; tried++) {
      const chosen = this.#endpoints[this.#next]!
      this.#next = this.#next + 1 < this.#endpoints.length ? this.#next + 1 : 0
      if (!failed?.has(chosen.address)) return chosen
    }
    return undefined
  }
}
