// pod-template-hash: the short name of a pod template.
import type { PodTemplateSpec } from '#api/core/v1.ts'

// apimachinery's rand.SafeEncodeString: no vowels, and none of 0, 1 and 3.
const alphabet = 'bcdfghjklmnpqrstvwxz2456789'
export const safeEncode = (text: string): string =>
  [...text].map(character => alphabet[character.charCodeAt(0) % alphabet.length]).join('')

/** FNV-1a: xor, then multiply. */
export function fnv32a(text: string): number {
  let hash = 0x811c9dc5
  for (const byte of new TextEncoder().encode(text)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0
  return hash
}

/** JSON with sorted keys and without what is absent: equal templates give equal text. */
export function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null'
  const fields = Object.entries(value).filter(([, field]) => field !== undefined && field !== null).sort(([a], [b]) => a < b ? -1 : 1)
  return `{${fields.map(([key, field]) => `${JSON.stringify(key)}:${canonical(field)}`).join(',')}}`
}

/** Like upstream's ComputeHash in shape; the value differs, because upstream hashes Go's own dump of the struct. */
export const templateHash = (template: PodTemplateSpec, collisionCount?: number): string =>
  safeEncode(String(fnv32a(canonical(template) + (collisionCount === undefined ? '' : `\n${collisionCount}`))))
