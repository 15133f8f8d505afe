// What happens between fork and exec of a container's process, as a list of system calls: runc's
// init as a value. Pure; host/program.ts runs it. The order matters: whatever needs privileges comes
// before they are dropped, whatever reads the machine's /proc before pivot_root.
import type { Constant } from '#host/libc.ts'
import type { Step } from '#host/program.ts'
import type { ProcessPlan } from './requests.ts'
import type { User } from './user.ts'

/** Descriptors that the process is started with besides its own 0 to 2. */
export const reportFd = 3, listFd = 4, firstExtraFd = 5

export interface StepsInput {
  readonly process: ProcessPlan
  readonly user: User
  readonly terminal: boolean
  /** How many of the descriptors from `firstExtraFd` on are cgroup.procs files to join. */
  readonly cgroups: number
  /** Of this machine: highest capability, the set that the runtime itself holds, RLIMIT_NOFILE's hard limit. */
  readonly machine: Machine
}
export interface Machine { readonly lastCapability: number; readonly boundingSet: bigint; readonly maxFiles: number; readonly setgroups: boolean }

const flags = (...or: Constant[]) => ({ or })
const masked = ['/proc/acpi', '/proc/asound', '/proc/kcore', '/proc/keys', '/proc/latency_stats', '/proc/timer_list',
  '/proc/timer_stats', '/proc/sched_debug', '/proc/scsi', '/proc/interrupts']
const readonlyPaths = ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger']
const isDirectory = new Set(['/proc/acpi', '/proc/asound', '/proc/scsi'])

/** Pid 1 of a container whose root directory is mounted at `root`. */
export function startSteps(input: StepsInput, root: string): Step[] {
  return [...opening(input), ...proc(root, input.process.privileged), ...pivot(root), ...becoming(input)]
}

/** Another process in a running container, whose mount namespace is the descriptor after the cgroups. */
export function execSteps(input: StepsInput): Step[] {
  const join: Step = { call: 'setns', args: [firstExtraFd + input.cgroups, flags('CLONE_NEWNS')], what: "join the container's mounts" }
  return [...opening(input, [join]), ...becoming(input)]
}

function opening({ terminal, cgroups }: StepsInput, joins: readonly Step[] = []): Step[] {
  return [
    { call: 'fcntl', args: [reportFd, flags('F_SETFD'), flags('FD_CLOEXEC')] },
    { call: 'prctl', args: [flags('PR_SET_PDEATHSIG'), flags('SIGKILL')] },
    { call: 'setsid', args: [] },
    ...(terminal ? [{ call: 'ioctl', args: [0, flags('TIOCSCTTY'), 0] } satisfies Step] : []),
    ...Array.from({ length: cgroups }, (_, i): Step => ({ call: 'write', args: [firstExtraFd + i, '0', 1], what: 'join the cgroup', mayFail: true })),
    ...joins,
    // Nothing of the runtime's own may reach a container, whatever was inherited.
    { call: 'close_range', args: [listFd, 0xffffffff, 0], what: 'close descriptors' },
  ]
}

function proc(root: string, privileged: boolean): Step[] {
  const at = (path: string) => root + path
  const safe = flags('MS_NOSUID', 'MS_NODEV', 'MS_NOEXEC')
  const mountProc: Step = { call: 'mount', args: ['proc', at('/proc'), 'proc', safe, 0], what: 'mount proc' }
  if (privileged) return [mountProc]
  const mask = (path: string): Step => isDirectory.has(path)
    ? { call: 'mount', args: ['tmpfs', at(path), 'tmpfs', flags('MS_RDONLY', 'MS_NOSUID', 'MS_NODEV', 'MS_NOEXEC'), 'size=0'], what: `mask ${path}`, mayFail: true }
    : { call: 'mount', args: ['/dev/null', at(path), 0, flags('MS_BIND'), 0], what: `mask ${path}`, mayFail: true }
  const lock = (path: string): Step[] => [
    { call: 'mount', args: [at(path), at(path), 0, flags('MS_BIND', 'MS_REC'), 0], what: `lock ${path}`, mayFail: true },
    { call: 'mount', args: ['none', at(path), 0, flags('MS_BIND', 'MS_REMOUNT', 'MS_RDONLY', 'MS_NOSUID', 'MS_NODEV', 'MS_NOEXEC'), 0], what: `lock ${path}`, mayFail: true },
  ]
  return [mountProc, ...readonlyPaths.flatMap(lock), ...masked.map(mask)]
}

// pivot_root(".", ".") stacks the old root over the new one; detaching it leaves nothing of the
// machine to climb back to (pivot_root(2), "pivot_root(".", ".")").
const pivot = (root: string): Step[] => [
  { call: 'chdir', args: [root] },
  { call: 'pivot_root', args: ['.', '.'] },
  { call: 'umount2', args: ['.', flags('MNT_DETACH')], what: "detach the machine's files" },
  { call: 'chdir', args: ['/'] },
]

