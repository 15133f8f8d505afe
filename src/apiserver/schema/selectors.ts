// The `labelSelector` and `fieldSelector` parameters: parsed once, then asked of many objects. The
// grammar and the error texts are those of apimachinery's labels.Parse and fields.ParseSelector.
// Which fields a kind lets itself be selected by is the caller's business.
import { StatusError } from '#lib/errors.ts'

export interface Selector {
  /** The label keys or field paths that the selector names, sorted, each once. */
  readonly keys: readonly string[]
  matches(map: Readonly<Record<string, string>> | undefined): boolean
  /** The one value that `key` must have, where the selector demands one (`metadata.name=x`). */
  exactValue(key: string): string | undefined
  /** In upstream's normal form. */
  toString(): string
}

type Operator = 'in' | 'notin' | '=' | '==' | '!=' | 'gt' | 'lt' | 'exists' | '!'
interface Requirement { readonly key: string; readonly operator: Operator; readonly values: readonly string[] }

const refuse = (message: string): never => { throw new StatusError(400, 'BadRequest', message) }

const valueOf = (map: Readonly<Record<string, string>> | undefined, key: string): string | undefined =>
  map !== undefined && Object.hasOwn(map, key) ? map[key] : undefined

const isInteger = (text: string) => /^[+-]?\d{1,19}$/.test(text)

function meets({ key, operator, values }: Requirement, labels: Readonly<Record<string, string>> | undefined): boolean {
  const value = valueOf(labels, key)
  switch (operator) {
    case 'in': case '=': case '==': return value !== undefined && values.includes(value)
    case 'notin': case '!=': return value === undefined || !values.includes(value)
    case 'exists': return value !== undefined
    case '!': return value === undefined
    case 'gt': case 'lt': {
      if (value === undefined || !isInteger(value)) return false
      const difference = BigInt(value.replace('+', '')) - BigInt(values[0]!.replace('+', ''))
      return operator === 'gt' ? difference > 0n : difference < 0n
    }
  }
}

function requirementText({ key, operator, values }: Requirement): string {
  switch (operator) {
    case 'exists': return key
    case '!': return `!${key}`
    case 'in': case 'notin': return `${key} ${operator} (${values.join(',')})`
    case 'gt': return `${key}>${values[0]}`
    case 'lt': return `${key}<${values[0]}`
    default: return `${key}${operator}${values[0]}`
  }
}

// ---- label selectors

const labelName = /^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$/
const subdomain = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/
const examples = (first: string, second: string, third: string, regex: string) =>
  `(e.g. '${first}',  or '${second}',  or '${third}', regex used for validation is '${regex}')`
const namePattern = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
const nameRule = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character "
  + examples('MyName', 'my.name', '123-abc', namePattern)
const valueRule = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character "
  + examples('MyValue', 'my_value', '12345', `(${namePattern})?`)
const subdomainRule = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character "
  + "(e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"

function keyProblems(key: string): string[] {
  const parts = key.split('/')
  if (parts.length > 2) return [`a valid label key ${nameRule} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')`]
  const name = parts.at(-1)!, problems: string[] = []
  if (parts.length === 2) {
    const prefix = parts[0]!
    if (prefix === '') problems.push('prefix part must be non-empty')
    else {
      if (prefix.length > 253) problems.push('prefix part must be no more than 253 bytes')
      if (!subdomain.test(prefix)) problems.push(`prefix part ${subdomainRule}`)
    }
  }
  if (name === '') problems.push('name part must be non-empty')
  else if (name.length > 63) problems.push('name part must be no more than 63 bytes')
  if (!labelName.test(name)) problems.push(`name part ${nameRule}`)
  return problems
}

function valueProblems(value: string): string[] {
  const problems = value.length > 63 ? ['must be no more than 63 bytes'] : []
  return value === '' || labelName.test(value) ? problems : [...problems, valueRule]
}

/** field.Invalid as labels.NewRequirement words it: the path of a selector in a query is nil. */
const invalid = (path: string, value: string, problems: readonly string[]) =>
  `${path}: Invalid value: ${JSON.stringify(value)}: ${problems.join('; ')}`

class LabelParser {
  readonly #tokens: readonly string[]
  #next = 0
  constructor(text: string) {
    // Go's Lex: special symbols, the longest first; all else up to a symbol or blank is one word.
    this.#tokens = text.match(/==|!=|[=!(),<>]|[^=!(),<> \t\r\n]+/g) ?? []
  }

