// loadbalance: who asks again gets the addresses in another order.
import { after, isPacked, type Plugin } from '../../plugin.ts'
import { rcodes } from '../../wire/types.ts'
import { readWeights } from './apply.ts'
import { balancePacked, balanceRecords, type Balance } from './balance.ts'
import { parse, type LoadbalanceOptions, type Weights } from './config.ts'

export const plugin: Plugin<LoadbalanceOptions> = {
  name: 'loadbalance',
  parse,
  setup({ policy, prefer, limit }, env) {
    const random = () => env.random()
    let balance: Balance = { random, prefer, limit }, stopReading = () => {}
    const take = (weights: Weights) => { balance = { random, prefer, limit, weights } }
    return {
      name: 'loadbalance',
      serve: next => query => after(next(query), answer => {
        if (answer.rcode !== rcodes.NOERROR) return answer
        return isPacked(answer) ? balancePacked(answer, query, balance) : balanceRecords(answer, query, balance)
      }),
      async start() {
        if (policy.kind !== 'weighted') return
        take(await readWeights(policy.file))
        // A file that became wrong is told, and the weights stay as they were.
        if (policy.reload > 0) stopReading = env.every(policy.reload, () => { readWeights(policy.file).then(take, (error: unknown) => env.log.error('the weights stay as they were', error)) })
      },
      stop: () => stopReading(),
    }
  },
}
