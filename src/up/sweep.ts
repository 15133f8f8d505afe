// What a killed cluster can leave behind on the machine: all namespaces, links, mounts and processes
// die with it, but cgroup directories, overlay upper directories and unix sockets do not. Removed
// before a start and after an end.
import { existsSync, readdirSync, rmSync, rmdirSync } from 'node:fs'
import { join } from 'node:path'
import { run } from '#host/run.ts'
import { clusterFiles } from './paths.ts'
import { unprivileged, userNamespace } from './preflight.ts'

const cgroupRoots = ['/sys/fs/cgroup', '/sys/fs/cgroup/unified', '/sys/fs/cgroup/memory', '/sys/fs/cgroup/cpu', '/sys/fs/cgroup/cpuacct', '/sys/fs/cgroup/pids']

/** Where a cluster's cgroups are, below each hierarchy. */
export const cgroupName = (cluster: string): string => `fairway-${cluster}`

export async function sweep(cluster: string, dataDir: string): Promise<void> {
  const files = clusterFiles(dataDir)
  rmSync(files.egress, { force: true })
  if (existsSync(files.sandboxes)) await removeTree(files.sandboxes)
  for (const root of cgroupRoots) await removeCgroups(join(root, cgroupName(cluster)))
}

/**
 * Removes what pods have written. An ordinary user needs his user namespace for that: overlayfs leaves
 * directories of mode 0, and containers files of other uids.
 */
export async function removeTree(path: string): Promise<void> {
  await run([...(unprivileged() ? ['unshare', ...userNamespace()] : []), 'rm', '-rf', path])
}

/** Deepest first. A killed process lingers in its cgroup for some ms, so busy directories are tried again. */
async function removeCgroups(directory: string): Promise<void> {
  if (!existsSync(directory)) return
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    if (entry.isDirectory()) await removeCgroups(join(directory, entry.name))
  }
  for (let tries = 0; tries < 50; tries++) {
    try { return rmdirSync(directory) } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EBUSY') return
      await new Promise(resolve => setTimeout(resolve, 20))
    }
  }
}
