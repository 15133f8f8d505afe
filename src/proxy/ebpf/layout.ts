// The maps that programs and proxy share: names, sizes and the bytes of keys and values. Pure. What
// the kernel hands to programs in network byte order (addresses, ports) stands so in the maps.
import { formatIp, parseIp, type Family } from '#net/ip.ts'

export type MapType = 'hash' | 'array' | 'lru_hash' | 'sk_storage'
export interface MapShape { readonly type: MapType; readonly keySize: number; readonly valueSize: number; readonly maxEntries: number }

/** How much room the maps that grow with the Services have. */
export interface Room { readonly frontends: number; readonly ports: number; readonly slots: number; readonly members: number }

export const addressSize = (family: Family): number => family === 4 ? 4 : 16

/** Which sockets a network namespace of this node has, as a bit. */
export const kinds = { node: 1, pod: 2 } as const

const rememberedFlows = 32_768, rememberedClients = 16_384

export const mapNames = ['netns', 'addresses', 'frontends', 'ports', 'slots', 'members', 'affinity', 'flows', 'reverse', 'sockets'] as const
export type MapName = typeof mapNames[number]

/**
 * - netns: network namespace cookie -> its kind. Whoever is not in it is left alone.
 * - addresses: address of the node -> kinds whose NodePorts it serves. `127.0.0.0` stands for all of 127.0.0.0/8.
 * - frontends: address (0: any of `addresses`), port, protocol -> index in `ports`.
 * - ports: base and count in `slots` (read as one 64-bit word), affinity timeout in ns (0: none). Count 0 refuses.
 * - slots: endpoint address and port, index of the port that owns the slot.
 * - members: port index, endpoint address and port -> 1: which remembered endpoints still count.
 * - affinity: network namespace cookie, port index -> when, endpoint. flows: the same by the cookie of a UDP socket.
 * - reverse: UDP socket cookie, endpoint -> the address that the program asked for. sockets: the same of a TCP socket, kept with it.
 */
export function mapShapes(family: Family, room: Room): Record<MapName, MapShape> {
  const a = addressSize(family)
  return {
    netns: { type: 'hash', keySize: 8, valueSize: 4, maxEntries: 4096 },
    addresses: { type: 'hash', keySize: a, valueSize: 4, maxEntries: 4096 },
    frontends: { type: 'hash', keySize: a + 4, valueSize: 4, maxEntries: room.frontends },
    ports: { type: 'array', keySize: 4, valueSize: 16, maxEntries: room.ports },
    slots: { type: 'array', keySize: 4, valueSize: a + 8, maxEntries: room.slots },
    members: { type: 'hash', keySize: a + 8, valueSize: 4, maxEntries: room.members },
    affinity: { type: 'lru_hash', keySize: 16, valueSize: a + 12, maxEntries: rememberedClients },
    flows: { type: 'lru_hash', keySize: 16, valueSize: a + 12, maxEntries: rememberedFlows },
    reverse: { type: 'lru_hash', keySize: a + 12, valueSize: a + 4, maxEntries: rememberedFlows },
    sockets: { type: 'sk_storage', keySize: 4, valueSize: 2 * (a + 4), maxEntries: 0 },
  }
}

export interface SocketAddress { readonly ip: string; readonly port: number }

const protocolNumbers = { TCP: 6, UDP: 17 } as const
export type SocketProtocol = keyof typeof protocolNumbers

/** Address in network byte order; '' is the address 0. */
export function addressBytes(ip: string, family: Family): Buffer {
  const size = addressSize(family), bytes = Buffer.alloc(size)
  if (ip === '') return bytes
  if (family === 4) { // most of a load is this
    let at = 0
    for (const part of ip.split('.')) bytes[at++] = Number(part)
    return bytes
  }
  const { value } = parseIp(ip)!
  bytes.writeBigUInt64BE(value >> 64n, 0)
  bytes.writeBigUInt64BE(value & 0xffff_ffff_ffff_ffffn, 8)
  return bytes
}

function build(size: number, family: Family, { ip, port, at }: SocketAddress & { readonly at: number }): Buffer {
  const bytes = Buffer.alloc(size)
  addressBytes(ip, family).copy(bytes, at)
  bytes.writeUInt16BE(port, at + addressSize(family))
  return bytes
}

export function frontendKey({ ip, port, protocol }: SocketAddress & { readonly protocol: SocketProtocol }, family: Family): Buffer {
  const a = addressSize(family), key = build(a + 4, family, { ip, port, at: 0 })
  key[a + 2] = protocolNumbers[protocol]
  return key
}

export function slotValue(endpoint: SocketAddress, owner: number, family: Family): Buffer {
  const value = build(addressSize(family) + 8, family, { ...endpoint, at: 0 })
  value.writeUInt32LE(owner, addressSize(family) + 4)
  return value
}

export function memberKey(index: number, endpoint: SocketAddress, family: Family): Buffer {
  const key = build(addressSize(family) + 8, family, { ...endpoint, at: 4 })
  key.writeUInt32LE(index, 0)
  return key
}

export function portValue({ base, count, affinitySeconds }: { readonly base: number; readonly count: number; readonly affinitySeconds: number }): Buffer {
  const value = Buffer.alloc(16)
  value.writeUInt32LE(base, 0)
  value.writeUInt32LE(count, 4)
  value.writeBigUInt64LE(BigInt(Math.round(affinitySeconds * 1e9)), 8)
  return value
}

/** The key under which `reverse` knows a UDP socket that was led to `endpoint`. */
export function reverseKey(socketCookie: bigint, endpoint: SocketAddress, family: Family): Buffer {
  const key = build(addressSize(family) + 12, family, { ...endpoint, at: 8 })
  key.writeBigUInt64LE(socketCookie, 0)
  return key
}

/** A value of `reverse`: whom a socket asked for. */
export function socketAddress(value: Buffer, family: Family): SocketAddress {
  const a = addressSize(family)
  return { ip: formatIp({ family, value: BigInt(`0x${value.toString('hex', 0, a)}`) }), port: value.readUInt16BE(a) }
}

export function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value)
  return bytes
}
export function u64(value: bigint): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64LE(value)
  return bytes
}
