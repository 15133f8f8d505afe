// template: answers made of the question.
import { unpack } from '../../answer.ts'
import { after, failure, records, type Env, type Plugin, type Records, type Result } from '../../plugin.ts'
import type { Query } from '../../query.ts'
import type { Rr } from '../../wire/message.ts'
import { fold, isBelow, longestZone, showName, type Name } from '../../wire/name.ts'
import { parseRecord, targetOf } from '../../wire/rdata.ts'
import { flags, rcodes, types } from '../../wire/types.ts'
import type { Match } from '../rewrite/regexp.ts'
import { parse, takes, type Template } from './config.ts'
import { TemplateError, type Data } from './language.ts'

/** Of CNAMEs that lead from one template to the next. */
const longestChain = 10

function dataOf(query: Query, zone: Name, match: Match): Data {
  const { className, typeName } = query
  const name = showName(query.name)
  return {
    Zone: showName(zone), Name: name, Class: className, Type: typeName, Match: match.groups, Group: match.named, Remote: query.origin.address,
    Question: { Name: name, Qtype: query.type, Qclass: query.class }, Message: { Id: query.id },
    Meta: (label: string) => query.metadata(label) ?? '',
  }
}

/** Parentheses only hold lines together, and there is one. */
const withoutParentheses = (line: string) => line.replace(/("(?:[^"\\]|\\[^])*")|[()]/g, (_, quoted: string | undefined) => quoted ?? ' ')

class Templates {
  readonly #templates: readonly Template[]
  readonly #env: Env
  constructor(templates: readonly Template[], env: Env) {
    this.#templates = templates
    this.#env = env
  }

  answer(query: Query): Result | undefined {
    for (const template of this.#templates) {
      const zone = longestZone(query.name, template.zones)
      if (zone === undefined || !takes(template, query)) continue
      const name = showName(query.name)
      let match: Match | undefined
      for (const regexp of template.regexps) if ((match = regexp.exec(name))) break
      if (match) return this.#fill(template, { query, zone, match })
      if (!template.fallthrough.some(below => isBelow(query.name, below))) return failure('plugin/template: no match, and no fallthrough')
    }
    return undefined
  }

  #fill(template: Template, { query, zone, match }: { query: Query; zone: Name; match: Match }): Result {
    const labels = [query.server, showName(zone), this.#env.block.view, query.className, query.typeName] as const
    const count = (what: string, help: string, ...more: string[]) =>
      this.#env.metrics.counter(`coredns_template_${what}_total`, help, ['server', 'zone', 'view', 'class', 'type', ...(more.length ? ['section', 'template'] : [])]).with(...labels, ...more).inc()
    count('matches', 'Counter of template regex matches.')
    const sections: Record<'answer' | 'authority' | 'additional', Rr[]> = { answer: [], authority: [], additional: [] }
    const data = dataOf(query, zone, match)
    for (const { source, section, make } of template.records) {
      let line: string
      try { line = make(data) } catch (error) {
        if (!(error instanceof TemplateError)) throw error
        count('template_failures', 'Counter of go template failures.', section, source)
        return failure(`plugin/template: ${error.message}`)
      }
      const record = parseRecord(withoutParentheses(line))
      if (!record) {
        count('rr_failures', 'Counter of mis-templated RRs.', section, source)
        return failure(`plugin/template: '${line}' is no record`)
      }
      sections[section].push(fold(record.name) === query.name ? { ...record, name: query.asked } : record)
    }
    const { code = 0, reason = '' } = template.error ?? {}
    const answer: Records = {
      ...records({ rcode: template.rcode, flags: flags.AA, ...sections }),
      ...(template.error && { options: [{ code: 15, data: Buffer.concat([Buffer.from([code >> 8, code & 255]), Buffer.from(reason)]) }] }),
    }
    return this.#withTarget(answer, query)
  }

  /** Behind a CNAME, what the rest of this server says of its target. */
  #withTarget(answer: Records, query: Query): Result {
    const last = answer.answer.at(-1)
    if (last?.type !== types.CNAME || query.type === types.CNAME || query.type === types.ANY) return answer
    let depth = 0
    for (let from = query.from; from; from = from.from) depth++
    if (depth > longestChain) return failure('plugin/template: CNAMEs lead in a circle')
    const asking = query.asking({ name: targetOf(last) })
    asking.size = 65535
    return after(this.#env.lookup(asking), found => {
      const more = unpack(found, asking)
      return more.rcode === rcodes.NOERROR ? { ...answer, answer: [...answer.answer, ...more.answer] } : answer
    })
  }
}

export const plugin: Plugin<readonly Template[]> = {
  name: 'template',
  parse,
  setup(options, env) {
    const templates = new Templates(options, env)
    return { name: 'template', serve: next => query => templates.answer(query) ?? next(query) }
  },
}
