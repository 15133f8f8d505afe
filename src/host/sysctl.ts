// Kernel settings below /proc/sys: of this process's network namespace where the setting has one.
import { readFile, writeFile } from 'node:fs/promises'

const path = (name: string) => `/proc/sys/${name}`

/** `net/ipv4/ip_forward` to its text; `undefined` where the kernel has no such setting. */
export async function readSysctl(name: string): Promise<string | undefined> {
  try { return (await readFile(path(name), 'utf8')).trim() } catch { return undefined }
}

/** Writes only what differs. Throws an Error that names the setting when the kernel refuses. */
export async function writeSysctl(name: string, value: string | number): Promise<void> {
  if (await readSysctl(name) === String(value)) return
  try { await writeFile(path(name), `${value}\n`) } catch (error) {
    throw new Error(`cannot set ${name} to ${value}: ${(error as Error).message}`)
  }
}
