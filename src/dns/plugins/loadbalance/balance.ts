// The order of addresses in an answer: turned, drawn by weight, preferred networks first. Pure;
// chance comes as an argument.
import { contains, type Cidr } from '#net/ip.ts'
import type { Packed, Records } from '../../plugin.ts'
import type { Query } from '../../query.ts'
import type { Rr } from '../../wire/message.ts'
import type { Name } from '../../wire/name.ts'
import { types } from '../../wire/types.ts'
import type { Weights } from './config.ts'

export interface Balance {
  random(): number
  /** undefined: round robin. */
  readonly weights?: Weights | undefined
  readonly prefer: readonly Cidr[]
  readonly limit: number
}

/** Answers that are one set of addresses of one width: their bytes are moved, and nothing is read. */
export function balancePacked(answer: Packed, query: Query, balance: Balance): Packed {
  const { width, counts, body } = answer
  if (!width || counts[0] < 2) return answer
  const { rcode, flags } = answer
  if (!balance.weights && balance.prefer.length === 0 && balance.limit === 0) {
    return { rcode, flags, counts, body, width, turn: Math.floor(balance.random() * counts[0]) }
  }
  const order = arrange(Array.from({ length: counts[0] }, (_, i) => ({ index: i, data: body.subarray(i * width + 12, (i + 1) * width) })), query.name, balance)
  const kept = balance.limit ? order.slice(0, balance.limit) : order
  const moved = Buffer.concat([...kept.map(({ index }) => body.subarray(index * width, (index + 1) * width)), body.subarray(counts[0] * width)])
  return { rcode, flags, counts: [kept.length, counts[1], counts[2]], body: moved, width }
}

/** CNAMEs first, as some resolvers want them; then what else there is; addresses and MX in their new order last. */
export function balanceRecords(answer: Records, query: Query, balance: Balance): Records {
  if (answer.answer.length < 2 || query.type === types.AXFR || query.type === types.IXFR) return answer
  const of = (...wanted: number[]) => answer.answer.filter(({ type }) => wanted.includes(type))
  const addresses = arrange(of(types.A, types.AAAA), query.name, balance), mx = shuffle(of(types.MX), balance.random)
  const others = answer.answer.filter(({ type }) => ![types.A, types.AAAA, types.MX, types.CNAME].includes(type as 1))
  const all: readonly Rr[] = [...of(types.CNAME), ...others, ...addresses, ...mx]
  return { ...answer, answer: balance.limit ? all.slice(0, balance.limit) : all }
}

function arrange<T extends { readonly data: Buffer }>(items: readonly T[], name: Name, { random, weights, prefer }: Balance): T[] {
  const ordered = weights ? drawFirst(items, weights.get(name), random) : shuffle(items, random)
  if (prefer.length === 0) return ordered
  const preferred = ({ data }: T) => prefer.some(cidr => contains(cidr, { family: data.length === 4 ? 4 : 6, value: BigInt(`0x${data.toString('hex')}`) }))
  return [...ordered.filter(preferred), ...ordered.filter(item => !preferred(item))]
}

function shuffle<T>(items: readonly T[], random: () => number): T[] {
  const out = [...items]
  for (let i = out.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1))
    ;[out[i], out[j]] = [out[j]!, out[i]!]
  }
  return out
}

/** Only the first is drawn, by weight; an address without one weighs 1. */
function drawFirst<T extends { readonly data: Buffer }>(items: readonly T[], weights: ReadonlyMap<string, number> | undefined, random: () => number): T[] {
  const weigh = ({ data }: T) => weights?.get(data.toString('hex')) ?? 1
  let left = random() * items.reduce((sum, item) => sum + weigh(item), 0)
  const at = Math.max(0, items.findIndex(item => (left -= weigh(item)) < 0))
  return items.length ? [items[at]!, ...items.slice(0, at), ...items.slice(at + 1)] : []
}
