// rewrite: queries changed on their way in, and their answers on their way back so that the asker
// recognises them.
import { unpack } from '../../answer.ts'
import { after, failure, type Answer, type Plugin, type Records } from '../../plugin.ts'
import type { Query } from '../../query.ts'
import { readName, type Rr } from '../../wire/message.ts'
import { fold, parseName, showName, type Name } from '../../wire/name.ts'
import { layouts, types, type Field } from '../../wire/types.ts'
import { parse, type Change, type Matcher, type Replacement, type Rule } from './config.ts'
import { withOption } from './edns.ts'
import type { Match } from './regexp.ts'

/** What is done to the answer, given the query it answers. */
type Back = (answer: Records) => Records
type Applied = { readonly query: Query; readonly back?: Back } | 'bad name' | undefined

function matches(match: Matcher, name: string): Match | boolean {
  switch (match.kind) {
    case 'exact': return name === match.from
    case 'prefix': return name.startsWith(match.from)
    case 'suffix': return name.endsWith(match.from)
    case 'substring': return name.includes(match.from)
    case 'regex': return match.from.exec(name) ?? false
  }
}

const filled = (text: string, { groups }: Match) => text.replace(/\{(\d+)\}/g, (all, n: string) => Number(n) < groups.length ? groups[Number(n)] ?? '' : all)

function renamed(match: Matcher, name: string, to: string): string | undefined {
  const found = matches(match, name)
  if (!found) return undefined
  switch (match.kind) {
    case 'exact': return to
    case 'prefix': return to + name.slice(match.from.length)
    case 'suffix': return name.slice(0, -match.from.length) + to
    case 'substring': return name.replaceAll(match.from, to)
    case 'regex': return filled(to, found as Match)
  }
}

/** What undoes a rule on other names of the answer. */
function undo(match: Matcher, to: string, name: string): string | undefined {
  if (match.kind === 'prefix') return name.startsWith(to) ? match.from + name.slice(to.length) : undefined
  if (match.kind === 'suffix') return name.endsWith(to) ? name.slice(0, -to.length) + match.from : undefined
  return match.kind === 'exact' && name === to ? match.from : undefined
}
const replaced = (rules: readonly Replacement[], name: string): string => rules.reduce((name, { pattern, to }) => {
  const match = pattern.exec(name)
  return match ? filled(to, match) : name
}, name)

const text = (name: Name) => showName(fold(name))
/** Names are left as they are when a rule makes something else of them. */
const nameOf = (text: string, otherwise: Name): Name => parseName(text) ?? otherwise

const widths: Partial<Record<Field, number>> = { u8: 1, u16: 2, u32: 4, type: 2 }

/** The data with each name in it changed; for types whose names stand among fields of fixed size. */
function withNames(record: Rr, change: (name: Name) => Name): Rr {
  const layout = layouts.get(record.type)
  if (!layout?.some(field => field === 'name' || field === 'plain') || record.type === types.RRSIG || record.type === types.NSEC || record.type === types.NAPTR) return record
  const parts: Buffer[] = []
  let at = 0
  for (const field of layout) {
    if (field === 'name' || field === 'plain') {
      const { name, next } = readName(record.data, at)
      parts.push(Buffer.from(change(name), 'latin1'))
      at = next
    } else {
      const next = at + (widths[field] ?? 0)
      parts.push(record.data.subarray(at, next))
      at = next
    }
  }
  return { ...record, data: Buffer.concat(parts) }
}

const mapRecords = (answer: Records, map: (record: Rr) => Rr): Records =>
  ({ ...answer, answer: answer.answer.map(map), authority: answer.authority.map(map), additional: answer.additional.map(map) })

function renamingBack(change: Extract<Change, { field: 'name' }>, { asked, other }: { asked: Name; other: Name }): Back {
  const { match, to, auto, names, values } = change
  const owner = (name: Name): Name => {
    if (fold(name) === other && names.length === 0) return asked
    const whole = text(name), changed = names.length ? replaced(names, whole) : auto ? undo(match, to, whole) ?? whole : whole
    if (changed === whole) return name
    const found = nameOf(changed, name)
    return fold(found) === fold(asked) ? asked : found
  }
  const value = (name: Name): Name => {
    const whole = text(name), changed = values.length ? replaced(values, whole) : auto ? undo(match, to, whole) ?? whole : whole
    return changed === whole ? name : nameOf(changed, name)
  }
  const hasValues = values.length > 0 || auto
  return answer => mapRecords(answer, record => {
    const one = hasValues ? withNames(record, value) : record
    return { ...one, name: owner(record.name) }
  })
}

function applied({ change }: Rule, query: Query): Applied {
  switch (change.field) {
    case 'type': return query.type === change.from ? { query: query.asking({ type: change.to }) } : undefined
    case 'class': return query.class === change.from ? { query: query.asking({ class: change.to }) } : undefined
    case 'edns0': {
      const changed = withOption(query, change.rule)
      return changed && { query: changed }
    }
    case 'ttl': {
      if (!matches(change.match, showName(query.name))) return undefined
      return { query, back: answer => mapRecords(answer, record => ({ ...record, ttl: Math.min(Math.max(record.ttl, change.least), change.most) })) }
    }
    case 'rcode': return matches(change.match, showName(query.name)) ? { query, back: answer => answer.rcode === change.from ? { ...answer, rcode: change.to } : answer } : undefined
    case 'name': {
      const to = renamed(change.match, showName(query.name), change.to)
      if (to === undefined) return undefined
      const name = parseName(to)
      if (name === undefined) return 'bad name'
      return { query: query.asking({ name }), back: renamingBack(change, { asked: query.asked, other: fold(name) }) }
    }
  }
}

export const plugin: Plugin<readonly Rule[]> = {
  name: 'rewrite',
  parse,
  setup: rules => ({
    name: 'rewrite',
    serve: next => given => {
      let query = given
      const backs: Back[] = []
      for (const rule of rules) {
        const result = applied(rule, query)
        if (!result) continue
        if (result === 'bad name') return failure('plugin/rewrite: a rule makes something of the name that is no name')
        query = result.query
        if (result.back) backs.unshift(result.back)
        if (rule.mode === 'stop') break
      }
      if (query === given) return backs.length ? after(next(query), answer => undone(answer, query, backs)) : next(query)
      return after(next(query), answer => backs.length ? undone(answer, query, backs) : answer)
    },
  }),
}

function undone(answer: Answer, query: Query, backs: readonly Back[]): Answer {
  return backs.reduce<Records>((answer, back) => back(answer), unpack(answer, query))
}
