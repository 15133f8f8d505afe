// The directive `k8s_external` of a Corefile to one value.
import { args, CorefileError, integer, noBlock, once, unknown } from '../../corefile/errors.ts'
import type { Directive } from '../../corefile/syntax.ts'
import { zonesOf } from '../../corefile/zones.ts'
import type { ParseContext } from '../../plugin.ts'
import type { Name } from '../../wire/name.ts'

export interface ExternalOptions {
  /** Folded. */
  readonly zones: readonly Name[]
  /** The label of the zone's own names. */
  readonly apex: string
  readonly ttl: number
  readonly headless: boolean
  readonly fallthrough?: readonly Name[]
}

export function parse(directives: readonly Directive[], { zones }: ParseContext): ExternalOptions {
  const directive = once(directives)
  const draft = { zones: zonesOf(directive.args, zones), apex: 'dns', ttl: 5, headless: false } as { -readonly [K in keyof ExternalOptions]: ExternalOptions[K] }
  for (const option of directive.block ?? []) {
    noBlock(option)
    switch (option.word.text) {
      case 'apex': {
        const [label] = args(option, 1)
        if (!/^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/i.test(label!)) throw new CorefileError(option.args[0]!, `'${label}' is no single label`)
        draft.apex = label!.toLowerCase()
        break
      }
      case 'ttl': args(option, 1); draft.ttl = integer(option.args[0]!, { min: 0, max: 3600 }); break
      case 'headless': args(option, 0); draft.headless = true; break
      case 'fallthrough': draft.fallthrough = zonesOf(option.args, ['\0' as Name]); break
      default: throw unknown(option, ['apex', 'ttl', 'headless', 'fallthrough'])
    }
  }
  return draft
}
