// rrl: not more than so many like answers a second to one network, so that nobody can use this server
// to flood a third party with forged questions. UDP only: over TCP an address cannot be forged.
import { bits, parseIp } from '#net/ip.ts'
import { after, isPacked, records, silence, type Answer, type Plugin } from '../../plugin.ts'
import type { Query } from '../../query.ts'
import { longestZone, parent } from '../../wire/name.ts'
import { flags, rcodes, types } from '../../wire/types.ts'
import { parse, type Kind, type Options } from './config.ts'

/** Debts and credits by account. A bounded table: when it is full, the oldest accounts go. */
export class Accounts {
  readonly #options: { readonly window: number; readonly tableSize: number }
  /** When the account's debt is paid, in milliseconds; and how many were refused since it was not. */
  readonly #all = new Map<string, { paid: number; refused: number }>()
  constructor(options: { window: number; tableSize: number }) { this.#options = options }

  /** undefined when within the limit, else how many times in a row it was not. */
  charge(key: string, perSecond: number, now: number): number | undefined {
    const price = 1000 / perSecond
    let account = this.#all.get(key)
    if (!account) {
      if (this.#all.size >= this.#options.tableSize) this.#all.delete(this.#all.keys().next().value!)
      this.#all.set(key, account = { paid: now - 1000, refused: 0 })
    }
    // A second's worth of credit at most, a window's worth of debt at most.
    account.paid = Math.min(Math.max(account.paid, now - 1000) + price, now + this.#options.window)
    if (account.paid <= now) { account.refused = 0; return undefined }
    return ++account.refused
  }
}

function kindOf(answer: Answer): Kind {
  if (answer.rcode === rcodes.NXDOMAIN) return 'nxdomains'
  if (answer.rcode !== rcodes.NOERROR) return 'errors'
  if (isPacked(answer)) return answer.counts[0] > 0 ? 'responses' : 'nodata'
  if (answer.answer.length > 0) return 'responses'
  return answer.authority.some(({ type }) => type === types.NS) ? 'referrals' : 'nodata'
}

/** The asker's network, as a key. */
function networkOf({ origin }: Query, prefix: Options['prefix']): string {
  const ip = parseIp(origin.address)
  return ip ? (ip.value >> BigInt(bits(ip.family) - prefix[ip.family])).toString(36) : origin.address
}

const truncated = records({ flags: flags.TC })

export const plugin: Plugin<Options> = {
  name: 'rrl',
  parse,
  setup(options, env) {
    const answers = new Accounts(options), requests = new Accounts(options)
    const counter = (what: string) => env.metrics.counter(`coredns_rrl_${what}_exceeded_total`, `Counter of ${what} over the limit.`, ['client_ip']).with('')
    const overAnswers = counter('responses'), overRequests = counter('requests')

    const limited = (query: Query, answer: Answer, network: string): Answer => {
      const kind = kindOf(answer), limit = options.limits[kind]
      if (limit === 0 || answer === silence) return answer
      // Names that do not exist are as many as an attacker likes: they count by the name above.
      const name = kind === 'nxdomains' ? parent(query.name) : kind === 'errors' ? '' : query.name
      const refused = answers.charge(`${network}/${kind}/${kind === 'responses' ? query.type : ''}/${name}`, limit, env.now())
      if (refused === undefined) return answer
      overAnswers.inc()
      if (options.reportOnly) return answer
      return options.slip > 0 && refused % options.slip === 0 ? truncated : silence
    }
    return {
      name: 'rrl',
      serve: next => query => {
        if (query.origin.protocol !== 'udp' || longestZone(query.name, options.zones) === undefined) return next(query)
        const network = networkOf(query, options.prefix)
        if (options.requests > 0 && requests.charge(network, options.requests, env.now()) !== undefined) {
          overRequests.inc()
          if (!options.reportOnly) return silence
        }
        return after(next(query), answer => limited(query, answer, network))
      },
    }
  },
}
