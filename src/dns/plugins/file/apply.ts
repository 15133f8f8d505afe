// Reads zone files.
import { readFileSync, statSync } from 'node:fs'
import { dirname, isAbsolute, join } from 'node:path'
import type { Name } from '../../wire/name.ts'
import { readZoneFile } from './zonefile.ts'
import { Zone } from './zone.ts'

/** Throws what is wrong with the file. */
export function loadZone(file: string, name: Name): Zone {
  return new Zone(name, readZoneFile({
    text: readFileSync(file, 'utf8'), file, origin: name,
    include: (path, from) => { const found = isAbsolute(path) ? path : join(dirname(from), path); return { text: readFileSync(found, 'utf8'), file: found } },
  }))
}

/** Changes when the file does. */
export function stamp(file: string): string {
  try {
    const { mtimeMs, size, ino } = statSync(file)
    return `${mtimeMs} ${size} ${ino}`
  } catch { return 'none' }
}
