// The directive `loadbalance` of a Corefile, and its weight file. Pure.
import { args, CorefileError, duration, integer, noBlock, once, unknown } from '../../corefile/errors.ts'
import type { Directive } from '../../corefile/syntax.ts'
import type { ParseContext } from '../../plugin.ts'
import { parseCidr, parseIp, type Cidr } from '#net/ip.ts'
import { fold, parseName, type Name } from '../../wire/name.ts'

export interface LoadbalanceOptions {
  readonly policy: { readonly kind: 'round_robin' } | { readonly kind: 'weighted'; readonly file: string; /** Milliseconds; 0: never. */ readonly reload: number }
  readonly prefer: readonly Cidr[]
  /** 0: all. */
  readonly limit: number
}

const defaultReload = 30_000

export function parse(directives: readonly Directive[], { root }: ParseContext): LoadbalanceOptions {
  const directive = once(directives)
  const [policy = 'round_robin', file] = args(directive, 0, 2)
  if (policy !== 'round_robin' && policy !== 'weighted') throw new CorefileError(directive.args[0]!, `unknown policy '${policy}' (known: round_robin, weighted)`)
  if ((policy === 'weighted') !== (file !== undefined)) throw new CorefileError(directive.word, policy === 'weighted' ? 'weighted needs a file' : 'round_robin takes no file')
  let reload = defaultReload, limit = 0
  const prefer: Cidr[] = []
  for (const option of directive.block ?? []) {
    noBlock(option)
    switch (option.word.text) {
      case 'reload':
        args(option, 1)
        if (policy !== 'weighted') throw new CorefileError(option.word, 'reload is of the weight file: only with weighted')
        reload = duration(option.args[0]!)
        break
      case 'prefer':
        args(option, 1, Number.MAX_SAFE_INTEGER)
        for (const token of option.args) {
          const cidr = parseCidr(token.text)
          if (!cidr) throw new CorefileError(token, `'${token.text}' is no CIDR`)
          prefer.push(cidr)
        }
        break
      case 'limit_answers': args(option, 1); limit = integer(option.args[0]!, { min: 1 }); break
      default: throw unknown(option, ['reload', 'prefer', 'limit_answers'])
    }
  }
  if (policy === 'round_robin') return { policy: { kind: policy }, prefer, limit }
  return { policy: { kind: policy, file: file!.startsWith('/') ? file! : `${root.replace(/\/$/, '')}/${file}`, reload }, prefer, limit }
}

/** By folded name, then by the address's bytes as hex. */
export type Weights = ReadonlyMap<Name, ReadonlyMap<string, number>>

/** Throws an Error with the line that is wrong. */
export function parseWeights(text: string): Weights {
  const weights = new Map<Name, Map<string, number>>()
  let current: Map<string, number> | undefined
  for (const [index, line] of text.split('\n').entries()) {
    const words = line.replace(/#.*/, '').trim().split(/\s+/)
    if (words[0] === '') continue
    const wrong = (what: string) => new Error(`line ${index + 1}: ${what}`)
    if (words.length === 1) {
      const name = parseName(words[0]!.endsWith('.') ? words[0]! : `${words[0]}.`)
      if (!name) throw wrong(`'${words[0]}' is no name`)
      weights.set(fold(name), current = new Map())
      continue
    }
    const ip = parseIp(words[0]!), weight = Number(words[1])
    if (words.length !== 2 || !ip || !Number.isInteger(weight) || weight < 1 || weight > 255) throw wrong('expected an address and a weight from 1 to 255')
    if (!current) throw wrong('a name must come before its addresses')
    current.set(ip.value.toString(16).padStart(ip.family === 4 ? 8 : 32, '0'), weight)
  }
  return weights
}
