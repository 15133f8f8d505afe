// The JSON text of stored objects, made once: the log, the answer and every watcher need the same text
// within a moment of each other. Bounded, because keeping the text of all objects would double the memory.

const recent = new Map<object, string>()
const limit = 1024

/** The JSON text of a frozen object. */
export function jsonOf(object: object): string {
  const known = recent.get(object)
  if (known !== undefined) return known
  const text = JSON.stringify(object)
  if (!Object.isFrozen(object)) return text
  if (recent.size >= limit) recent.delete(recent.keys().next().value!)
  recent.set(object, text)
  return text
}
