// Processes of this machine by /proc: whether the one meant still runs (a pid alone says nothing,
// pids are used again) and how to end it. Starting programs is run.ts.
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

const fieldsOfStat = (pid: number): string[] | undefined => {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1')
    return text.slice(text.lastIndexOf(')') + 2).split(' ') // the name before may hold anything
  } catch { return undefined }
}

/** When it started, in clock ticks since boot: with the pid a name for the process. undefined when there is none, or a zombie. */
export function startTime(pid: number): number | undefined {
  const fields = fieldsOfStat(pid)
  return fields && fields[0] !== 'Z' && fields[0] !== 'X' ? Number(fields[19]) : undefined
}

/** Sends a signal; false when there is no such process (any more). */
export function signal(pid: number, name: NodeJS.Signals | number): boolean {
  try { process.kill(pid, name); return true } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false
    throw error
  }
}

export interface ProcessName { readonly pid: number; readonly startTime: number }
/** SIGTERM, then SIGKILL after `graceMs`; resolves when it is gone. A process that took over the pid is left alone. */
export async function terminate(process: ProcessName, graceMs: number): Promise<void> {
  const runs = () => startTime(process.pid) === process.startTime
  if (!runs()) return
  signal(process.pid, 'SIGTERM')
  for (const deadline = Date.now() + graceMs; runs() && Date.now() < deadline;) await sleep(10)
  while (runs()) { signal(process.pid, 'SIGKILL'); await sleep(5) }
}

/** The uids of this user namespace that exist outside of it: `[inside, outside, count]` as in user_namespaces(7). */
export const idMap = (file: 'uid_map' | 'gid_map'): [number, number, number][] =>
  readFileSync(`/proc/self/${file}`, 'latin1').trim().split('\n').map(line => line.trim().split(/\s+/).map(Number) as [number, number, number])
export const isMapped = (map: readonly (readonly [number, number, number])[], id: number): boolean =>
  map.some(([inside, , count]) => id >= inside && id < inside + count)
/** The highest capability number that this kernel knows. */
export const lastCapability = (): number => Number(readFileSync('/proc/sys/kernel/cap_last_cap', 'latin1'))
/** The bit mask of the capabilities that this process may hand on. */
export const boundingSet = (): bigint => BigInt('0x' + /^CapBnd:\s*(\w+)/m.exec(readFileSync('/proc/self/status', 'latin1'))![1])