  /** '' at the end. */
  peek(): string { return this.#tokens[this.#next] ?? '' }
  take(): string { return this.#tokens[this.#next++] ?? '' }
  static isWord(token: string): boolean { return token !== '' && !/^[=!(),<>]/.test(token) }

  selector(): Requirement[] {
    const requirements: Requirement[] = []
    while (this.peek() !== '') {
      if (!LabelParser.isWord(this.peek()) && this.peek() !== '!') refuse(`found '${this.peek()}', expected: !, identifier, or 'end of string'`)
      requirements.push(this.requirement())
      const separator = this.take()
      if (separator === '') break
      if (separator !== ',') refuse(`found '${separator}', expected: ',' or 'end of string'`)
      if (!LabelParser.isWord(this.peek()) && this.peek() !== '!') refuse(`found '${this.peek()}', expected: identifier after ','`)
    }
    return requirements.sort((a, b) => a.key < b.key ? -1 : a.key > b.key ? 1 : 0)
  }

  requirement(): Requirement {
    const negated = this.peek() === '!'
    if (negated) this.take()
    const key = this.take()
    if (!LabelParser.isWord(key)) return this.fail(`found '${key}', expected: identifier`)
    const problems = keyProblems(key)
    if (problems.length) return this.fail(invalid('<nil>', key, problems))
    if (this.peek() === '' || this.peek() === ',') return { key, operator: negated ? '!' : 'exists', values: [] }
    if (negated) return { key, operator: '!', values: [] }
    const operator = this.operator()
    const values = operator === 'in' || operator === 'notin' ? this.set() : [this.exact()]
    return this.checked({ key, operator, values })
  }

  operator(): Operator {
    const token = this.take()
    if (token === '>') return 'gt'
    if (token === '<') return 'lt'
    if (token === 'in' || token === 'notin' || token === '=' || token === '==' || token === '!=') return token
    return this.fail(`found '${token}', expected: in, notin, =, ==, !=, gt, lt`)
  }

  /** `(a,,b)`: an empty place is the empty value; each value once, sorted. */
  set(): string[] {
    const open = this.take()
    if (open !== '(') this.fail(`found '${open}' expected: '('`)
    const values = new Set<string>()
    for (;;) {
      const token = this.peek()
      if (token === ',' || token === ')') values.add('')
      else if (LabelParser.isWord(token)) values.add(this.take())
      else this.fail(`found '${token}', expected: ',', ')' or identifier`)
      const end = this.take()
      if (end === ')') return [...values].sort()
      if (end !== ',') this.fail(`found '${end}', expected: ',' or ')'`)
    }
  }

  exact(): string {
    if (this.peek() === '' || this.peek() === ',') return ''
    const token = this.take()
    return LabelParser.isWord(token) ? token : this.fail(`found '${token}', expected: identifier`)
  }

  checked(requirement: Requirement): Requirement {
    const { key, operator, values } = requirement
    const problems: string[] = []
    if ((operator === 'gt' || operator === 'lt') && !isInteger(values[0]!)) {
      problems.push(invalid('values[0]', values[0]!, ["for 'Gt', 'Lt' operators, the value must be an integer"]))
    }
    values.forEach((value, index) => {
      const found = valueProblems(value)
      if (found.length) problems.push(invalid(`values[${index}][${key}]`, value, found))
    })
    if (problems.length) this.fail(problems.length === 1 ? problems[0]! : `[${problems.join(', ')}]`)
    return requirement
  }

  fail(message: string): never { return refuse(`unable to parse requirement: ${message}`) }
}

function selectorOf(requirements: readonly Requirement[], holds: (requirement: Requirement, map: Readonly<Record<string, string>> | undefined) => boolean,
  text: (requirement: Requirement) => string): Selector {
  const exact = (requirement: Requirement) => requirement.operator === '=' || requirement.operator === '=='
    || (requirement.operator === 'in' && requirement.values.length === 1)
  return {
    keys: [...new Set(requirements.map(requirement => requirement.key))].sort(),
    matches: map => requirements.every(requirement => holds(requirement, map)),
    exactValue: key => requirements.find(requirement => requirement.key === key && exact(requirement))?.values[0],
    toString: () => requirements.map(text).join(','),
  }
}

/** `a=1,b!=2,c in (x,y),!d,e>5`; throws StatusError 400. An empty text selects everything. */
export const parseLabelSelector = (text: string): Selector =>
  selectorOf(new LabelParser(text).selector(), meets, requirementText)

// ---- field selectors

/** Splits at commas that no backslash precedes; the backslashes stay. */
const terms = (text: string): string[] => text.match(/(?:\\[\s\S]|[^,\\]|\\$)+/g) ?? []

function unescape(value: string): string {
  let plain = ''
  for (let at = 0; at < value.length; at++) {
    const character = value[at]!
    if (character === '\\') {
      const escaped = value[++at] ?? ''
      if (escaped === '' || !'\\,='.includes(escaped)) refuse(`invalid field selector: invalid escape sequence: \\${escaped}`)
      plain += escaped
    } else if (character === ',' || character === '=') {
      refuse(`invalid field selector: unescaped character in value: ${character}`)
    } else plain += character
  }
  return plain
}

function fieldTerm(term: string, whole: string): Requirement {
  const match = /^([\s\S]*?)(!=|==|=)([\s\S]*)$/.exec(term)
  if (!match) return refuse(`invalid selector: '${whole}'; can't understand '${term}'`)
  return { key: match[1]!, operator: match[2] === '!=' ? '!=' : '=', values: [unescape(match[3]!)] }
}

// Unlike a label, a field that is not there has the empty value (fields.Set.Get).
const fieldMeets = ({ key, operator, values }: Requirement, fields: Readonly<Record<string, string>> | undefined): boolean =>
  ((valueOf(fields, key) ?? '') === values[0]) === (operator === '=')

/** `metadata.name=a,status.phase!=Running`, with `\,`, `\=` and `\\` in values; throws StatusError 400. */
export const parseFieldSelector = (text: string): Selector =>
  selectorOf(terms(text).sort().map(term => fieldTerm(term, text)).filter(({ key, values }) => key !== '' || values[0] !== ''), fieldMeets,
    ({ key, operator, values }) => `${key}${operator}${values[0]!.replace(/[\\,=]/g, '\\$&')}`)
