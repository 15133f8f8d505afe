// Quantities (`500m`, `64Mi`, `1e3`) as exact numbers of billionths, enough to compare them and to write
// them as Kubernetes writes them back (resource.Quantity's canonical form).

const binary = ['', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei']
const decimal: Record<string, number> = { n: -9, u: -6, m: -3, '': 0, k: 3, M: 6, G: 9, T: 12, P: 15, E: 18 }
const nano = 1_000_000_000n

interface Parsed { readonly nanos: bigint; readonly format: 'binary' | 'decimal' | 'exponent' }

function parse(text: string | number): Parsed | undefined {
  const match = /^([+-]?)(\d+(?:\.\d*)?|\.\d+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?\d+|)$/.exec(String(text))
  if (!match) return undefined
  const [, sign, number, suffix] = match as unknown as [string, string, string, string]
  const power = /^[eE][+-]?\d+$/.test(suffix) ? Number(suffix.slice(1)) : decimal[suffix] ?? 0
  if (Math.abs(power) > 30) return undefined
  const [whole, fraction = ''] = number.split('.') as [string, string?]
  const digits = BigInt(whole + fraction || '0') * 1024n ** BigInt(Math.max(0, binary.indexOf(suffix)))
  const scale = power + 9 - fraction.length
  // A part of a billionth is rounded up, away from zero (Quantity's documentation).
  const nanos = scale >= 0 ? digits * 10n ** BigInt(scale) : (digits + 10n ** BigInt(-scale) - 1n) / 10n ** BigInt(-scale)
  const format = suffix.endsWith('i') ? 'binary' : /^[eE][+-]?\d/.test(suffix) ? 'exponent' : 'decimal'
  return { nanos: sign === '-' ? -nanos : nanos, format }
}

/** In billionths; `undefined` when the text is no quantity. */
export const parseQuantity = (text: string | number): bigint | undefined => parse(text)?.nanos

export const quantityError = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"

/** `0.5` becomes `500m`, `1024Mi` becomes `1Gi`; text that is no quantity stays as it is. */
export function canonicalQuantity(text: string | number): string {
  const parsed = parse(text)
  if (!parsed) return String(text)
  if (parsed.nanos === 0n) return '0'
  return parsed.format === 'binary' && parsed.nanos % nano === 0n ? inBinary(parsed.nanos / nano) : inDecimal(parsed)
}

function inBinary(value: bigint): string {
  const magnitude = value < 0n ? -value : value
  if (magnitude < 1024n) return String(value) // Quantity writes small binary amounts in decimal
  let rest = value, step = 0
  while (rest % 1024n === 0n && step < binary.length - 1) { rest /= 1024n; step++ }
  return `${rest}${binary[step]}`
}

function inDecimal({ nanos, format }: Parsed): string {
  let rest = nanos, power = -9
  while (rest % 1000n === 0n && power < 18) { rest /= 1000n; power += 3 }
  if (format === 'exponent') return power === 0 ? String(rest) : `${rest}e${power}`
  const suffix = Object.keys(decimal).find(key => decimal[key] === power)!
  return `${rest}${suffix}`
}
