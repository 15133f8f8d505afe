// Plugins of one server block composed to the one function that a query is given to.
import { failure, type Answer, type Instance, type Result, type Serve } from './plugin.ts'
import type { Query } from './query.ts'

/** What the last plugin's `next` says: nobody answered. */
export const endOfChain: Serve = query => failure(`plugin/${query.reached || 'chain'}: no next plugin found`)

/** The first instance is called first. `failed` hears of exceptions, which are bugs: the asker gets SERVFAIL. */
export function compose(instances: readonly Instance[], failed: (error: unknown, query: Query) => void): Serve {
  const chain = instances.filter(instance => instance.serve !== undefined).reduceRight<Serve>((next, instance) => {
    const { name } = instance
    const serve = instance.serve!(next)
    return query => {
      query.reached = name
      for (let from = query.from; from; from = from.from) from.reached = name
      return serve(query)
    }
  }, endOfChain)
  const broken = (query: Query) => (error: unknown): Answer => {
    failed(error, query)
    return failure(`plugin/${query.reached}: ${error instanceof Error ? error.message : String(error)}`)
  }
  return query => {
    let result: Result
    try { result = chain(query) } catch (error) { return broken(query)(error) }
    return result instanceof Promise ? result.catch(broken(query)) : result
  }
}

/** Queries that went to this block, told to its observers. */
export const observed = (instances: readonly Instance[]): ((query: Query, answer: Answer, sent: { bytes: number; ms: number }) => void) | undefined => {
  const observers = instances.filter(instance => instance.observe !== undefined)
  const [first] = observers
  if (!first) return undefined
  if (observers.length === 1) return (query, answer, sent) => first.observe!(query, answer, sent)
  return (query, answer, sent) => { for (const instance of observers) instance.observe!(query, answer, sent) }
}
