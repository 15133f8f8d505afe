// whoami: tells who asks: the address as A or AAAA, port and protocol as SRV.
import { args, noBlock, once } from '../../corefile/errors.ts'
import { records, type Plugin } from '../../plugin.ts'
import { fromLabels, root, type Name } from '../../wire/name.ts'
import { address, srv } from '../../wire/rdata.ts'
import { flags } from '../../wire/types.ts'

export const plugin: Plugin<undefined> = {
  name: 'whoami',
  parse(directives) {
    noBlock(once(directives))
    args(directives[0]!, 0)
    return undefined
  },
  setup: () => ({
    name: 'whoami',
    serve: () => query => {
      const { origin, asked } = query
      const service = fromLabels([`_${origin.protocol}`], asked) ?? root as Name
      return records({ flags: flags.AA, additional: [address(asked, 0, origin.address), srv(service, 0, { priority: 0, weight: 0, port: origin.port, target: root })] })
    },
  }),
}
