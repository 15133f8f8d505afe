// A hosts file (hosts(5)) as tables: addresses by name, names by address. Pure.
import { fold, parent, parseName, type Name } from '../../wire/name.ts'
import { addressBytes, showAddress } from '../../wire/rdata.ts'

export class Hosts {
  readonly #addresses = new Map<Name, Buffer[]>()
  readonly #names = new Map<string, Name[]>()
  entries = 0

  /** Texts one after the other; lines that are none are left out, as the system's resolver does. */
  static read(...texts: readonly string[]): Hosts {
    const hosts = new Hosts()
    for (const line of texts.flatMap(text => text.split('\n'))) {
      const [address, ...names] = line.replace(/#.*/, '').trim().split(/\s+/)
      const bytes = address === undefined ? undefined : addressBytes(address.replace(/%.*/, ''))
      if (bytes) for (const text of names) hosts.#add(bytes, text)
    }
    return hosts
  }

  #add(bytes: Buffer, text: string): void {
    const name = parseName(text)
    if (name === undefined) return
    const key = fold(name), address = showAddress(bytes)
    const addresses = this.#addresses.get(key) ?? []
    if (addresses.some(other => other.equals(bytes))) return
    addresses.push(bytes)
    this.#addresses.set(key, addresses)
    this.entries++
    if (key.startsWith('\x01*')) return
    const names = this.#names.get(address) ?? []
    names.push(name)
    this.#names.set(address, names)
  }

  /** Its own line, or one for `*` in place of its first label. */
  addresses(name: Name): readonly Buffer[] | undefined {
    const own = this.#addresses.get(name)
    if (own || this.#addresses.size === 0) return own
    return this.#addresses.get(`\x01*${parent(name)}` as Name)
  }
  names(address: string): readonly Name[] { return this.#names.get(address) ?? [] }
}

/** The address that a name below in-addr.arpa or ip6.arpa stands for. */
export function reverseAddress(name: Name): string | undefined {
  const four = /^((?:[\x01-\x03]\d{1,3}){4})\x07in-addr\x04arpa\0$/.exec(name)?.[1]
  if (four !== undefined) {
    const parts = [...four.matchAll(/[\x01-\x03](\d{1,3})/g)].map(([, part]) => part!)
    const bytes = addressBytes(parts.reverse().join('.'))
    return bytes && parts.length === 4 ? showAddress(bytes) : undefined
  }
  const six = /^((?:\x01[0-9a-f]){32})\x03ip6\x04arpa\0$/.exec(name)?.[1]
  return six === undefined ? undefined : showAddress(Buffer.from([...six.replaceAll('\x01', '')].reverse().join(''), 'hex'))
}
