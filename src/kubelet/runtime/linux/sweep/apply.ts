// Clears away what an earlier run of the same node left when it was killed: network namespaces,
// links, mounts, control groups, directories. Its processes died with it (PR_SET_PDEATHSIG).
import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { sweepCgroups } from '#host/cgroup.ts'
import { umount } from '#host/libc.ts'
import { removeNetns } from '#host/netns.ts'
import { openRtnetlink } from '#host/rtnetlink.ts'
import type { Node } from '../state.ts'

const isId = (name: string) => /^[0-9a-f]{64}$/.test(name)

export async function sweep({ options: { sandboxRoot, netns, log }, cgroups }: Node): Promise<void> {
  await mkdir(sandboxRoot, { recursive: true, mode: 0o700 })
  const left = (await readdir(sandboxRoot)).filter(isId)
  if (left.length) {
    log.info('Removing what an earlier run left', { sandboxes: left.length })
    const links = openRtnetlink(netns)
    try { links.deleteLinks(left.map(id => `veth${id.slice(0, 8)}`)) } finally { links.close() }
    for (const id of left) removeNetns(id)
    await unmountBelow(sandboxRoot)
    await Promise.all(left.map(id => rm(join(sandboxRoot, id), { recursive: true, force: true })))
  }
  if (existsSync('/sys/fs/cgroup')) await sweepCgroups(cgroups)
}

async function unmountBelow(directory: string): Promise<void> {
  const mounts = (await readFile('/proc/thread-self/mountinfo', 'utf8')).split('\n').map(line => line.split(' ')[4] ?? '')
  for (const path of mounts.map(unescaped).filter(path => path.startsWith(`${directory}/`)).toReversed()) umount(path)
}
/** mountinfo writes space, tab, newline and backslash in octal. */
const unescaped = (path: string) => path.replace(/\\(\d{3})/g, (_, octal: string) => String.fromCharCode(parseInt(octal, 8)))
