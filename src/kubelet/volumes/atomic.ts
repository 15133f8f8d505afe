// The layout of upstream's AtomicWriter as values: files live in a timestamped folder, `..data` points
// at it, and what a container sees are links into `..data`; a change is one rename. Pure.

/** `..2026_11_21_01_02_03.123456789`; `salt` keeps two writes of one moment apart. */
export function payloadFolder(now: number, salt: number): string {
  const iso = new Date(now).toISOString()
  return `..${iso.slice(0, 19).replaceAll('-', '_').replace('T', '_').replaceAll(':', '_')}.${iso.slice(20, 23)}${String(salt).padStart(6, '0')}`
}

/** The links that must stand in the volume: the first part of every path, to `..data/<part>`. */
export const userLinks = (paths: Iterable<string>): Map<string, string> =>
  new Map([...paths].map(path => path.split('/')[0]!).map(first => [first, `..data/${first}`]))

/** Names in the volume's folder that no longer belong there. */
export const staleNames = (present: readonly string[], wanted: ReadonlyMap<string, string>): string[] =>
  present.filter(name => !name.startsWith('..') && !wanted.has(name))
