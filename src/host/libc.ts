// The C library through node:ffi: the few calls that Node does not offer (namespaces, mounts,
// terminals, sockets in another namespace). Every call throws `SystemError` with errno's name, and
// acts on the calling thread alone where the kernel says so (setns, unshare). Nothing here decides.
import ffi from 'node:ffi'
import { constants as os } from 'node:os'

const { functions: libc } = ffi.dlopen('libc.so.6', {
  setns: { arguments: ['int32', 'int32'], return: 'int32' },
  unshare: { arguments: ['int32'], return: 'int32' },
  mount: { arguments: ['pointer', 'pointer', 'pointer', 'uint64', 'pointer'], return: 'int32' },
  umount2: { arguments: ['string', 'int32'], return: 'int32' },
  sethostname: { arguments: ['string', 'uint64'], return: 'int32' },
  ioctl: { arguments: ['int32', 'uint64', 'pointer'], return: 'int32' },
  mkdirat: { arguments: ['int32', 'string', 'uint32'], return: 'int32' },
  symlinkat: { arguments: ['string', 'int32', 'string'], return: 'int32' },
  readlinkat: { arguments: ['int32', 'string', 'pointer', 'uint64'], return: 'int64' },
  pipe2: { arguments: ['pointer', 'int32'], return: 'int32' },
  memfd_create: { arguments: ['string', 'uint32'], return: 'int32' },
  socket: { arguments: ['int32', 'int32', 'int32'], return: 'int32' },
  send: { arguments: ['int32', 'pointer', 'uint64', 'int32'], return: 'int64' },
  recv: { arguments: ['int32', 'pointer', 'uint64', 'int32'], return: 'int64' },
  // For calls without a wrapper in the glibc versions that Fairway supports; `pointer` takes numbers, strings and buffers.
  syscall: { arguments: ['int64', 'pointer', 'pointer', 'pointer', 'pointer', 'pointer'], return: 'int64' },
  __errno_location: { arguments: [], return: 'pointer' },
})
/** Numbers of the Linux ABI that are the same on amd64 and arm64, by their C names. */
export const constants = {
  CLONE_NEWNS: 0x20000n, CLONE_NEWUTS: 0x4000000n, CLONE_NEWIPC: 0x8000000n, CLONE_NEWUSER: 0x10000000n,
  CLONE_NEWPID: 0x20000000n, CLONE_NEWNET: 0x40000000n,
  MS_RDONLY: 1n, MS_NOSUID: 2n, MS_NODEV: 4n, MS_NOEXEC: 8n, MS_REMOUNT: 32n, MS_BIND: 4096n, MS_MOVE: 8192n,
  MS_REC: 16384n, MS_PRIVATE: 1n << 18n, MS_SLAVE: 1n << 19n, MS_SHARED: 1n << 20n,
  MNT_DETACH: 2n, AT_FDCWD: -100n, AT_EMPTY_PATH: 0x1000n, AT_RECURSIVE: 0x8000n,
  O_RDONLY: 0n, O_CLOEXEC: 0o2000000n, FD_CLOEXEC: 1n, F_SETFD: 2n,
  TIOCSCTTY: 0x540en, TIOCSWINSZ: 0x5414n, TIOCSPTLCK: 0x40045431n, TIOCGPTPEER: 0x5441n,
  PR_SET_PDEATHSIG: 1n, PR_SET_KEEPCAPS: 8n, PR_CAPBSET_DROP: 24n, PR_SET_NO_NEW_PRIVS: 38n,
  PR_CAP_AMBIENT: 47n, PR_CAP_AMBIENT_CLEAR_ALL: 4n,
  SIGKILL: 9n, RLIMIT_CORE: 4n, RLIMIT_NOFILE: 7n,
} as const
export type Constant = keyof typeof constants

// O_DIRECTORY and O_NOFOLLOW are swapped between the two architectures; Node knows the right ones.
/** Not in node:fs: open a path without opening the file. The same on amd64 and arm64. */
export const O_PATH = 0o10000000
const O_CLOEXEC = 0o2000000

const arm64 = process.arch === 'arm64'
const number = (x64: number, generic: number) => arm64 ? generic : x64
/** System call numbers of this machine (amd64: arch/x86/entry/syscalls; arm64: asm-generic/unistd.h). */
export const syscalls = {
  write: number(1, 64), close: number(3, 57), ioctl: number(16, 29), fcntl: number(72, 25), chdir: number(80, 49),
  mkdirat: number(258, 34), mount: number(165, 40), umount2: number(166, 39), pivot_root: number(155, 41),
  execve: number(59, 221), exit_group: number(231, 94), setsid: number(112, 157), setns: number(308, 268),
  unshare: number(272, 97), prctl: number(157, 167), capset: number(126, 91), setgroups: number(116, 159),
  setresuid: number(117, 147), setresgid: number(119, 149), prlimit64: number(302, 261), umask: number(95, 166),
  sethostname: number(170, 161), close_range: 436, openat2: 437, mount_setattr: 442,
} as const
export type Syscall = keyof typeof syscalls

