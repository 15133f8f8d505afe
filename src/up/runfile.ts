// run.json: which processes run a cluster. A pid counts only together with its start time, so that
// a number that the machine has given to someone else is never taken for ours.
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { clusterFiles } from './paths.ts'

export interface RunFile {
  readonly name: string
  /** The outer process: the one to stop. */
  readonly pid: number
  readonly startTime: string
  /** Process 1 of the cluster's namespaces, as the host numbers it. */
  readonly innerPid: number
  readonly apiPort: number
  readonly ready: boolean
  readonly startedAt: string
}

/** Field 22 of /proc/PID/stat (clock ticks since boot); undefined when there is no such process or only its corpse. */
export function startTimeOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return fields[0] === 'Z' ? undefined : fields[19]
  } catch { return undefined }
}

export function writeRunFile(dataDir: string, run: RunFile): void {
  const file = clusterFiles(dataDir).run
  writeFileSync(`${file}.new`, JSON.stringify(run, undefined, 2) + '\n', { mode: 0o600 })
  renameSync(`${file}.new`, file)
}

/** The cluster that runs from this data directory, or undefined when none does. */
export function runningCluster(dataDir: string): RunFile | undefined {
  const file = clusterFiles(dataDir).run
  if (!existsSync(file)) return undefined
  try {
    const run = JSON.parse(readFileSync(file, 'utf8')) as RunFile
    return startTimeOf(run.pid) === run.startTime ? run : undefined
  } catch { return undefined } // written by a crash half way: then nothing of it runs
}

export const removeRunFile = (dataDir: string): void => rmSync(clusterFiles(dataDir).run, { force: true })
