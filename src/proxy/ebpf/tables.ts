// What the maps hold for the Services in force, and what must be written to get from there to the
// next state. Pure: operations out. At any moment between two operations every program finds either
// the old endpoints of a port or the new: slots are written where nobody reads yet, then one 64-bit
// word of `ports` switches over.
import type { Family } from '#net/ip.ts'
import { addressBytes, frontendKey, memberKey, portValue, slotValue, u32, type Room, type SocketAddress, type SocketProtocol } from './layout.ts'
import { Ranges } from './ranges.ts'
import type { Translation } from './translations.ts'

type TableName = 'members' | 'slots' | 'ports' | 'frontends' | 'addresses'
export interface Puts { readonly keys: Buffer[]; readonly values: Buffer[] }
/** In the order in which they must be made: first each of `puts` as it stands here, then `deletes`. */
export interface Operations { readonly puts: Readonly<Record<TableName, Puts>>; readonly deletes: Readonly<Record<'frontends' | 'addresses' | 'members', Buffer[]>> }

/** How long a program may at most take from reading where a port's slots are to reading one of them. */
const restMs = 100

interface Held { readonly translation: Translation; readonly index: number; readonly base: number }

export class Tables {
  readonly #family: Family
  readonly #indices: Ranges
  readonly #slots: Ranges
  readonly #held = new Map<string, Held>()
  /** Who wants a frontend, by the text of its key; where several do, the first by name has it. */
  readonly #claims = new Map<string, string[]>()
  #addresses: ReadonlyMap<string, number> = new Map()
  #out = empty()
  #lost = false
  #contested = new Map<string, Buffer>()

  constructor(family: Family, room: Room) {
    this.#family = family
    this.#indices = new Ranges(room.ports, restMs)
    this.#slots = new Ranges(room.slots, restMs)
  }

  /** One translation as it is now; undefined when it is gone. Throws ArrayFull when the room does not do. */
  set(key: string, now: Translation | undefined, time: number): void {
    const before = this.#held.get(key)
    if (now) this.#put(key, now, { before, time })
    else if (before) this.#remove(key, before, time)
  }

