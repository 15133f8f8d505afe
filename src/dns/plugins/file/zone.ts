// A zone in memory and how a question is answered from it (RFC 1034 4.3.2, RFC 4592, RFC 6672,
// RFC 4035 3.1 for zones that are signed already with NSEC). Pure.
import { records, type Records } from '../../plugin.ts'
import type { Rr } from '../../wire/message.ts'
import { fold, isBelow, labels, parent, type Name } from '../../wire/name.ts'
import { cname, readSoa, targetOf } from '../../wire/rdata.ts'
import { flags, rcodes, types } from '../../wire/types.ts'

type Node = Map<number, Rr[]>
/** What is to be looked up elsewhere: the end of a CNAME chain that leads out of the zone. */
export interface Reply { readonly answer: Records; readonly outside?: Name }

const longestChain = 8

export class Zone {
  readonly name: Name
  readonly #nodes = new Map<Name, Node>()
  /** Names that have records, and those between them and the apex (RFC 4592 2.2.2). */
  readonly #exists = new Set<Name>()
  readonly #soa: Rr
  readonly isSigned: boolean
  readonly records: readonly Rr[]

  /** Throws RangeError: no SOA, records outside. */
  constructor(name: Name, all: readonly Rr[]) {
    this.name = fold(name)
    const soas = all.filter(record => record.type === types.SOA)
    if (soas.length !== 1 || fold(soas[0]!.name) !== this.name) throw new RangeError(soas.length ? 'there must be one SOA record, at the name of the zone' : 'there is no SOA record')
    this.#soa = soas[0]!
    for (const record of all) this.#add(record)
    this.records = all
    this.isSigned = this.#nodes.get(this.name)!.has(types.DNSKEY)
  }

