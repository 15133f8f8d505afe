// One walk through a search path for an asker who would else walk it with a query a step. Pure.
import { after, records, type Answer, type Result, type Serve } from '../../plugin.ts'
import { unpack } from '../../answer.ts'
import type { Query } from '../../query.ts'
import type { Name } from '../../wire/name.ts'
import { cname } from '../../wire/rdata.ts'
import { rcodes } from '../../wire/types.ts'

/**
 * `first` is the answer to the query itself, which is the first step. The first name that exists
 * ends the walk, whatever types it has: so the answers for A and AAAA are of one name. A failure
 * ends it too: to say NXDOMAIN then would let the asker go on to a name that it does not mean.
 */
export function walk(query: Query, path: readonly Name[], { first, next, success }: { first: Answer; next: Serve; success: () => void }): Result {
  const base = query.asked.slice(0, query.asked.length - path[0]!.length)
  const step = (index: number): Result => {
    const name = base + path[index] as Name
    if (path[index] === undefined) return first
    if (name.length > 255) return step(index + 1)
    const asking = query.asking({ name })
    asking.size = 65_535
    return after(next(asking), answer => {
      if (answer.rcode === rcodes.NXDOMAIN) return step(index + 1)
      if (answer.rcode === rcodes.NOERROR) success()
      return renamed(query, asking, answer)
    })
  }
  return first.rcode === rcodes.NXDOMAIN ? step(1) : first
}

/** As the answer to what was asked: the name that was found is an alias's target. Without records there is nothing to alias. */
function renamed(query: Query, asking: Query, answer: Answer): Answer {
  const found = unpack(answer, asking)
  const [record] = found.answer
  return records({ ...found, answer: record ? [cname(query.asked, record.ttl, asking.asked), ...found.answer] : [] })
}
