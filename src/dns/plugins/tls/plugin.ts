// tls: the certificate of tls:// and https:// server blocks; the listeners use it.
import { args, CorefileError, once, unknown } from '../../corefile/errors.ts'
import type { ListenSettings, Plugin } from '../../plugin.ts'

type Options = NonNullable<ListenSettings['tls']>
const kinds = ['nocert', 'request', 'require', 'verify_if_given', 'require_and_verify'] as const

export const plugin: Plugin<Options> = {
  name: 'tls',
  parse(directives) {
    const directive = once(directives)
    const [cert, key, ca] = args(directive, 2, 3)
    let clientAuth: Options['clientAuth'] = 'nocert'
    for (const option of directive.block ?? []) {
      if (option.word.text !== 'client_auth') throw unknown(option, ['client_auth'])
      const kind = kinds.find(kind => kind === args(option, 1)[0])
      if (!kind) throw new CorefileError(option.args[0]!, `unknown client_auth '${option.args[0]!.text}' (known: ${kinds.join(', ')})`)
      clientAuth = kind
    }
    return { cert: cert!, key: key!, clientAuth, ...(ca !== undefined && { ca }) }
  },
  listen: tls => ({ tls }),
  setup: () => ({ name: 'tls' }),
}
