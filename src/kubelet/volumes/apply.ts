// Puts volumes on disk and takes them away: folders, tmpfs, files by the atomic scheme, and safe
// places for subPath. What they hold is decided in plan.ts.
import { closeSync, constants, fchmodSync, fstatSync, openSync } from 'node:fs'
import * as fs from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { mkdirat, mount, openInRoot, O_PATH, SystemError, umount } from '#host/libc.ts'
import { payloadFolder, staleNames, userLinks } from './atomic.ts'
import { VolumeError, type File, type VolumePlan } from './plan.ts'

/** Where a volume is on the node; for hostPath the path itself. */
export const volumeFolder = (podRoot: string, plan: VolumePlan): string =>
  plan.kind === 'hostPath' ? plan.path
    : `${podRoot}/volumes/${plan.kind === 'emptyDir' ? 'kubernetes.io~empty-dir' : plan.plugin}/${plan.name}`

/** Makes or updates one volume; idempotent. Returns where it is. Throws VolumeError. */
export async function applyVolume(podRoot: string, plan: VolumePlan, options: { fsGroup?: number; now: number }): Promise<string> {
  const folder = volumeFolder(podRoot, plan)
  if (plan.kind === 'hostPath') await checkHostPath(plan)
  else if (plan.kind === 'emptyDir') await applyEmptyDir(folder, plan, options.fsGroup)
  else await applyFiles(folder, plan.files, options)
  return folder
}

async function applyEmptyDir(folder: string, plan: VolumePlan & { kind: 'emptyDir' }, fsGroup: number | undefined): Promise<void> {
  if (await exists(folder)) return
  const making = `${folder}.making`
  await fs.mkdir(plan.memory ? folder : making, { recursive: true })
  if (plan.memory) mount({ source: 'tmpfs', target: folder, type: 'tmpfs', data: `mode=0777${plan.sizeBytes ? `,size=${plan.sizeBytes}` : ''}` })
  const place = plan.memory ? folder : making
  await fs.chmod(place, fsGroup === undefined ? 0o777 : 0o2777)
  if (fsGroup !== undefined) await ownBestEffort(place, undefined, fsGroup)
  if (!plan.memory) await fs.rename(making, folder)
}

async function applyFiles(folder: string, files: ReadonlyMap<string, File>, { fsGroup, now }: { fsGroup?: number; now: number }): Promise<void> {
  await fs.mkdir(folder, { recursive: true, mode: 0o755 })
  const before = await fs.readlink(join(folder, '..data')).catch(() => undefined)
  if (before && await sameFiles(join(folder, '..data'), files)) return
  const fresh = payloadFolder(now, Math.floor(Math.random() * 1_000_000))
  await fs.mkdir(join(folder, fresh), { mode: 0o755 })
  await fs.chmod(join(folder, fresh), fsGroup === undefined ? 0o755 : 0o2755)
  for (const [path, file] of files) await writeFile(join(folder, fresh, path), file, fsGroup)
  await fs.rm(join(folder, '..data_tmp'), { force: true })
  await fs.symlink(fresh, join(folder, '..data_tmp'))
  await fs.rename(join(folder, '..data_tmp'), join(folder, '..data'))
  const links = userLinks(files.keys())
  for (const [name, target] of links) if (!await exists(join(folder, name))) await fs.symlink(target, join(folder, name))
  for (const name of staleNames(await fs.readdir(folder), links)) await fs.rm(join(folder, name), { recursive: true, force: true })
  if (before) await fs.rm(join(folder, before), { recursive: true, force: true })
}

async function writeFile(path: string, { data, mode, uid }: File, fsGroup: number | undefined): Promise<void> {
  await fs.mkdir(dirname(path), { recursive: true, mode: 0o755 })
  await fs.writeFile(path, data, { mode })
  await fs.chmod(path, fsGroup === undefined ? mode : mode | 0o440)
  if (uid !== undefined || fsGroup !== undefined) await ownBestEffort(path, uid, fsGroup)
}

/** As an ordinary user other ids may not be mapped: the files then stay the cluster's own. */
async function ownBestEffort(path: string, uid: number | undefined, gid: number | undefined): Promise<void> {
  await fs.chown(path, uid ?? process.getuid!(), gid ?? process.getgid!()).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPERM' && error.code !== 'EINVAL') throw error
  })
}

