// Objects from the API are shared by everyone who reads them; this makes a forgotten copy an error
// instead of a silent change under another reader's feet.

/** Freezes a JSON value in depth; what is frozen already is taken to be frozen in depth. */
export function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value
  Object.freeze(value)
  for (const item of Object.values(value)) deepFreeze(item)
  return value
}
