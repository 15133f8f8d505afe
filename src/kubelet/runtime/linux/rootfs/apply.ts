// Puts a container's root directory together: overlays, /dev, /sys, files of the pod, volumes. Runs in
// the sandbox thread, in a mount namespace that only this container will have. Images and volumes are
// hostile: every path below the root is resolved with the root as "/" (openInRoot), never as text.
import { closeSync, constants, lstatSync, mkdirSync, openSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { makeReadOnly, mkdirat, mount, O_PATH, openInRoot, readlinkat, SystemError } from '#host/libc.ts'
import type { MountCall } from '#host/libc.ts'
import type { RootPlan } from '../requests.ts'

const isCode = (error: unknown, code: string) => error instanceof SystemError && error.code === code
const through = (fd: number) => `/proc/self/fd/${fd}`

/** Opens a path in the root with O_PATH, making what is missing (mode 0755, or an empty file). The caller closes it. */
export function openOrMake(root: number, path: string, kind: 'directory' | 'file', links = 0): number {
  try { return openInRoot(root, path, O_PATH) } catch (error) { if (!isCode(error, 'ENOENT')) throw error }
  const cut = path.lastIndexOf('/')
  const directory = path.slice(0, Math.max(cut, 0)) || '/', name = path.slice(cut + 1)
  if (name === '' || name === '.') return openOrMake(root, directory, 'directory', links)
  const parent = openOrMake(root, directory, 'directory', links)
  try {
    if (kind === 'directory') mkdirat(parent, name, 0o755)
    else closeSync(openInRoot(parent, name, constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY, 0o644))
  } catch (error) {
    if (!isCode(error, 'EEXIST')) throw error
    // It is there and yet not found: a symlink whose target is to be made, inside the root again.
    if (links === 40) throw new SystemError(`open ${path}`, 'ELOOP')
    const to = readlinkat(parent, name)
    return openOrMake(root, to.startsWith('/') ? to : `${directory}/${to}`, kind, links + 1)
  } finally { closeSync(parent) }
  return openInRoot(root, path, O_PATH)
}

function mountAt(root: number, target: string, call: Omit<MountCall, 'target'> & { readonly kind?: 'file' }): void {
  const fd = openOrMake(root, target, call.kind ?? 'directory')
  try { mount({ ...call, target: through(fd) }) } finally { closeSync(fd) }
}
function bind(root: number, { source, target, readonly }: RootPlan['binds'][number]): void {
  const kind = statSync(source).isDirectory() ? undefined : 'file' as const
  // MS_REC: in a user namespace the kernel refuses to show what lies below a mount point.
  mountAt(root, target, { source, flags: ['MS_BIND', 'MS_REC'], ...(kind && { kind }) })
  if (readonly) lock(root, target)
}
function lock(root: number, target: string, options?: { readonly recursive: boolean }): void {
  const fd = openInRoot(root, target, O_PATH)
  try { makeReadOnly(fd, options) } finally { closeSync(fd) }
}

function overlays({ directory, lowerDirs, usrFromHost, userxattr }: RootPlan): void {
  const overlay = (lower: readonly string[], name: string, target: string) => {
    // By descriptor: mount data ends after 4095 bytes, which the paths of thirty layers would pass, and separators in a path mean nothing.
    const layers = lower.map(path => openSync(path, O_PATH)), own = openSync(directory, O_PATH)
    try {
      mountOverlay(target, `lowerdir=${layers.map(through).join(':')},upperdir=${through(own)}/${name}upper,workdir=${through(own)}/${name}work${userxattr ? ',userxattr' : ''}`)
    } finally { for (const fd of [...layers, own]) closeSync(fd) }
  }
  overlay(lowerDirs, '', `${directory}/root`)
  if (usrFromHost) overlay([...lowerDirs.map(layer => `${layer}/usr`).filter(isDirectory), '/usr'], 'usr-', `${directory}/root/usr`)
}
const isDirectory = (path: string) => lstatSync(path, { throwIfNoEntry: false })?.isDirectory() === true
let volatile = ',volatile'
function mountOverlay(target: string, data: string): void {
  try { mount({ source: 'overlay', target, type: 'overlay', data: data + volatile }) } catch (error) {
    if (!isCode(error, 'EINVAL') || volatile === '') throw error
    // `volatile` spares a sync of the disk when the container ends; kernels before 5.10 do not know it.
    mount({ source: 'overlay', target, type: 'overlay', data })
    volatile = ''
  }
}

const devices = ['null', 'zero', 'full', 'random', 'urandom', 'tty']
function dev(root: number, plan: RootPlan): void {
  if (plan.privileged) mountAt(root, '/dev', { source: '/dev', flags: ['MS_BIND', 'MS_REC'] })
  else mountAt(root, '/dev', { source: 'tmpfs', type: 'tmpfs', flags: ['MS_NOSUID'], data: 'mode=755,size=65536k' })
  const fd = openInRoot(root, '/dev', O_PATH)
  try {
    const at = (name: string) => `${through(fd)}/${name}`
    if (!plan.privileged) {
      for (const name of devices) { writeFileSync(at(name), ''); mount({ source: `/dev/${name}`, target: at(name), flags: ['MS_BIND'] }) }
      for (const [name, to] of [['ptmx', 'pts/ptmx'], ['fd', '/proc/self/fd'], ['stdin', '/proc/self/fd/0'], ['stdout', '/proc/self/fd/1'], ['stderr', '/proc/self/fd/2'], ['core', '/proc/kcore']] as const) symlinkSync(to, at(name))
      for (const name of ['pts', 'shm', 'mqueue']) mkdirSync(at(name))
    }
    mount({ source: 'devpts', target: at('pts'), type: 'devpts', flags: ['MS_NOSUID', 'MS_NOEXEC'], data: 'newinstance,ptmxmode=0666,mode=0620' })
    mount({ source: plan.shm, target: at('shm'), flags: ['MS_BIND'] })
    try { mount({ source: 'mqueue', target: at('mqueue'), type: 'mqueue', flags: ['MS_NOSUID', 'MS_NODEV', 'MS_NOEXEC'] }) } catch { /* a kernel without POSIX message queues */ }
  } finally { closeSync(fd) }
}

const maskedInSys = ['/sys/firmware', '/sys/devices/virtual/powercap']
function sys(root: number, privileged: boolean): void {
  const flags = ['MS_NOSUID', 'MS_NODEV', 'MS_NOEXEC', ...(privileged ? [] : ['MS_RDONLY' as const])] as const
  try { mountAt(root, '/sys', { source: 'sysfs', type: 'sysfs', flags }) } catch {
    // Refused where the machine's own /sys is covered in part; then a container sees none at all.
    mountAt(root, '/sys', { source: 'tmpfs', type: 'tmpfs', flags, data: 'mode=755,size=0' })
  }
  if (privileged) return
  for (const path of maskedInSys) {
    try { closeSync(openInRoot(root, path, O_PATH)) } catch { continue }
    mountAt(root, path, { source: 'tmpfs', type: 'tmpfs', flags: ['MS_RDONLY'], data: 'size=0' })
  }
}

/** Afterwards `<directory>/root` is the container's root, except for /proc, which needs a process in its pid namespace. */
export function mountRoot(plan: RootPlan): { readonly passwd: string; readonly group: string } {
  overlays(plan)
  const root = openSync(`${plan.directory}/root`, O_PATH | constants.O_DIRECTORY)
  try {
    closeSync(openOrMake(root, '/proc', 'directory'))
    if (!lstatSync(`${plan.directory}/root/proc`).isDirectory()) throw new Error('the image has a /proc that is not a directory')
    dev(root, plan)
    sys(root, plan.privileged)
    for (const each of plan.binds) bind(root, each)
    closeSync(openOrMake(root, plan.workingDir, 'directory'))
    const accounts = { passwd: readInRoot(root, '/etc/passwd'), group: readInRoot(root, '/etc/group') }
    if (plan.readonlyRoot) lockRoot(plan)
    return accounts
  } finally { closeSync(root) }
}

function lockRoot({ directory, usrFromHost }: RootPlan): void {
  for (const path of [`${directory}/root`, ...(usrFromHost ? [`${directory}/root/usr`] : [])]) {
    const fd = openSync(path, O_PATH | constants.O_NOFOLLOW)
    try { makeReadOnly(fd, { recursive: false }) } finally { closeSync(fd) }
  }
}

const maxAccounts = 1 << 20
function readInRoot(root: number, path: string): string {
  let fd: number
  try { fd = openInRoot(root, path, constants.O_RDONLY | constants.O_NONBLOCK) } catch { return '' }
  try { return statSync(through(fd)).isFile() && statSync(through(fd)).size <= maxAccounts ? readFileSync(fd, 'utf8') : '' } finally { closeSync(fd) }
}
