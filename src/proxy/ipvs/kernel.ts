// What the kernel holds of the ipvs mode, read from the text of `ipvsadm -S -n` and `ipset save`, and kept
// up to date by what was written since. Pure: reading and writing is apply.ts.
import type { Family } from '#net/ip.ts'
import { device, setIds, setName, type SetId } from './names.ts'
import type { Interfaces } from './options.ts'
import { addressOf, type VirtualServer } from './servers.ts'

export interface HeldServer {
  options: string
  /** Endpoint to its weight; 0 takes no new connections. */
  readonly endpoints: Map<string, number>
}

export interface Kernel {
  readonly servers: Map<string, HeldServer>
  /** undefined: the kernel has no such set. */
  readonly sets: Map<SetId, ReadonlySet<string>>
  /** undefined: the kernel has no such device. */
  addresses: ReadonlySet<string> | undefined
}

export interface KernelText {
  /** `ipvsadm -S -n` */
  readonly servers: string
  /** `ipset save` */
  readonly sets: string
  readonly interfaces: Interfaces
}

/** What there is of one IP family. */
export function readKernel({ servers, sets, interfaces }: KernelText, family: Family): Kernel {
  const isFamily = (address: string) => address.includes(':') === (family === 6)
  const kernel: Kernel = { servers: new Map(), sets: readSets(sets, family), addresses: undefined }
  for (const line of servers.split('\n')) {
    // -A -t 10.96.0.1:80 -s rr -p 10800
    // -a -t 10.96.0.1:80 -r 10.244.1.2:80 -m -w 1
    const [, verb, key, rest] = /^(-[Aa]) ((?:-t|-u|--sctp-service) \S+) (.*)$/.exec(line) ?? []
    if (!key || !isFamily(addressOf(key))) continue
    if (verb === '-A') kernel.servers.set(key, { options: rest!.trim(), endpoints: new Map() })
    else {
      const [, endpoint, weight] = /-r (\S+) .*-w (\d+)/.exec(rest!) ?? []
      if (endpoint) kernel.servers.get(key)?.endpoints.set(endpoint, Number(weight))
    }
  }
  const held = interfaces.get(device)
  if (held) kernel.addresses = new Set(held.filter(address => isFamily(address) && !/^fe[89ab]/i.test(address)))
  return kernel
}

function readSets(text: string, family: Family): Map<SetId, Set<string>> {
  const ids = new Map(setIds.map(id => [setName(id, family), id])), sets = new Map<SetId, Set<string>>()
  for (const line of text.split('\n')) {
    const [verb, name = '', entry = ''] = line.split(' ', 3)
    const id = ids.get(name)
    if (id && verb === 'create') sets.set(id, new Set())
    else if (id && verb === 'add') sets.get(id)?.add(entry)
  }
  return sets
}

export const holds = (server: VirtualServer): HeldServer => ({ options: server.options, endpoints: new Map(server.endpoints.map(endpoint => [endpoint, 1])) })
