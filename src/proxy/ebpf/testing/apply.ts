// For tests and benchmarks: a control group of their own with the machines of a test in it, so that
// programs under test run for nobody else.
import { closeSync, mkdirSync, openSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { cgroupRootIn, programsNamed } from '#host/bpf.ts'
import type { Namespace } from '../../testing/apply.ts'

export interface TestGroup {
  readonly fd: number
  join(...machines: readonly Namespace[]): void
  /** After the machines have ended. */
  close(): Promise<void>
}

/** Why programs cannot be tried here; undefined when they can. */
export function cannotTry(): string | undefined {
  if (process.getuid?.() !== 0) return 'needs root'
  if (readFileSync('/proc/self/uid_map', 'utf8').trim().split(/\s+/)[2] !== '4294967295') return 'needs the machine\'s root: this is a user namespace'
  return cgroupRoot() === undefined ? 'needs control groups version 2' : undefined
}
const cgroupRoot = () => cgroupRootIn(readFileSync('/proc/self/mountinfo', 'utf8'), 'cgroup:[4026531835]')

let made = 0
export function makeGroup(): TestGroup {
  const directory = join(cgroupRoot()!, `fairway-test-${process.pid}-${made++}`)
  mkdirSync(directory)
  const fd = openSync(directory, 'r')
  return {
    fd,
    join(...machines) { for (const { path } of machines) writeFileSync(join(directory, 'cgroup.procs'), path.split('/')[2]!) },
    async close() {
      closeSync(fd)
      for (let tries = 0; ; tries++) {
        try { return rmdirSync(directory) } catch (error) { if (tries === 50) throw error }
        await sleep(10) // the kernel refuses for a moment after the last process is gone
      }
    },
  }
}

/** How many of our programs the machine has; other clusters of this machine have theirs. */
export const loadedPrograms = (): number => programsNamed('fw_').length
