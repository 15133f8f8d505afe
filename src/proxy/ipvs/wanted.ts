// All that the ipvs mode wants in the kernel besides iptables rules: virtual servers, sets and the
// addresses of the device, as one value. Two Services that claim the same address and port: the first has it.
import type { ProxiedPort } from '../state.ts'
import { setIds, type SetId } from './names.ts'
import type { IpvsOptions } from './options.ts'
import { externalAddresses, virtualServers, type VirtualServer } from './servers.ts'
import { setEntries, type Entry } from './sets.ts'

export interface Wanted {
  /** By their keys; the same object as before means unchanged. */
  readonly servers: ReadonlyMap<string, VirtualServer>
  readonly sets: ReadonlyMap<SetId, ReadonlySet<string>>
  /** Of kube-ipvs0. */
  readonly addresses: ReadonlySet<string>
}

interface PortParts { readonly servers: readonly VirtualServer[]; readonly entries: readonly Entry[]; readonly addresses: readonly string[] }

/** A function from ports to what is wanted that remembers what it made of each port. */
export function wantedGenerator(options: IpvsOptions): (ports: readonly ProxiedPort[]) => Wanted {
  const made = new WeakMap<ProxiedPort, PortParts>()
  const own = new Set(options.ownAddresses)
  const partsOf = (port: ProxiedPort): PortParts => {
    let parts = made.get(port)
    if (!parts) {
      // Upstream: the cluster IP always, other addresses unless the node has them anyway.
      const addresses = [port.clusterIP, ...externalAddresses(port).filter(address => !own.has(address))]
      made.set(port, parts = { servers: virtualServers(port, options), entries: setEntries(port, options), addresses })
    }
    return parts
  }
  return ports => {
    const servers = new Map<string, VirtualServer>(), sets = new Map(setIds.map(id => [id, new Set<string>()])), addresses = new Set<string>()
    for (const port of ports) {
      const parts = partsOf(port)
      for (const server of parts.servers) if (!servers.has(server.key)) servers.set(server.key, server)
      for (const { set, entry } of parts.entries) sets.get(set)!.add(entry)
      for (const address of parts.addresses) addresses.add(address)
    }
    sets.set('IPVS-IPS', addresses)
    return { servers, sets, addresses }
  }
}

export const wanted = (ports: readonly ProxiedPort[], options: IpvsOptions): Wanted => wantedGenerator(options)(ports)

export const nothingWanted = (): Wanted => ({ servers: new Map(), sets: new Map(setIds.map(id => [id, new Set<string>()])), addresses: new Set() })
