// Kubernetes quantities (`100m`, `1.5Gi`, `2e3`) as exact numbers, and what the kubelet makes of them:
// limits for the runtime, and the downward API's resourceFieldRef. Pure.

const suffixes: Record<string, [bigint, bigint]> = {
  n: [1n, 1_000_000_000n], u: [1n, 1_000_000n], m: [1n, 1000n], '': [1n, 1n],
  k: [1000n, 1n], M: [10n ** 6n, 1n], G: [10n ** 9n, 1n], T: [10n ** 12n, 1n], P: [10n ** 15n, 1n], E: [10n ** 18n, 1n],
  Ki: [1n << 10n, 1n], Mi: [1n << 20n, 1n], Gi: [1n << 30n, 1n], Ti: [1n << 40n, 1n], Pi: [1n << 50n, 1n], Ei: [1n << 60n, 1n],
}

/** A fraction of integers. */
export interface Quantity { readonly numerator: bigint; readonly denominator: bigint }

/** `undefined` when the text is no quantity. */
export function parseQuantity(text: string): Quantity | undefined {
  const match = /^([+-]?)(\d*)(?:\.(\d*))?(?:([eE])([+-]?\d+)|([numkMGTPE]|[KMGTPE]i)?)$/.exec(text.trim())
  if (!match || (!match[2] && !match[3])) return undefined
  const [, sign, whole = '', fraction = '', , exponent, suffix = ''] = match
  const digits = BigInt((whole || '0') + fraction) * (sign === '-' ? -1n : 1n)
  const power = exponent ? Number(exponent) : 0
  const [multiply, divide] = suffixes[suffix]!
  return {
    numerator: digits * multiply * (power > 0 ? 10n ** BigInt(power) : 1n),
    denominator: 10n ** BigInt(fraction.length) * divide * (power < 0 ? 10n ** BigInt(-power) : 1n),
  }
}

/** quantity / divisor, rounded up, as upstream's convertResourceCPUToString and its siblings. */
export function divideUp(value: Quantity, divisor: Quantity): bigint {
  const numerator = value.numerator * divisor.denominator, denominator = value.denominator * divisor.numerator
  return (numerator + denominator - 1n) / denominator
}

const one: Quantity = { numerator: 1n, denominator: 1n }
const milli: Quantity = { numerator: 1n, denominator: 1000n }

/** Whole units (bytes, pods), rounded up; undefined for no or a broken quantity. */
export const units = (text: string | undefined): number | undefined => scaled(text, one)
/** Thousandths of a CPU, rounded up. */
export const milliUnits = (text: string | undefined): number | undefined => scaled(text, milli)

function scaled(text: string | undefined, divisor: Quantity): number | undefined {
  const value = text === undefined ? undefined : parseQuantity(text)
  return value && Number(divideUp(value, divisor))
}
