// The options of `dns64`.
import { parseCidr } from '#net/ip.ts'
import { args, CorefileError, noBlock, once, unknown } from '../../corefile/errors.ts'
import type { Directive, Token } from '../../corefile/syntax.ts'
import { addressBytes } from '../../wire/rdata.ts'

export interface Options {
  /** 16 bytes; the address goes behind the first `length` bits. */
  readonly prefix: Buffer
  readonly length: number
  readonly translateAll: boolean
  readonly allowIpv4: boolean
}

/** RFC 6052 2.2. */
const lengths = [32, 40, 48, 56, 64, 96]

function prefixOf({ text }: Pick<Token, 'text'>, token: Token): Pick<Options, 'prefix' | 'length'> {
  const cidr = parseCidr(text), bytes = addressBytes(text.split('/')[0]!)
  if (!cidr || cidr.base.family !== 6 || !bytes) throw new CorefileError(token, `'${text}' is no IPv6 prefix such as 64:ff9b::/96`)
  if (!lengths.includes(cidr.prefix)) throw new CorefileError(token, `${text}: the length must be one of ${lengths.join(', ')}`)
  const prefix = Buffer.alloc(16)
  bytes.copy(prefix, 0, 0, cidr.prefix / 8)
  return { prefix, length: cidr.prefix }
}

export function parse(directives: readonly Directive[]): Options {
  const directive = once(directives)
  args(directive, 0, 1)
  const [given] = directive.args
  let options: Options = { ...prefixOf(given ?? { text: '64:ff9b::/96' }, given ?? directive.word), translateAll: false, allowIpv4: false }
  for (const option of directive.block ?? []) {
    noBlock(option)
    if (option.word.text === 'prefix') { args(option, 1); options = { ...options, ...prefixOf(option.args[0]!, option.args[0]!) } }
    else if (option.word.text === 'translate_all') { args(option, 0); options = { ...options, translateAll: true } }
    else if (option.word.text === 'allow_ipv4') { args(option, 0); options = { ...options, allowIpv4: true } }
    else throw unknown(option, ['prefix', 'translate_all', 'allow_ipv4'])
  }
  return options
}
