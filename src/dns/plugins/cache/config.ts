// The options of `cache`.
import { args, CorefileError, duration, integer, noBlock, once, unknown } from '../../corefile/errors.ts'
import type { Directive, Token } from '../../corefile/syntax.ts'
import { zonesOf } from '../../corefile/zones.ts'
import type { ParseContext } from '../../plugin.ts'
import type { Name } from '../../wire/name.ts'

/** How many answers, and for how long (seconds). */
export interface Limits { readonly capacity: number; readonly most: number; readonly least: number }

export interface Options {
  readonly zones: readonly Name[]
  readonly success: Limits
  readonly denial: Limits
  /** An answer asked for `amount` times, never `gap` ms apart, is fetched anew when only `percent` of its time is left. */
  readonly prefetch: { readonly amount: number; readonly gap: number; readonly percent: number } | undefined
  /** Milliseconds; `verify`: the source is asked first, for at most `timeout` ms when that is set. */
  readonly stale: { readonly for: number; readonly verify: boolean; readonly timeout: number } | undefined
  /** Milliseconds; 0: not kept. */
  readonly servfail: number
  readonly keepTtl: boolean
  readonly disabled: { readonly success: readonly Name[]; readonly denial: readonly Name[] }
}

type Draft = { -readonly [K in keyof Options]: Options[K] }
const capacity = 9984, least = 5
const isNumber = (token: Token | undefined): token is Token => token !== undefined && /^-?\d+$/.test(token.text)

export function parse(directives: readonly Directive[], { zones }: ParseContext): Options {
  const directive = once(directives)
  const [first] = directive.args
  const ttl = isNumber(first) ? integer(first, { min: 1, max: 2 ** 31 - 1 }) : undefined
  const draft: Draft = {
    zones: zonesOf(ttl === undefined ? directive.args : directive.args.slice(1), zones),
    success: { capacity, most: ttl ?? 3600, least }, denial: { capacity, most: ttl ?? 1800, least },
    prefetch: undefined, stale: undefined, servfail: 5000, keepTtl: false, disabled: { success: [], denial: [] },
  }
  for (const option of directive.block ?? []) {
    noBlock(option)
    const set = Object.hasOwn(options, option.word.text) ? options[option.word.text] : undefined
    if (!set) throw unknown(option, Object.keys(options))
    set(draft, option)
  }
  return draft
}

const limits = (option: Directive, old: Limits): Limits => {
  args(option, 1, 3)
  const [capacity, most, least] = option.args
  return {
    capacity: integer(capacity!, { min: 1, max: 10_000_000 }),
    most: most ? integer(most, { min: 1, max: 2 ** 31 - 1 }) : old.most,
    least: least ? integer(least, { max: 2 ** 31 - 1 }) : old.least,
  }
}

type Setter = (draft: Draft, option: Directive) => void
const options: Record<string, Setter> = {
  success: (draft, option) => { draft.success = limits(option, draft.success) },
  denial: (draft, option) => { draft.denial = limits(option, draft.denial) },
  prefetch: (draft, option) => {
    args(option, 1, 3)
    const [amount, gap, percent] = option.args
    const share = percent && /^\d+%$/.test(percent.text) ? Number(percent.text.slice(0, -1)) : percent ? NaN : 10
    if (!(share >= 10 && share <= 90)) throw new CorefileError(percent!, `percentage should fall in range [10%, 90%], not '${percent!.text}'`)
    draft.prefetch = { amount: integer(amount!), gap: gap ? duration(gap) : 60_000, percent: share }
  },
  serve_stale: (draft, option) => {
    args(option, 0, 3)
    const [time, mode, timeout] = option.args
    if (mode && mode.text !== 'immediate' && mode.text !== 'verify') throw new CorefileError(mode, `invalid value for serve_stale refresh mode: '${mode.text}' (known: immediate, verify)`)
    const ms = time ? duration(time) : 3_600_000
    if (ms <= 0) throw new CorefileError(time!, `serve_stale must be above 0, not '${time!.text}'`)
    if (timeout && mode?.text !== 'verify') throw new CorefileError(timeout, 'only verify has a timeout')
    draft.stale = { for: ms, verify: mode?.text === 'verify', timeout: timeout ? duration(timeout) : 0 }
  },
  servfail: (draft, option) => {
    args(option, 1)
    draft.servfail = duration(option.args[0]!)
    if (draft.servfail > 300_000) throw new CorefileError(option.args[0]!, `caching SERVFAIL responses over 5 minutes is not permitted: ${option.args[0]!.text}`)
  },
  disable: (draft, option) => {
    args(option, 1, 1000)
    const [what, ...zones] = option.args
    if (what!.text !== 'success' && what!.text !== 'denial') throw new CorefileError(what!, `cache type for disable must be success or denial, not '${what!.text}'`)
    draft.disabled = { ...draft.disabled, [what!.text]: zonesOf(zones, draft.zones) }
  },
  keepttl: (draft, option) => { args(option, 0); draft.keepTtl = true },
}