async function sameFiles(folder: string, files: ReadonlyMap<string, File>): Promise<boolean> {
  const present = (await fs.readdir(`${folder}/`, { recursive: true, withFileTypes: true })).filter(entry => entry.isFile())
  if (present.length !== files.size) return false
  for (const [path, { data }] of files) {
    const bytes = await fs.readFile(join(folder, path)).catch(() => undefined)
    if (!bytes?.equals(data)) return false
  }
  return true
}

async function checkHostPath({ name, path, type }: VolumePlan & { kind: 'hostPath' }): Promise<void> {
  const stat = await fs.stat(path).catch(() => undefined)
  if (!stat && type === 'DirectoryOrCreate') { await fs.mkdir(path, { recursive: true, mode: 0o755 }); return }
  if (!stat && type === 'FileOrCreate') { await fs.writeFile(path, '', { mode: 0o644 }); return }
  if (type === '' ) return
  const fits: Record<string, boolean | undefined> = {
    Directory: stat?.isDirectory(), DirectoryOrCreate: stat?.isDirectory(), File: stat?.isFile(), FileOrCreate: stat?.isFile(),
    Socket: stat?.isSocket(), CharDevice: stat?.isCharacterDevice(), BlockDevice: stat?.isBlockDevice(),
  }
  const words: Record<string, string> = { Directory: 'directory', DirectoryOrCreate: 'directory', File: 'file', FileOrCreate: 'file', Socket: 'socket', CharDevice: 'character device', BlockDevice: 'block device' }
  if (!fits[type]) throw new VolumeError(name, `hostPath type check failed: ${path} is not a ${words[type] ?? type}`)
}

/**
 * A place for `subPath` inside a volume that no symbolic link can lead out of: every part is opened
 * with the volume as its root (openat2), what is missing is made, and the open descriptor is bound to
 * `target` (upstream's SafeMakeDir and SafeMount). Returns what to mount.
 */
export async function applySubPath(volume: string, subPath: string, target: string): Promise<string> {
  const root = openSync(volume, O_PATH | constants.O_DIRECTORY)
  let found = -1
  try {
    found = openOrMake(root, subPath.split('/').filter(part => part !== '' && part !== '.'))
    const directory = fstatSync(found).isDirectory()
    await fs.mkdir(dirname(target), { recursive: true })
    if (await exists(target)) unmount(target)
    if (directory) await fs.mkdir(target, { recursive: true })
    else await fs.writeFile(target, '')
    mount({ source: `/proc/self/fd/${found}`, target, flags: ['MS_BIND'] })
    return target
  } finally {
    if (found >= 0) closeSync(found)
    closeSync(root)
  }
}

/** A descriptor of the path below `root`; folders that are missing are made. */
function openOrMake(root: number, parts: readonly string[]): number {
  if (parts.length === 0) return openInRoot(root, '.', O_PATH)
  const path = parts.join('/')
  try { return openInRoot(root, path, O_PATH) } catch (error) {
    if (!(error instanceof SystemError) || error.code !== 'ENOENT') throw error
  }
  const parent = openOrMake(root, parts.slice(0, -1))
  try { mkdirat(parent, parts.at(-1)!, 0o777) } finally { closeSync(parent) }
  const made = openInRoot(root, path, constants.O_DIRECTORY)
  try { fchmodSync(made, 0o777) } finally { closeSync(made) }
  return openInRoot(root, path, O_PATH)
}

/** Unmounts and removes everything of a pod below its root. */
export async function removePodFiles(podRoot: string): Promise<void> {
  for (const point of (await mountsBelow(podRoot)).toReversed()) unmount(point)
  // Never delete through a mount: what is below may be another volume's or the host's.
  const left = await mountsBelow(podRoot)
  if (left.length) throw new Error(`${left[0]} is still mounted`)
  await fs.rm(podRoot, { recursive: true, force: true })
}

const mountsBelow = async (folder: string): Promise<string[]> =>
  (await fs.readFile('/proc/self/mountinfo', 'utf8')).split('\n').map(line => unescape(line.split(' ')[4] ?? '')).filter(path => path.startsWith(`${folder}/`))

const unescape = (path: string) => path.replace(/\\(\d{3})/g, (_, octal: string) => String.fromCharCode(parseInt(octal, 8)))
const exists = (path: string) => fs.lstat(path).then(() => true, () => false)
function unmount(path: string): void {
  try { umount(path) } catch (error) { if (!(error instanceof SystemError)) throw error } // not mounted: nothing to do
}
