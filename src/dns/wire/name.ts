// Domain names as values. A Name is the name's wire form (RFC 1035 3.1: each label after its length,
// a zero at the end) in a string of one char a byte: it can be a Map key, compared, sliced and written
// out with 'latin1' as it is. The case is kept; compare folded names only.

declare const wire: unique symbol
/** `'\x03www\x07example\x03org\0'`; never compressed; at most 255 bytes, labels at most 63 (RFC 1035 2.3.4). */
export type Name = string & { readonly [wire]: true }

export const root = '\0' as Name

/** Lower case, ASCII letters only (RFC 4343). A length byte is at most 63 and so never a letter. */
export function fold(name: Name): Name {
  for (let i = 0; i < name.length; i++) {
    const c = name.charCodeAt(i)
    if (c >= 65 && c <= 90) return foldFrom(name, i) as Name
  }
  return name
}
function foldFrom(text: string, at: number): string {
  let out = text.slice(0, at)
  for (let i = at; i < text.length; i++) {
    const c = text.charCodeAt(i)
    out += c >= 65 && c <= 90 ? String.fromCharCode(c | 32) : text[i]
  }
  return out
}

/**
 * From text: `www.example.org` with or without the last dot, `\.` and `\046` as RFC 1035 5.1 has
 * them; `''` and `'.'` are the root. With `origin`, a name without a last dot is below it.
 * `undefined` when it is no name (empty label, too long).
 */
export function parseName(text: string, origin: Name = root): Name | undefined {
  if (text === '' || text === '.') return text === '.' ? root : origin
  let out = '', label = ''
  for (let i = 0; i < text.length; i++) {
    const c = text[i]!
    if (c === '.') {
      if (label.length === 0 || label.length > 63) return undefined
      out += String.fromCharCode(label.length) + label
      label = ''
    } else if (c !== '\\') {
      if (c.charCodeAt(0) > 126 || c.charCodeAt(0) < 33) return undefined
      label += c
    } else {
      const code = /^\d{3}/.exec(text.slice(i + 1))?.[0]
      if (code ? Number(code) > 255 : i + 1 >= text.length) return undefined
      label += code ? String.fromCharCode(Number(code)) : text[i + 1]!
      i += code ? 3 : 1
    }
  }
  if (label.length > 63) return undefined
  out += label ? String.fromCharCode(label.length) + label + origin : '\0'
  return out.length <= 255 ? out as Name : undefined
}

/** As text, with the last dot: `www.example.org.`; the root is `.`. */
export function showName(name: Name): string {
  if (name === root) return '.'
  return labels(name).map(label => label.replace(/[.\\"();@$]/g, '\\$&')
    .replace(/[^\x21-\x7e]/g, c => `\\${String(c.charCodeAt(0)).padStart(3, '0')}`) + '.').join('')
}

/** Without the root's empty one. */
export function labels(name: Name): string[] {
  const out: string[] = []
  for (let i = 0, length; (length = name.charCodeAt(i)) > 0; i += length + 1) out.push(name.slice(i + 1, i + 1 + length))
  return out
}

/** `undefined` when a label is empty or over 63, or the whole over 255. */
export function fromLabels(parts: readonly string[], below: Name = root): Name | undefined {
  let out = ''
  for (const label of parts) {
    if (label.length === 0 || label.length > 63) return undefined
    out += String.fromCharCode(label.length) + label
  }
  return out.length + below.length <= 255 ? out + below as Name : undefined
}

/** The name without its first label; the root's parent is the root. */
export const parent = (name: Name): Name => name === root ? root : name.slice(name.charCodeAt(0) + 1) as Name

/** Whether `name` is `zone` or below it. Both folded. */
export function isBelow(name: Name, zone: Name): boolean {
  if (zone.length === 1) return true
  const at = name.length - zone.length
  if (at < 0 || !name.endsWith(zone)) return false
  // The bytes agree: it is below only when a label begins there.
  let i = 0
  while (i < at) i += name.charCodeAt(i) + 1
  return i === at
}

/** The zone of `zones` with the most labels that `name` is below. All folded. */
export function longestZone(name: Name, zones: readonly Name[]): Name | undefined {
  let best: Name | undefined
  for (const zone of zones) if ((best === undefined || zone.length > best.length) && isBelow(name, zone)) best = zone
  return best
}