const words = (...list: number[]) => new Uint8Array(new Uint32Array(list).buffer)
const low = (mask: bigint) => Number(mask & 0xffffffffn), high = (mask: bigint) => Number(mask >> 32n)

function becoming({ process, user, machine }: StepsInput): Step[] {
  const capabilities = process.capabilities & machine.boundingSet
  const dropped = Array.from({ length: machine.lastCapability + 1 }, (_, n) => n).filter(n => !(capabilities >> BigInt(n) & 1n))
  const limit = new Uint8Array(new BigUint64Array([BigInt(machine.maxFiles), BigInt(machine.maxFiles)]).buffer)
  const set = [low(capabilities), low(capabilities), 0, high(capabilities), high(capabilities), 0]
  return [
    { call: 'umask', args: [0o022] },
    { call: 'prlimit64', args: [0, flags('RLIMIT_NOFILE'), limit, 0], what: 'set RLIMIT_NOFILE', mayFail: true },
    ...dropped.map((n): Step => ({ call: 'prctl', args: [flags('PR_CAPBSET_DROP'), n, 0, 0, 0], what: `drop capability ${n}` })),
    { call: 'prctl', args: [flags('PR_CAP_AMBIENT'), flags('PR_CAP_AMBIENT_CLEAR_ALL'), 0, 0, 0], what: 'clear ambient capabilities' },
    ...(machine.setgroups ? [{ call: 'setgroups', args: [user.groups.length, words(...user.groups)] } satisfies Step] : []),
    { call: 'setresgid', args: [user.gid, user.gid, user.gid] },
    { call: 'setresuid', args: [user.uid, user.uid, user.uid] },
    // Any other user lost its capabilities with setresuid; execve could not give them back either.
    ...(user.uid === 0 ? [{ call: 'capset', args: [words(0x20080522, 0), words(...set)] } satisfies Step] : []),
    ...(process.noNewPrivileges ? [{ call: 'prctl', args: [flags('PR_SET_NO_NEW_PRIVS'), 1, 0, 0, 0], what: 'set no_new_privs' } satisfies Step] : []),
    // Changing the user cleared it (prctl(2)).
    { call: 'prctl', args: [flags('PR_SET_PDEATHSIG'), flags('SIGKILL')] },
    { call: 'chdir', args: [process.workingDir], what: `chdir to cwd ("${process.workingDir}") set in config.json failed` },
    ...execs(process, user),
    { call: 'exit_group', args: [127] },
  ]
}

const defaultPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
/** Where the command may be, in order. */
export function candidates(command: string, env: readonly string[]): string[] {
  if (command.includes('/')) return [command]
  const path = env.findLast(entry => entry.startsWith('PATH='))?.slice(5) ?? defaultPath
  return path.split(':').map(directory => `${directory || '.'}/${command}`)
}

function execs({ argv, env }: ProcessPlan, user: User): Step[] {
  const all = env.some(entry => entry.startsWith('HOME=')) ? env : [...env, `HOME=${user.home}`]
  return candidates(argv[0]!, env).map(path =>
    ({ call: 'execve', args: [path, { strings: argv }, { strings: all }], what: `exec ${path}`, mayFail: true }))
}

export interface FailedStart { readonly message: string; readonly exitCode: number }
/** What the reported failures mean, in runc's words; undefined when the program runs. */
export function startFailure(steps: readonly Step[], failed: readonly { readonly index: number; readonly errno: string }[], argv: readonly string[]): FailedStart | undefined {
  const command = JSON.stringify(argv[0])
  const runs = steps.filter(step => step.call === 'execve').length
  const refused = failed.filter(failure => steps[failure.index]?.call === 'execve')
  if (refused.length === runs) {
    const errno = refused.find(failure => failure.errno !== 'ENOENT' && failure.errno !== 'ENOTDIR')?.errno
    if (errno) return { message: `exec: ${command}: ${errnoText[errno] ?? errno}`, exitCode: 126 }
    return { message: argv[0]!.includes('/') ? `exec: ${command}: stat ${argv[0]}: no such file or directory` : `exec: ${command}: executable file not found in $PATH`, exitCode: 127 }
  }
  const fatal = failed.find(failure => !steps[failure.index]?.mayFail)
  if (!fatal) return undefined
  const step = steps[fatal.index]!
  return { message: `${step.what ?? step.call}: ${errnoText[fatal.errno] ?? fatal.errno}`, exitCode: 128 }
}
const errnoText: Record<string, string> = { EACCES: 'permission denied', EPERM: 'operation not permitted', ENOEXEC: 'exec format error',
  ENOENT: 'no such file or directory', ENOTDIR: 'not a directory', E2BIG: 'argument list too long', EISDIR: 'is a directory', ENOMEM: 'cannot allocate memory' }
