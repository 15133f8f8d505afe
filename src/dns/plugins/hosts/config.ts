// The options of `hosts`, and the lines that may stand in its block.
import { parseIp } from '#net/ip.ts'
import { args, CorefileError, duration, integer, noBlock, once, unknown } from '../../corefile/errors.ts'
import type { Directive } from '../../corefile/syntax.ts'
import { zonesOf } from '../../corefile/zones.ts'
import type { ParseContext } from '../../plugin.ts'
import type { Name } from '../../wire/name.ts'

export interface Options {
  readonly file: string
  readonly zones: readonly Name[]
  readonly inline: string
  readonly ttl: number
  readonly reverse: boolean
  /** Milliseconds; 0: the file is read once. */
  readonly reload: number
  readonly fallthrough: readonly Name[]
  /** Also for types that no line of a hosts file can have. */
  readonly fallthroughUnsupported: boolean
}

const known = ['IP NAME...', 'ttl', 'no_reverse', 'reload', 'fallthrough', 'fallthrough_unsupported']

export function parse(directives: readonly Directive[], { zones, root }: ParseContext): Options {
  const directive = once(directives)
  const [file, ...rest] = directive.args
  const path = file?.text ?? '/etc/hosts'
  const draft: { -readonly [K in keyof Options]: Options[K] } = {
    file: path.startsWith('/') ? path : `${root.replace(/\/$/, '')}/${path}`, zones: zonesOf(rest, zones), inline: '', ttl: 3600, reverse: true, reload: 5000, fallthrough: [], fallthroughUnsupported: false,
  }
  for (const option of directive.block ?? []) {
    noBlock(option)
    read(draft, option)
  }
  if (draft.fallthroughUnsupported && draft.fallthrough.length === 0) throw new CorefileError(directive.word, 'fallthrough_unsupported needs fallthrough')
  return draft
}

function read(draft: { -readonly [K in keyof Options]: Options[K] }, option: Directive): void {
  switch (option.word.text) {
    case 'ttl': args(option, 1); draft.ttl = integer(option.args[0]!, { min: 1, max: 65535 }); return
    case 'no_reverse': args(option, 0); draft.reverse = false; return
    case 'reload': args(option, 1); draft.reload = duration(option.args[0]!); return
    case 'fallthrough': draft.fallthrough = zonesOf(option.args, draft.zones); return
    case 'fallthrough_unsupported': args(option, 0); draft.fallthroughUnsupported = true; return
  }
  if (!parseIp(option.word.text)) throw unknown(option, known)
  if (option.args.length === 0) throw new CorefileError(option.word, `a name is missing behind '${option.word.text}'`)
  draft.inline += `${[option.word, ...option.args].map(({ text }) => text).join(' ')}\n`
}