  #add(record: Rr): void {
    const owner = fold(record.name)
    if (!isBelow(owner, this.name)) throw new RangeError('a record is not below the zone')
    const node = this.#nodes.get(owner) ?? new Map<number, Rr[]>()
    this.#nodes.set(owner, node)
    const set = node.get(record.type) ?? []
    node.set(record.type, set)
    if (!set.some(other => other.data.equals(record.data))) set.push(record)
    for (let at = owner; !this.#exists.has(at); at = parent(at)) {
      this.#exists.add(at)
      if (at === this.name) break
    }
  }

  get serial(): number { return readSoa(this.#soa).serial }
  get soa(): Rr { return this.#soa }
  get size(): number { return this.records.length }

  /** `asked` with the asker's case. */
  answer(asked: Name, type: number, dnssec: boolean): Reply {
    const answer: Rr[] = []
    let name = asked
    for (let n = 0; n <= longestChain; n++) {
      const step = this.#step(name, type, dnssec && this.isSigned)
      answer.push(...step.answer)
      if (step.target === undefined) return { answer: records({ rcode: n > 0 && step.rcode === rcodes.NOERROR ? rcodes.NOERROR : step.rcode, flags: step.isReferral ? 0 : flags.AA, answer, authority: step.authority, additional: this.#additional([...step.answer, ...step.authority]) }) }
      name = step.target
      if (!isBelow(fold(name), this.name)) return { answer: records({ flags: flags.AA, answer }), outside: name }
    }
    return { answer: records({ rcode: rcodes.SERVFAIL, error: 'plugin/file: CNAMEs lead in a circle' }) }
  }

  #step(asked: Name, type: number, dnssec: boolean): Step {
    const name = fold(asked)
    const above = this.#above(name, type)
    if (above?.has(types.NS)) return this.#referral(above, dnssec)
    if (above) return this.#dname(above.get(types.DNAME)![0]!, asked, dnssec)
    const node = this.#nodes.get(name)
    if (node) return this.#fromNode(node, { asked, owner: name, type, dnssec })
    if (this.#exists.has(name)) return this.#negative(rcodes.NOERROR, name, dnssec)
    const encloser = this.#encloser(name)
    const star = `\x01*${encloser}` as Name, wild = this.#nodes.get(star)
    if (!wild) return this.#negative(rcodes.NXDOMAIN, name, dnssec)
    const step = this.#fromNode(wild, { asked, owner: star, type, dnssec })
    // A wildcard's answer also shows that nothing nearer exists (RFC 4035 3.1.3.3).
    return dnssec && step.answer.length ? { ...step, authority: [...step.authority, ...this.#covering(name, true)] } : step
  }

  /** The delegation or DNAME on the way down to a name; a DS at the cut itself is this zone's. */
  #above(name: Name, type: number): Node | undefined {
    const way: Name[] = []
    for (let at = name; at !== this.name; at = parent(at)) way.push(at)
    for (const at of way.reverse()) {
      const node = this.#nodes.get(at)
      if (node?.has(types.NS) && !(at === name && type === types.DS)) return node
      if (at !== name && node?.has(types.DNAME)) return node
    }
    const apex = this.#nodes.get(this.name)!
    return name !== this.name && apex.has(types.DNAME) ? new Map([[types.DNAME, apex.get(types.DNAME)!]]) : undefined
  }

  #encloser(name: Name): Name {
    let at = parent(name)
    while (!this.#exists.has(at)) at = parent(at)
    return at
  }

  #fromNode(node: Node, { asked, owner, type, dnssec }: { asked: Name; owner: Name; type: number; dnssec: boolean }): Step {
    const named = (set: readonly Rr[]) => set.map(record => ({ ...record, name: asked }))
    if (type === types.ANY) return { rcode: rcodes.NOERROR, answer: named([...node].flatMap(([, set]) => set)), authority: [] }
    const found = node.get(type)
    if (found) return { rcode: rcodes.NOERROR, answer: named([...found, ...signatures(node, type, dnssec)]), authority: [] }
    const alias = node.get(types.CNAME)
    if (alias) return { rcode: rcodes.NOERROR, answer: named([alias[0]!, ...signatures(node, types.CNAME, dnssec)]), authority: [], target: targetOf(alias[0]!) }
    return this.#negative(rcodes.NOERROR, owner, dnssec)
  }

  #referral(node: Node, dnssec: boolean): Step {
    const proof = !dnssec ? [] : node.has(types.DS) ? [...node.get(types.DS)!, ...signatures(node, types.DS, true)] : [...node.get(types.NSEC) ?? [], ...signatures(node, types.NSEC, true)]
    return { rcode: rcodes.NOERROR, answer: [], authority: [...node.get(types.NS)!, ...proof], isReferral: true }
  }

  #dname(record: Rr, asked: Name, dnssec: boolean): Step {
    const target = asked.slice(0, asked.length - record.name.length) + targetOf(record)
    const own = [record, ...signatures(this.#nodes.get(fold(record.name))!, types.DNAME, dnssec)]
    if (target.length > 255) return { rcode: rcodes.YXDOMAIN, answer: own, authority: [] } // RFC 6672 2.2
    return { rcode: rcodes.NOERROR, answer: [...own, cname(asked, record.ttl, target as Name)], authority: [], target: target as Name }
  }

  /** The SOA with the TTL a denial holds (RFC 2308 3), and NSEC proofs. */
  #negative(rcode: number, name: Name, dnssec: boolean): Step {
    const apex = this.#nodes.get(this.name)!
    const soa = { ...this.#soa, ttl: Math.min(this.#soa.ttl, readSoa(this.#soa).minimum) }
    if (!dnssec) return { rcode, answer: [], authority: [soa] }
    const own = this.#nodes.get(name)
    const proof = own?.has(types.NSEC) ? [...own.get(types.NSEC)!, ...signatures(own, types.NSEC, true)] : this.#covering(name, rcode === rcodes.NOERROR)
    return { rcode, answer: [], authority: [soa, ...signatures(apex, types.SOA, true), ...proof] }
  }

  /** The NSEC over the name, and, unless a wildcard answered, the one over the wildcard that could have. */
  #covering(name: Name, only: boolean): Rr[] {
    const over = (name: Name): Rr[] => {
      const before = this.#sorted.findLast(owner => canonical(owner, name) <= 0)
      const node = before === undefined ? undefined : this.#nodes.get(before)
      return node ? [...node.get(types.NSEC)!, ...signatures(node, types.NSEC, true)] : []
    }
    const all = only ? over(name) : [...over(name), ...over(`\x01*${this.#encloser(name)}` as Name)]
    return [...new Set(all)]
  }
  #order: Name[] | undefined
  get #sorted(): Name[] {
    return this.#order ??= [...this.#nodes].filter(([, node]) => node.has(types.NSEC)).map(([name]) => name).sort(canonical)
  }

  /** Addresses of names in the data, as far as they are here (glue too). */
  #additional(given: readonly Rr[]): Rr[] {
    const out: Rr[] = [], seen = new Set<Name>()
    for (const record of given) {
      if (record.type !== types.NS && record.type !== types.MX && record.type !== types.SRV) continue
      const target = fold(targetOf(record)), node = this.#nodes.get(target)
      if (!node || seen.has(target)) continue
      seen.add(target)
      out.push(...node.get(types.A) ?? [], ...node.get(types.AAAA) ?? [])
    }
    return out
  }
}

interface Step { readonly rcode: number; readonly answer: readonly Rr[]; readonly authority: readonly Rr[]; readonly target?: Name; readonly isReferral?: boolean }

/** Those of one type: the first two bytes of an RRSIG name it. */
function signatures(node: Node, type: number, dnssec: boolean): Rr[] {
  return dnssec ? (node.get(types.RRSIG) ?? []).filter(({ data }) => data.readUInt16BE(0) === type) : []
}

/** The order of NSEC (RFC 4034 6.1): labels from the right. */
export function canonical(a: Name, b: Name): number {
  const left = labels(a).reverse(), right = labels(b).reverse()
  for (let i = 0; i < Math.min(left.length, right.length); i++) {
    if (left[i] !== right[i]) return left[i]! < right[i]! ? -1 : 1
  }
  return left.length - right.length
}