const names = new Map(Object.entries(os.errno).map(([name, value]) => [value, name]))
/** The name of an errno, `E99` when Node knows none. */
export const errnoName = (errno: number): string => names.get(errno) ?? `E${errno}`

/** A system call refused: `code` is errno's name (`EPERM`), `call` what was tried. */
export class SystemError extends Error {
  readonly code: string
  readonly call: string
  constructor(call: string, code: string) {
    super(`${call}: ${code}`)
    this.name = 'SystemError'
    this.call = call
    this.code = code
  }
}

function checked(result: number | bigint, call: string): number {
  if (result >= 0) return Number(result)
  throw new SystemError(call, errnoName(ffi.getInt32(libc.__errno_location())))
}

const or = (flags: readonly Constant[]) => flags.reduce((sum, flag) => sum | constants[flag], 0n)

export const setns = (fd: number, what: Constant): void => { checked(libc.setns(fd, Number(constants[what])), `setns ${what}`) }
export const unshare = (...what: Constant[]): void => { checked(libc.unshare(Number(or(what))), `unshare ${what.join('|')}`) }
export const sethostname = (name: string): void => { checked(libc.sethostname(name, BigInt(Buffer.byteLength(name))), 'sethostname') }

export interface MountCall { readonly source?: string; readonly target: string; readonly type?: string; readonly flags?: readonly Constant[]; readonly data?: string }
export function mount({ source = 'none', target, type, flags = [], data }: MountCall): void {
  checked(libc.mount(source, target, type ?? null, or(flags), data ?? null), `mount ${type ?? flags.join('|')} ${source} on ${target}`)
}
export const umount = (target: string): void => { checked(libc.umount2(target, Number(constants.MNT_DETACH)), `umount ${target}`) }

/** Makes a mount, and all mounts below it, read-only; unlike a remount it leaves other flags alone, also those locked in a user namespace. */
export function makeReadOnly(fd: number, { recursive = true } = {}): void {
  const attributes = new BigUint64Array([constants.MS_RDONLY, 0n, 0n, 0n]) // struct mount_attr: MOUNT_ATTR_RDONLY is 1 as well
  const flags = constants.AT_EMPTY_PATH | (recursive ? constants.AT_RECURSIVE : 0n)
  checked(libc.syscall(BigInt(syscalls.mount_setattr), BigInt(fd), '', flags, attributes, 32n), 'mount_setattr')
}

/** Opens `path` with `root` as the root directory: no symlink and no `..` leads out (openat2, RESOLVE_IN_ROOT). */
export function openInRoot(root: number, path: string, flags: number, mode = 0): number {
  const how = new BigUint64Array([BigInt(flags | O_CLOEXEC), BigInt(mode), 0x10n | 0x02n]) // RESOLVE_IN_ROOT|RESOLVE_NO_MAGICLINKS
  return checked(libc.syscall(BigInt(syscalls.openat2), BigInt(root), path, how, 24n, 0n), `open ${path}`)
}
export const mkdirat = (directory: number, name: string, mode: number): void => { checked(libc.mkdirat(directory, name, mode), `mkdir ${name}`) }
export const symlinkat = (to: string, directory: number, name: string): void => { checked(libc.symlinkat(to, directory, name), `symlink ${name}`) }
export function readlinkat(directory: number, name: string): string {
  const buffer = Buffer.alloc(4096)
  return buffer.toString('utf8', 0, checked(libc.readlinkat(directory, name, buffer, 4096n), `readlink ${name}`))
}

/** A pipe whose ends no child inherits by accident. */
export function pipe(): { readonly read: number; readonly write: number } {
  const ends = new Int32Array(2)
  checked(libc.pipe2(ends, O_CLOEXEC), 'pipe')
  return { read: ends[0]!, write: ends[1]! }
}
/** A file in memory without a name. */
export const memfd = (name: string): number => checked(libc.memfd_create(name, 1), 'memfd_create') // MFD_CLOEXEC

export const ioctl = (fd: number, request: Constant, argument: NodeJS.ArrayBufferView | bigint): number =>
  checked(libc.ioctl(fd, constants[request], argument), `ioctl ${request}`)

const AF_INET = 2, AF_INET6 = 10, AF_NETLINK = 16, SOCK_STREAM = 1, SOCK_RAW = 3, SOCK_NONBLOCK = 0o4000
/** A TCP socket in the calling thread's network namespace; `new net.Socket({ fd, manualStart: true })` takes it. */
export const tcpSocket = (family: 4 | 6): number =>
  checked(libc.socket(family === 6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | O_CLOEXEC, 0), 'socket')
/** A netlink socket (`protocol` 0: routing), bound to the thread's network namespace for good. */
export const netlinkSocket = (protocol: number): number => checked(libc.socket(AF_NETLINK, SOCK_RAW | O_CLOEXEC, protocol), 'netlink socket')
export const send = (fd: number, data: Buffer): number => checked(libc.send(fd, data, BigInt(data.length), 0), 'send')
export const receive = (fd: number, into: Buffer): number => checked(libc.recv(fd, into, BigInt(into.length), 0), 'receive')
