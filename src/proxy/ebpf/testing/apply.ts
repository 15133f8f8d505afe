// For tests and benchmarks: a control group of their own with the machines of a test in it, so that
// programs under test run for nobody else.
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, mkdirSync, openSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { attachedPrograms, cgroupRootIn } from '#host/bpf.ts'
import type { Namespace } from '../../testing/apply.ts'
import { hooks } from '../programs.ts'
import type { Command, Outcome } from './main.ts'

export interface TestGroup {
  readonly fd: number
  /** The file that takes the pid of who joins. */
  readonly procs: string
  /** Programs at the group, over all hooks. */
  attached(): number
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
    fd, procs: join(directory, 'cgroup.procs'),
    attached: () => hooks.reduce((sum, hook) => sum + attachedPrograms(fd, hook), 0),
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

/** A program that uses sockets in a machine's namespace, as a member of the group (or not). */
export class Client {
  readonly #child: ChildProcess
  readonly #waiting = new Map<number, (outcome: Outcome) => void>()
  #next = 0

  constructor(netns: string, group?: TestGroup) {
    const node = [process.execPath, '--disable-warning=ExperimentalWarning', join(import.meta.dirname, 'main.ts')]
    const joining = group ? `echo $$ > ${group.procs}; ` : ''
    this.#child = spawn('sh', ['-c', `${joining}exec nsenter --net=${netns} -- "$@"`, 'sh', ...node], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
    this.#child.on('message', (outcome: Outcome & { id: number }) => { this.#waiting.get(outcome.id)?.(outcome); this.#waiting.delete(outcome.id) })
  }

  ask(command: Command): Promise<Outcome> {
    const id = this.#next++
    return new Promise(resolve => {
      this.#waiting.set(id, resolve)
      this.#child.send({ ...command, id })
    })
  }
  tcp(address: string, port: number): Promise<Outcome> { return this.ask({ do: 'tcp', address, port }) }

  async close(): Promise<void> {
    const ended = once(this.#child, 'exit')
    this.#child.kill('SIGKILL')
    await ended
  }
}
