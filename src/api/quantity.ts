// Kubernetes quantities (`100m`, `1.5Gi`, `2e3`): parse, compare, add, write in canonical form, as
// apimachinery's resource.Quantity. Values are exact: whole billionths (nano) as bigint.

/** `BinarySI` 12Mi, `DecimalSI` 12M, `DecimalExponent` 12e6: how the value is written. */
export type QuantityFormat = 'BinarySI' | 'DecimalSI' | 'DecimalExponent'

export interface Quantity {
  /** The amount times 10^9. */
  readonly nanos: bigint
  readonly format: QuantityFormat
  /** The text as given, where upstream keeps it rather than writing a canonical one. */
  readonly text?: string
}

const nano = 1_000_000_000n
const maxInt64 = 2n ** 63n - 1n
/** Beyond this many digits a value means nothing, and its bigint would only cost time. */
const maxDigits = 200

const decimalSuffix: Record<string, number> = { n: -9, u: -6, m: -3, '': 0, k: 3, M: 6, G: 9, T: 12, P: 15, E: 18 }
const binarySuffix: Record<string, number> = { Ki: 10, Mi: 20, Gi: 30, Ti: 40, Pi: 50, Ei: 60 }
const decimalSuffixOf = new Map(Object.entries(decimalSuffix).map(([suffix, exponent]) => [exponent, suffix]))
const binarySuffixOf = new Map(Object.entries(binarySuffix).map(([suffix, exponent]) => [exponent, suffix]))

const formatWrong = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
const numericWrong = 'unable to parse numeric part of quantity'
const suffixWrong = "unable to parse quantity's suffix"

interface Suffix { readonly format: QuantityFormat; readonly exponent: number }

function suffixOf(text: string): Suffix | undefined {
  if (Object.hasOwn(decimalSuffix, text)) return { format: 'DecimalSI', exponent: decimalSuffix[text]! }
  if (Object.hasOwn(binarySuffix, text)) return { format: 'BinarySI', exponent: binarySuffix[text]! }
  const exponent = /^[eE]([+-]?\d+)$/.exec(text)
  return exponent ? { format: 'DecimalExponent', exponent: Number(exponent[1]) } : undefined
}

function parse(text: string): Quantity | string {
  const match = /^([+-]?)(\d*)(?:\.(\d*))?([eEinumkKMGTP]*[-+]?\d*)$/.exec(text)
  if (!match || text === '') return formatWrong
  const [, sign, whole = '', fraction = '', suffixText = ''] = match
  const suffix = suffixOf(suffixText)
  if (!suffix) return suffixWrong
  const digits = whole + fraction
  if (digits === '') return formatWrong
  if (digits.length > maxDigits || suffix.exponent > maxDigits) return numericWrong
  const magnitude = inNanos(digits, fraction.length, suffix)
  const capped = suffix.format === 'BinarySI' && magnitude > maxInt64 * nano ? maxInt64 * nano : magnitude
  // Less than one cannot be written in binary units.
  const format = suffix.format === 'BinarySI' && capped > 0n && capped < nano ? 'DecimalSI' : suffix.format
  const nanos = sign === '-' ? -capped : capped
  return keepsText(whole, fraction, suffix) ? { nanos, format, text } : { nanos, format }
}

/** Digits with `places` of them behind the point, times the suffix; a remainder below 1n counts as 1n (RoundUp). */
function inNanos(digits: string, places: number, suffix: Suffix): bigint {
  const base = BigInt(digits || '0') * (suffix.format === 'BinarySI' ? 2n ** BigInt(suffix.exponent) : 1n)
  const exponent = (suffix.format === 'BinarySI' ? 0 : suffix.exponent) - places + 9
  if (exponent >= 0) return base * 10n ** BigInt(exponent)
  if (base === 0n) return 0n
  return exponent < -3 * maxDigits ? 1n : divideUp(base, 10n ** BigInt(-exponent))
}

const divideUp = (value: bigint, by: bigint): bigint => {
  const quotient = value / by
  if (quotient * by === value) return quotient
  return value > 0n ? quotient + 1n : quotient - 1n
}

// ParseQuantity's fast path: a number that it takes for canonical is kept as written (`1.500`).
function keepsText(whole: string, fraction: string, { format, exponent }: Suffix): boolean {
  const digits = (whole.replace(/^0+/, '') || '0') + fraction
  if (format === 'BinarySI') {
    const precision = 15 - (digits.length - fraction.length) - Math.trunc(exponent * 3 / 10) - 1
    return fraction === '' && precision >= 0 && (Number(digits) & 7) !== 0
  }
  const scale = exponent - fraction.length
  return digits.length <= 18 && scale >= -9 && scale % 3 === 0 && !digits.endsWith('000') && digits[0] !== '0'
}

/** Undefined when the text is no quantity; quantityProblem says why. */
export function parseQuantity(text: string): Quantity | undefined {
  const parsed = parse(text)
  return typeof parsed === 'string' ? undefined : parsed
}

/** Upstream's words for what is wrong with the text, or undefined when it is a quantity. */
export function quantityProblem(text: string): string | undefined {
  const parsed = parse(text)
  return typeof parsed === 'string' ? parsed : undefined
}

export const compareQuantities = (a: Quantity, b: Quantity): number => a.nanos < b.nanos ? -1 : a.nanos > b.nanos ? 1 : 0

/** In the format of `a`, or of `b` where `a` is zero. */
export const addQuantities = (a: Quantity, b: Quantity): Quantity =>
  ({ nanos: a.nanos + b.nanos, format: a.nanos === 0n ? b.format : a.format })

export const subtractQuantities = (a: Quantity, b: Quantity): Quantity =>
  ({ nanos: a.nanos - b.nanos, format: a.nanos === 0n ? b.format : a.format })

/** The largest unit that leaves a whole number: `1.5Gi` is `1536Mi`, `0.5` is `500m`. */
export function formatQuantity({ nanos, format, text }: Quantity): string {
  if (text !== undefined) return text
  if (nanos === 0n) return '0'
  const magnitude = nanos < 0n ? -nanos : nanos
  const binary = format === 'BinarySI' && magnitude >= 1024n * nano && magnitude % nano === 0n
  if (binary) return formatBinary(nanos / nano)
  return formatDecimal(nanos, format === 'DecimalExponent')
}

function formatBinary(value: bigint): string {
  let exponent = 0
  while (exponent < 60 && value % 1024n === 0n) { value /= 1024n; exponent += 10 }
  return `${value}${binarySuffixOf.get(exponent) ?? ''}`
}

function formatDecimal(value: bigint, scientific: boolean): string {
  let exponent = -9
  while (value % 1000n === 0n && (scientific || exponent < 18)) { value /= 1000n; exponent += 3 }
  if (scientific) return exponent === 0 ? `${value}` : `${value}e${exponent}`
  return `${value}${decimalSuffixOf.get(exponent)}`
}

/** The text in canonical form; a text that is no quantity comes back as it is. */
export function canonicalQuantity(text: string): string {
  const quantity = parseQuantity(text)
  return quantity ? formatQuantity(quantity) : text
}

const rounded = (text: string, unit: bigint): number => {
  const quantity = parseQuantity(text)
  return quantity ? Number(divideUp(quantity.nanos, unit)) : NaN
}

/** Whole units (bytes, cores), rounded away from zero; NaN when the text is no quantity. */
export const quantityValue = (text: string): number => rounded(text, nano)

/** Thousandths (millicores), rounded away from zero; NaN when the text is no quantity. */
export const quantityMilli = (text: string): number => rounded(text, 1_000_000n)