  setAddresses(now: ReadonlyMap<string, number>): void {
    for (const [ip, kind] of now) if (this.#addresses.get(ip) !== kind) put(this.#out.puts.addresses, addressBytes(ip, this.#family), u32(kind))
    for (const ip of this.#addresses.keys()) if (!now.has(ip)) this.#out.deletes.addresses.push(addressBytes(ip, this.#family))
    this.#addresses = now
  }

  /** Everything is to be written again as it stands; what clients were given before stays theirs. */
  again(): void {
    for (const { translation, index, base } of this.#held.values()) {
      for (const endpoint of remembered(translation)) put(this.#out.puts.members, memberKey(index, endpoint, this.#family), u32(1))
      this.#putSlots({ translation, index, base })
      this.#putPort({ translation, index, base })
      for (const frontend of translation.frontends) this.#contest(frontend, translation.protocol)
    }
    for (const [ip, kind] of this.#addresses) put(this.#out.puts.addresses, addressBytes(ip, this.#family), u32(kind))
  }

  /** What to write for all that was set since the last call. `lost`: UDP sockets may be connected to endpoints that no Service leads them to any more. */
  take(): { readonly operations: Operations; readonly lost: boolean } {
    for (const [text, key] of this.#contested) {
      const winner = this.#claims.get(text)?.[0]
      if (winner === undefined) this.#out.deletes.frontends.push(key)
      else put(this.#out.puts.frontends, key, u32(this.#held.get(winner)!.index))
    }
    const taken = { operations: this.#out, lost: this.#lost }
    this.#contested = new Map()
    this.#out = empty()
    this.#lost = false
    return taken
  }

  /** Whether a process that asks for `frontend` may be led to `endpoint` now; an address that is nobody's own may be a NodePort's. */
  leads({ ip, port }: SocketAddress, endpoint: SocketAddress, protocol: SocketProtocol): boolean {
    const claims = (address: string) => this.#claims.get(frontendKey({ ip: address, port, protocol }, this.#family).toString('latin1'))
    const winner = (claims(ip) ?? claims(''))?.[0]
    return winner !== undefined && this.#held.get(winner)!.translation.endpoints.some(other => other.ip === endpoint.ip && other.port === endpoint.port)
  }

  #put(key: string, now: Translation, { before, time }: { before: Held | undefined; time: number }): void {
    const old = before?.translation
    const sameEndpoints = old !== undefined && same(old.endpoints, now.endpoints)
    const index = before?.index ?? this.#indices.take(1, time)
    const base = sameEndpoints || now.endpoints.length === 0 ? before?.base ?? 0 : this.#slots.take(now.endpoints.length, time)
    const held = { translation: now, index, base }
    this.#held.set(key, held)
    this.#updateMembers(held, old)
    if (!sameEndpoints) {
      this.#putSlots(held)
      if (old && old.endpoints.length > 0) this.#slots.give(before!.base, old.endpoints.length, time)
    }
    if (!sameEndpoints || old.affinitySeconds !== now.affinitySeconds) this.#putPort(held)
    if (!old || !same(old.frontends, now.frontends)) {
      if (old) this.#unclaim(key, old)
      this.#claim(key, now)
    }
    if (old) this.#noteLost(old, now)
  }

  #remove(key: string, before: Held, time: number): void {
    this.#held.delete(key)
    this.#unclaim(key, before.translation)
    for (const endpoint of remembered(before.translation)) this.#out.deletes.members.push(memberKey(before.index, endpoint, this.#family))
    this.#indices.give(before.index, 1, time)
    if (before.translation.endpoints.length > 0) this.#slots.give(before.base, before.translation.endpoints.length, time)
    this.#noteLost(before.translation, undefined)
  }

  #putSlots({ translation, index, base }: Held): void {
    translation.endpoints.forEach((endpoint, i) => put(this.#out.puts.slots, u32(base + i), slotValue(endpoint, index, this.#family)))
  }
  #putPort({ translation: { endpoints, affinitySeconds }, index, base }: Held): void {
    put(this.#out.puts.ports, u32(index), portValue({ base, count: endpoints.length, affinitySeconds }))
  }

  #updateMembers({ translation, index }: Held, old: Translation | undefined): void {
    const before = new Set(remembered(old).map(text)), now = new Set(remembered(translation).map(text))
    for (const endpoint of remembered(translation)) if (!before.has(text(endpoint))) put(this.#out.puts.members, memberKey(index, endpoint, this.#family), u32(1))
    for (const endpoint of remembered(old)) if (!now.has(text(endpoint))) this.#out.deletes.members.push(memberKey(index, endpoint, this.#family))
  }

  #noteLost(old: Translation, now: Translation | undefined): void {
    if (old.protocol !== 'UDP') return
    const left = now && same(old.frontends, now.frontends) ? new Set(now.endpoints.map(text)) : undefined
    if (old.endpoints.some(endpoint => !left?.has(text(endpoint)))) this.#lost = true
  }

  #claim(key: string, { frontends, protocol }: Translation): void {
    for (const frontend of frontends) {
      const name = this.#contest(frontend, protocol), claims = this.#claims.get(name)
      if (!claims) this.#claims.set(name, [key])
      else { claims.push(key); claims.sort() }
    }
  }

  #unclaim(key: string, { frontends, protocol }: Translation): void {
    for (const frontend of frontends) {
      const name = this.#contest(frontend, protocol), left = this.#claims.get(name)!.filter(other => other !== key)
      if (left.length > 0) this.#claims.set(name, left)
      else this.#claims.delete(name)
    }
  }

  /** Who has the frontend is settled in `take`. */
  #contest(frontend: SocketAddress, protocol: SocketProtocol): string {
    const bytes = frontendKey({ ...frontend, protocol }, this.#family), name = bytes.toString('latin1')
    this.#contested.set(name, bytes)
    return name
  }
}

/** The endpoints that clients are remembered for: with affinity, and those of UDP sockets. */
const remembered = (translation: Translation | undefined): readonly SocketAddress[] =>
  translation && (translation.affinitySeconds > 0 || translation.protocol === 'UDP') ? translation.endpoints : []

const text = ({ ip, port }: SocketAddress) => `${ip} ${port}`
const same = (a: readonly SocketAddress[], b: readonly SocketAddress[]) =>
  a === b || (a.length === b.length && a.every(({ ip, port }, i) => ip === b[i]!.ip && port === b[i]!.port))

function put({ keys, values }: Puts, key: Buffer, value: Buffer): void { keys.push(key); values.push(value) }
const puts = (): Puts => ({ keys: [], values: [] })
const empty = () => ({
  puts: { members: puts(), slots: puts(), ports: puts(), frontends: puts(), addresses: puts() },
  deletes: { frontends: [] as Buffer[], addresses: [] as Buffer[], members: [] as Buffer[] },
})

/** Room for `translations` and as much again several times over. */
export function roomFor(all: Iterable<Translation>): Room {
  let frontends = 0, ports = 0, slots = 0
  for (const translation of all) { frontends += translation.frontends.length; ports++; slots += translation.endpoints.length }
  const room = (needed: number, least: number) => Math.max(least, 2 ** Math.ceil(Math.log2(needed * 4 + 1)))
  return { frontends: room(frontends, 16_384), ports: room(ports, 16_384), slots: room(slots, 65_536), members: room(slots, 65_536) }
}
