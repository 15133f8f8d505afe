// The directive `autopath` of a Corefile, and the search line of a resolv.conf. Pure.
import { args, CorefileError, noBlock, once } from '../../corefile/errors.ts'
import type { Directive } from '../../corefile/syntax.ts'
import { zonesOf } from '../../corefile/zones.ts'
import type { ParseContext } from '../../plugin.ts'
import { fold, parseName, root, type Name } from '../../wire/name.ts'

export interface AutopathOptions {
  /** Folded. */
  readonly zones: readonly Name[]
  /** A resolv.conf, or the plugin that knows each asker's search path. */
  readonly from: { readonly file: string } | { readonly plugin: string }
}

export function parse(directives: readonly Directive[], { zones, root: folder }: ParseContext): AutopathOptions {
  const directive = once(directives)
  noBlock(directive)
  const from = args(directive, 1, Number.MAX_SAFE_INTEGER).at(-1)!
  if (from === '@') throw new CorefileError(directive.args.at(-1)!, "a plugin's name is missing behind the '@', such as @kubernetes")
  return {
    zones: zonesOf(directive.args.slice(0, -1), zones),
    from: from.startsWith('@') ? { plugin: from.slice(1) } : { file: from.startsWith('/') ? from : `${folder.replace(/\/$/, '')}/${from}` },
  }
}

/** The last `search` (or `domain`) line wins, as in a resolver; the root as last means the name as it is. */
export function searchOf(resolvConf: string): Name[] {
  let search: Name[] = []
  for (const line of resolvConf.split('\n')) {
    const [word, ...rest] = line.trim().split(/\s+/)
    if (word === 'search' || word === 'domain') search = rest.flatMap(text => parseName(text.endsWith('.') ? text : `${text}.`) ?? []).map(fold)
  }
  return search.length ? [...search, root] : []
}
