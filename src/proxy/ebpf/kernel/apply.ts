// One generation of maps and programs in the kernel: made, filled, attached, changed, closed. Nothing
// is pinned, so whatever ends this process also ends what stands here.
import { closeSync } from 'node:fs'
import { attachProgram, BpfMap, isAttached, loadProgram } from '#host/bpf.ts'
import type { Family } from '#net/ip.ts'
import { mapNames, mapShapes, u32, type MapName, type Room } from '../layout.ts'
import { programs, type Hook, type MapDescriptors } from '../programs.ts'
import { readBack } from '../readback.ts'
import type { Operations } from '../tables.ts'

/** What sockets remember outlives a generation: a program still learns whom it asked for. */
const kept = ['reverse', 'sockets'] as const
export type KeptMaps = Readonly<Record<typeof kept[number], BpfMap>>
type OwnMaps = Readonly<Record<Exclude<MapName, keyof KeptMaps>, BpfMap>>

export function makeKeptMaps(family: Family): KeptMaps {
  const shapes = mapShapes(family, { frontends: 1, ports: 1, slots: 1, members: 1 })
  return makeMaps(kept, name => ({ name: `fw_${name}${family}`, ...shapes[name] }))
}

function makeMaps<Name extends MapName>(names: readonly Name[], options: (name: Name) => ConstructorParameters<typeof BpfMap>[0]): Record<Name, BpfMap> {
  const made: Partial<Record<Name, BpfMap>> = {}
  try {
    for (const name of names) made[name] = new BpfMap(options(name))
  } catch (error) {
    for (const map of Object.values<BpfMap | undefined>(made)) map?.close()
    throw error
  }
  return made as Record<Name, BpfMap>
}

export class Generation {
  readonly maps: OwnMaps
  readonly #programs: { readonly fd: number; readonly hook: Hook }[] = []
  #links: number[] = []

  /** Throws what the kernel says; nothing is then left. */
  constructor(family: Family, room: Room, keptMaps: KeptMaps) {
    const shapes = mapShapes(family, room)
    const own = mapNames.filter((name): name is keyof OwnMaps => !(kept as readonly string[]).includes(name))
    this.maps = makeMaps(own, name => ({ name: `fw_${name}${family}`, ...shapes[name] }))
    try {
      const descriptors = Object.fromEntries(Object.entries({ ...this.maps, ...keptMaps }).map(([name, map]) => [name, map.fd])) as MapDescriptors
      for (const program of programs(family, descriptors)) this.#programs.push({ fd: loadProgram(program), hook: program.hook })
    } catch (error) {
      this.close()
      throw error
    }
  }

  /** Answers before questions: whoever is translated can also be told whom it asked for. */
  attach(cgroup: number): void {
    const order = (hook: Hook) => hook.startsWith('connect') || hook.startsWith('sendmsg') ? 1 : 0
    for (const { fd, hook } of this.#programs.toSorted((a, b) => order(a.hook) - order(b.hook))) this.#links.push(attachProgram(fd, hook, cgroup))
  }

  isAttached(): boolean { return this.#links.length > 0 && this.#links.every(isAttached) }

  write({ puts, deletes }: Operations): void {
    for (const name of ['members', 'slots', 'ports', 'addresses', 'frontends'] as const) this.maps[name].updateAll(puts[name].keys, puts[name].values)
    for (const name of ['frontends', 'addresses', 'members'] as const) for (const key of deletes[name]) this.maps[name].delete(key)
  }

  /** What the kernel holds, as `readBack` prints it. */
  readBack(family: Family): string[] {
    const { frontends, addresses, members, ports, slots } = this.maps
    const entries = (map: BpfMap) => map.keys().map(key => [key, map.lookup(key)!] as const)
    return readBack({ frontends: entries(frontends), addresses: entries(addresses), members: members.keys(),
      port: index => ports.lookup(u32(index))!, slot: index => slots.lookup(u32(index))! }, family)
  }

  close(): void {
    for (const link of this.#links) closeSync(link)
    for (const { fd } of this.#programs) closeSync(fd)
    for (const map of Object.values(this.maps)) map.close()
    this.#links = []
    this.#programs.length = 0
  }
}
