// Answers with signatures: record sets are signed as they pass, denials become an NSEC that spans
// nothing but the name itself ("black lies"), so that a zone needs no order. Signatures are kept.
import type { Records } from '../../plugin.ts'
import type { Rr } from '../../wire/message.ts'
import { fold, isBelow, type Name } from '../../wire/name.ts'
import { readSoa, typeBitmap } from '../../wire/rdata.ts'
import { rcodes, types } from '../../wire/types.ts'
import { Store } from '../cache/store.ts'
import type { Key } from './key.ts'
import { rrsig, type Period } from './rrsig.ts'

const hour = 3600, day = 86_400
/** From 3 h ago, for clocks that are slow, to 8 days from now; made anew when two days are left (as CoreDNS). */
const period = (now: number): Period => ({ inception: now - 3 * hour, expiration: now + 8 * day })
const renewBefore = 2 * day

interface Kept { used: boolean; readonly signatures: readonly Rr[]; readonly expiration: number }

/** Types that a name may have; a denial of one says that all others are there, which nobody can refute. */
const common = [types.A, types.HINFO, types.TXT, types.AAAA, types.LOC, types.SRV, types.CERT, types.SSHFP, types.RRSIG, types.NSEC, types.TLSA, types.OPENPGPKEY, types.SPF]
const atApex = [...common, types.NS, types.SOA, types.MX, types.DNSKEY, types.CAA]

export class Signer {
  readonly #keys: readonly Key[]
  readonly #entryKeys: readonly Key[]
  readonly #zoneKeys: readonly Key[]
  readonly #kept: Store<Kept>
  hits = 0
  misses = 0

  constructor(keys: readonly Key[], capacity: number) {
    this.#keys = keys
    // Both kinds of keys: each signs its own. Else each signs everything.
    const isSplit = keys.some(key => key.isEntryPoint) && keys.some(key => !key.isEntryPoint)
    this.#entryKeys = isSplit ? keys.filter(key => key.isEntryPoint) : keys
    this.#zoneKeys = isSplit ? keys.filter(key => !key.isEntryPoint) : keys
    this.#kept = new Store(capacity)
  }
  get size(): number { return this.#kept.size }

  /** The keys as records of a zone; `owner` in the asker's case. */
  dnskeys(owner: Name, ttl = hour): Rr[] { return this.#keys.map(({ dnskey }) => ({ ...dnskey, name: owner, ttl })) }

  /** `now` in seconds. */
  sign(answer: Records, { name, type, zone, now }: { name: Name; type: number; zone: Name; now: number }): Records {
    const all = [...answer.answer, ...answer.authority]
    if (answer.stream || all.some(record => record.type === types.RRSIG)) return answer // it is signed already
    if (answer.rcode !== rcodes.NOERROR && answer.rcode !== rcodes.NXDOMAIN) return answer
    const soa = answer.authority.find(record => record.type === types.SOA)
    const isDenial = soa !== undefined && (answer.rcode === rcodes.NXDOMAIN || answer.answer.every(record => record.type === types.CNAME))
    const isReferral = !soa && answer.answer.length === 0 && answer.authority.some(record => record.type === types.NS)
    const signed = (records: readonly Rr[]) => this.#signed(records, { zone, now })
    if (isReferral) return { ...answer, authority: [...answer.authority, ...this.#noDs(answer.authority, { zone, now })] }
    if (!isDenial) return { ...answer, answer: signed(answer.answer), authority: signed(answer.authority) }
    // The name at the end of the chain of CNAMEs is the one that is denied.
    const denied = answer.answer.length ? fold(lastTarget(answer.answer)) : name
    const proof = isBelow(denied, zone) ? [nsec(denied, { soa, types: this.#typesAt(denied, { zone, type, rcode: answer.rcode }) })] : []
    return { ...answer, rcode: proof.length ? rcodes.NOERROR : answer.rcode, answer: signed(answer.answer), authority: signed([...answer.authority, ...proof]) }
  }

  #typesAt(name: Name, { zone, type, rcode }: { zone: Name; type: number; rcode: number }): readonly number[] {
    if (rcode === rcodes.NXDOMAIN) return [types.RRSIG, types.NSEC]
    return (name === zone ? atApex : common).filter(other => other !== type)
  }

  /** An unsigned delegation: there is no DS. */
  #noDs(authority: readonly Rr[], { zone, now }: { zone: Name; now: number }): Rr[] {
    const ns = authority.find(record => record.type === types.NS)!
    if (!isBelow(fold(ns.name), zone)) return []
    const ds = authority.filter(record => record.type === types.DS)
    if (ds.length) return this.#signatures(ds, { zone, now })
    const proof = nsec(fold(ns.name), { ttl: ns.ttl, types: [types.NS, types.RRSIG, types.NSEC] })
    return this.#signed([proof], { zone, now })
  }

  /** Each set of the zone with its signatures behind it. */
  #signed(records: readonly Rr[], { zone, now }: { zone: Name; now: number }): Rr[] {
    const sets = new Map<string, Rr[]>()
    for (const record of records) {
      const key = `${record.type} ${fold(record.name)}`
      sets.set(key, [...sets.get(key) ?? [], record])
    }
    return [...sets.values()].flatMap(set => {
      if (!isBelow(fold(set[0]!.name), zone)) return set
      const ttl = Math.min(...set.map(record => record.ttl)) // RFC 2181 5.2
      const alike = set.map(record => ({ ...record, ttl }))
      return [...alike, ...this.#signatures(alike, { zone, now })]
    })
  }

  #signatures(set: readonly Rr[], { zone, now }: { zone: Name; now: number }): Rr[] {
    const first = set[0]!
    const key = `${zone}${fold(first.name)}${first.type} ${first.ttl} ${set.map(({ data }) => data.latin1Slice()).sort().join('\0')}`
    const kept = this.#kept.get(key)
    if (kept && kept.expiration - renewBefore > now) {
      kept.used = true
      this.hits++
      return kept.signatures.map(record => ({ ...record, name: first.name }))
    }
    this.misses++
    const span = period(now)
    const signatures = (first.type === types.DNSKEY ? this.#entryKeys : this.#zoneKeys).map(key => rrsig(set, { key, zone, period: span }))
    this.#kept.set(key, { used: false, signatures, expiration: span.expiration })
    return signatures
  }
}

function lastTarget(answer: readonly Rr[]): Name { return answer.at(-1)!.data.latin1Slice() as Name }

/** From the name to the one that would come right behind it (RFC 4470): `\000` before it. */
function nsec(name: Name, { soa, ttl, types: all }: { soa?: Rr; ttl?: number; types: readonly number[] }): Rr {
  const next = name.length + 2 <= 255 ? `\x01\0${name}` : name
  return { name, type: types.NSEC, class: 1, ttl: ttl ?? Math.min(soa!.ttl, readSoa(soa!).minimum), data: Buffer.concat([Buffer.from(next, 'latin1'), typeBitmap(all)]) }
}
