// Structural equality of JSON values; a key whose value is `undefined` counts as absent.

export function equal(a: unknown, b: unknown): boolean {
  if (a === b) return true
  if (typeof a !== 'object' || typeof b !== 'object' || !a || !b || Array.isArray(a) !== Array.isArray(b)) return false
  if (Array.isArray(a)) return a.length === (b as unknown[]).length && a.every((item, i) => equal(item, (b as unknown[])[i]))
  const keysOfA = definedKeys(a), keysOfB = definedKeys(b)
  return keysOfA.length === keysOfB.length && keysOfA.every(key =>
    Object.hasOwn(b, key) && equal((a as Record<string, unknown>)[key], (b as Record<string, unknown>)[key]))
}

const definedKeys = (object: object) => Object.keys(object).filter(key => (object as Record<string, unknown>)[key] !== undefined)
