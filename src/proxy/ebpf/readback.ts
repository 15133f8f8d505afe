// What maps say, as text: for whom a process asks, and where it is led. For tests, and for anyone who
// wants to see what the kernel holds. Pure; the maps' bytes are the caller's to fetch.
import { formatIp, type Family } from '#net/ip.ts'
import { addressSize, socketAddress } from './layout.ts'

export interface Maps {
  readonly frontends: Iterable<readonly [key: Buffer, value: Buffer]>
  readonly addresses: Iterable<readonly [key: Buffer, value: Buffer]>
  readonly members: Iterable<Buffer>
  port(index: number): Buffer
  slot(index: number): Buffer
}

/** One line a frontend, sorted: `TCP 10.96.0.20:80 -> 10.244.1.2:9376 10.244.1.3:9376`, and one an address of the node. Throws on what no program could follow. */
export function readBack(maps: Maps, family: Family): string[] {
  const a = addressSize(family), members = new Map<number, string[]>()
  const format = (bytes: Buffer) => {
    const { ip, port } = socketAddress(bytes, family)
    return `${family === 6 ? `[${ip}]` : ip}:${port}`
  }
  for (const key of maps.members) {
    const index = key.readUInt32LE(0)
    members.set(index, [...members.get(index) ?? [], format(key.subarray(4))])
  }
  const lines: string[] = [], used = new Set<number>()
  for (const [key, value] of maps.frontends) {
    const index = value.readUInt32LE(0), port = maps.port(index)
    used.add(index)
    const base = port.readUInt32LE(0), count = port.readUInt32LE(4), affinity = Number(port.readBigUInt64LE(8)) / 1e9
    const endpoints = Array.from({ length: count }, (_, i) => {
      const slot = maps.slot(base + i)
      if (slot.readUInt32LE(a + 4) !== index) throw new Error(`slot ${base + i} belongs to port ${slot.readUInt32LE(a + 4)}, not ${index}`)
      return format(slot)
    })
    const kept = (members.get(index) ?? []).sort()
    const protocol = key[a + 2] === 6 ? 'TCP' : 'UDP'
    if (kept.length > 0 && kept.join() !== endpoints.toSorted().join()) throw new Error(`members of port ${index} are ${kept.join()}, endpoints ${endpoints.join()}`)
    if (kept.length < count && (affinity > 0 || protocol === 'UDP')) throw new Error(`port ${index} has no members`)
    lines.push(`${protocol} ${format(key)} -> ${endpoints.join(' ') || 'refused'}${affinity > 0 ? ` affinity ${affinity}s` : ''}`)
  }
  for (const index of members.keys()) if (!used.has(index)) throw new Error(`port ${index} has members and no frontend`)
  for (const [key, value] of maps.addresses) lines.push(`node ${formatIp({ family, value: BigInt(`0x${key.toString('hex')}`) })} ${value.readUInt32LE(0)}`)
  return lines.sort()
}
