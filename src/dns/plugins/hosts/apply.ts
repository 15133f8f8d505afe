// Reads the hosts file when it has changed.
import { readFile, stat } from 'node:fs/promises'

/** `seen`: what the last call gave, so that an unchanged file is not read again; undefined text: there is no file. */
export async function readIfChanged(file: string, seen: string | undefined): Promise<{ text: string | undefined; seen: string } | undefined> {
  try {
    const { mtimeMs, size, ino } = await stat(file)
    const now = `${mtimeMs} ${size} ${ino}`
    return now === seen ? undefined : { text: await readFile(file, 'utf8'), seen: now }
  } catch (error) {
    const now = `error ${(error as NodeJS.ErrnoException).code}`
    return now === seen ? undefined : { text: undefined, seen: now }
  }
}
