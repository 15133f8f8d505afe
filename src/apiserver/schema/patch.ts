// The three ways to change a part of an object: JSON Patch, JSON Merge Patch (here, RFC 7386) and
// strategic merge patch. All are pure: documents in, a new document out, nothing shared with the
// inputs; the result still has to pass strict.ts and validation.
import { copy } from './strict.ts'
import { put } from './json.ts'

export { jsonPatch } from './json-patch.ts'
export { strategicMergePatch } from './strategic.ts'

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value)

/** RFC 7386 section 2: objects are merged, null removes a member, anything else replaces. */
export function mergePatch(document: unknown, patch: unknown): unknown {
  if (!isObject(patch)) return copy(patch)
  const result = (isObject(document) ? copy(document) : {}) as Record<string, unknown>
  mergeInto(result, patch)
  return result
}

function mergeInto(target: Record<string, unknown>, patch: Record<string, unknown>): void {
  for (const key of Object.keys(patch)) {
    const change = patch[key]
    if (change === null || change === undefined) delete target[key]
    else if (!isObject(change)) put(target, key, copy(change))
    else {
      const own = Object.hasOwn(target, key) ? target[key] : undefined
      const inner = isObject(own) ? own : {}
      mergeInto(inner, change)
      put(target, key, inner)
    }
  }
}
