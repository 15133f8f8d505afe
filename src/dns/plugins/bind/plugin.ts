// bind: which of this machine's addresses the server block listens on; the listeners use it.
import type { NetworkInterfaceInfo } from 'node:os'
import { parseIp } from '#net/ip.ts'
import { CorefileError, unknown } from '../../corefile/errors.ts'
import type { Token } from '../../corefile/syntax.ts'
import type { Plugin } from '../../plugin.ts'
import { interfaces } from './apply.ts'

type Interfaces = NodeJS.Dict<NetworkInterfaceInfo[]>
interface Options { readonly hosts: readonly Token[]; readonly except: ReadonlySet<string> }

/** Addresses as they are; an interface's name stands for its addresses. */
function hostsOf({ hosts, except }: Options, all: Interfaces): string[] {
  return [...new Set(hosts.flatMap(token => {
    if (parseIp(token.text)) return [token.text]
    const found = all[token.text]
    if (!found) throw new CorefileError(token, `not a valid IP address or interface name: '${token.text}'`)
    return found.filter(({ address }) => !address.startsWith('fe80:')).map(({ address }) => address)
  }))].filter(host => !except.has(host))
}

export const plugin: Plugin<Options> = {
  name: 'bind',
  parse(directives) {
    const hosts: Token[] = [], except = new Set<string>()
    for (const directive of directives) {
      if (directive.args.length === 0) throw new CorefileError(directive.word, 'at least one address or interface name is expected')
      hosts.push(...directive.args)
      for (const option of directive.block ?? []) {
        if (option.word.text !== 'except') throw unknown(option, ['except'])
        if (option.args.length === 0) throw new CorefileError(option.word, 'except needs an address')
        for (const { text } of option.args) except.add(text)
      }
    }
    return { hosts, except }
  },
  listen: options => ({ hosts: hostsOf(options, interfaces()) }),
  setup: () => ({ name: 'bind' }),
}
