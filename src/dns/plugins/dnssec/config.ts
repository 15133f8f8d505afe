// The options of `dnssec`.
import { args, CorefileError, integer, noBlock, once, unknown } from '../../corefile/errors.ts'
import type { Directive, Token } from '../../corefile/syntax.ts'
import { zonesOf } from '../../corefile/zones.ts'
import type { ParseContext } from '../../plugin.ts'
import type { Name } from '../../wire/name.ts'

/** Without `.key` or `.private`. */
export interface KeyFile { readonly base: string; readonly token: Token }
export interface Options { readonly zones: readonly Name[]; readonly keys: readonly KeyFile[]; readonly capacity: number }

export function parse(directives: readonly Directive[], { zones, root }: ParseContext): Options {
  const directive = once(directives)
  const keys: KeyFile[] = []
  let capacity = 10_000
  for (const option of directive.block ?? []) {
    noBlock(option)
    if (option.word.text === 'key') keys.push(...keyFiles(option, root))
    else if (option.word.text === 'cache_capacity') { args(option, 1); capacity = integer(option.args[0]!, { min: 1, max: 10_000_000 }) }
    else throw unknown(option, ['key', 'cache_capacity'])
  }
  if (keys.length === 0) throw new CorefileError(directive.word, "dnssec needs a key: 'key file Kexample.org.+013+12345'")
  return { zones: zonesOf(directive.args, zones), keys, capacity }
}

function keyFiles(option: Directive, root: string): KeyFile[] {
  const [kind, ...files] = option.args
  if (kind?.text !== 'file') throw new CorefileError(kind ?? option.word, kind?.text === 'secret' ? "'key secret' (AWS) is not supported: use 'key file'" : "key needs 'file' and names of key files")
  if (files.length === 0) throw new CorefileError(kind, 'key file needs names of key files')
  return files.map(token => {
    const base = token.text.replace(/\.(key|private)$/, '')
    return { token, base: base.startsWith('/') ? base : `${root.replace(/\/$/, '')}/${base}` }
  })
}
