// The texts of values that Go writes in a form of its own: times and durations. Shared by the JSON
// and the protobuf side.

export interface Instant { readonly seconds: number; readonly nanos: number }

interface Layout { readonly text: string; readonly parts: readonly (readonly [string, RegExp])[] }

// What a layout's parts are called in errors, and how they read.
const date: Layout['parts'] = [['2006', /^\d{4}/], ['-', /^-/], ['01', /^\d\d/], ['-', /^-/], ['02', /^\d\d/], ['T', /^T/],
  ['15', /^\d\d/], [':', /^:/], ['04', /^\d\d/], [':', /^:/]]
const zone: Layout['parts'][number] = ['Z07:00', /^(Z|[+-]\d\d:\d\d)/]
/** Go takes a fraction after the seconds although the layout has none. */
const rfc3339: Layout = { text: '2006-01-02T15:04:05Z07:00', parts: [...date, ['05', /^\d\d([.,]\d+)?/], zone] }
/** Of exactly six digits. */
const rfc3339Micro: Layout = { text: '2006-01-02T15:04:05.000000Z07:00', parts: [...date, ['05', /^\d\d/], ['.000000', /^\.\d{6}/], zone] }

const quoted = JSON.stringify

/** A metav1.Time or, with `micro`, a metav1.MicroTime; or Go's words for what is wrong with it. */
export function parseTime(text: string, { micro = false } = {}): Instant | string {
  const layout = micro ? rfc3339Micro : rfc3339
  const fail = (what: string) => `parsing time ${quoted(text)}${what}`
  const taken: string[] = []
  let rest = text
  for (const [name, pattern] of layout.parts) {
    const match = pattern.exec(rest)
    if (!match) return fail(` as "${layout.text}": cannot parse ${quoted(rest)} as "${name}"`)
    taken.push(match[0])
    rest = rest.slice(match[0].length)
  }
  if (rest !== '') return fail(`: extra text: ${quoted(rest)}`)
  const [year, month, day, hour, minute] = [0, 2, 4, 6, 8].map(index => Number(taken[index])) as [number, number, number, number, number]
  const second = Number(taken[10]!.slice(0, 2)), fraction = micro ? taken[11]!.slice(1) : taken[10]!.slice(3)
  const outOfRange = rangeProblem(year, month, day, hour, minute, second)
  if (outOfRange) return fail(`: ${outOfRange} out of range`)
  const utc = new Date(0)
  utc.setUTCFullYear(year, month - 1, day) // Date.UTC would take the years 0 to 99 for 19xx
  utc.setUTCHours(hour, minute, second)
  return { seconds: utc.getTime() / 1000 - offsetOf(taken.at(-1)!), nanos: Number(fraction.slice(0, 9).padEnd(9, '0')) }
}

/** `+02:00` in seconds. */
const offsetOf = (text: string): number =>
  text === 'Z' ? 0 : (text[0] === '-' ? -1 : 1) * (Number(text.slice(1, 3)) * 3600 + Number(text.slice(4)) * 60)

function rangeProblem(year: number, month: number, day: number, hour: number, minute: number, second: number): string | undefined {
  if (month < 1 || month > 12) return 'month'
  const leap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0)
  const days = month === 2 ? (leap ? 29 : 28) : [4, 6, 9, 11].includes(month) ? 30 : 31
  if (day < 1 || day > days) return 'day'
  if (hour > 23) return 'hour'
  if (minute > 59) return 'minute'
  return second > 59 ? 'second' : undefined
}

// The years that four digits can write; Go's Time.MarshalJSON refuses others.
const earliest = -62167219200, latest = 253402300799

/** Whether the time can be written: RFC 3339 has years of four digits. */
export const isWritable = (instant: Instant): boolean => instant.seconds >= earliest && instant.seconds <= latest

/** `2006-01-02T15:04:05Z`: metav1.Time keeps whole seconds. */
export const timeText = (instant: Instant): string => new Date(instant.seconds * 1000).toISOString().replace('.000Z', 'Z')

/** `2006-01-02T15:04:05.000000Z` */
export const microTimeText = (instant: Instant): string =>
  timeText(instant).replace('Z', `.${String(Math.trunc(instant.nanos / 1000)).padStart(6, '0')}Z`)

const unitNanos: Record<string, number> = { ns: 1, us: 1e3, 'µs': 1e3, ms: 1e6, s: 1e9, m: 60e9, h: 3600e9 }

/** Nanoseconds of a Go duration (`1h30m`, `1.5s`), or Go's words for what is wrong with it. */
export function parseDuration(text: string): number | string {
  const match = /^([+-]?)((?:\d+\.?\d*|\.\d+)(?:ns|us|µs|ms|s|m|h))+$/.exec(text)
  if (text === '0' || text === '+0' || text === '-0') return 0
  if (!match) return `time: invalid duration ${quoted(text)}`
  let total = 0
  for (const [, value, unit] of text.matchAll(/(\d+\.?\d*|\.\d+)(ns|us|µs|ms|s|m|h)/g)) total += Number(value) * unitNanos[unit!]!
  return Math.trunc(text.startsWith('-') ? -total : total)
}

/** As Go prints a duration: `1h30m0s`, `1.5s`, `300ms`. */
export function durationText(nanos: number): string {
  if (nanos === 0) return '0s'
  const magnitude = Math.abs(nanos), sign = nanos < 0 ? '-' : ''
  for (const [unit, size] of [['ns', 1], ['µs', 1e3], ['ms', 1e6]] as const) {
    if (magnitude < size * 1000) return `${sign}${magnitude / size}${unit}`
  }
  const seconds = magnitude / 1e9
  const hours = Math.floor(seconds / 3600), minutes = Math.floor(seconds / 60) % 60
  const rest = `${Number((seconds % 60).toFixed(9))}s`
  return `${sign}${hours ? `${hours}h` : ''}${hours || minutes ? `${minutes}m` : ''}${rest}`
}
