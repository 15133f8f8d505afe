// What of a cluster could be left on the host: everything in here looks, nothing changes.
import { readdirSync, readFileSync } from 'node:fs'

const read = (file: string): string => { try { return readFileSync(file, 'utf8') } catch { return '' } }

/** Processes whose command line names a data directory: `pid command`. */
export function processesOf(dataDir: string): string[] {
  return readdirSync('/proc').filter(entry => /^\d+$/.test(entry) && Number(entry) !== process.pid)
    .map(pid => `${pid} ${read(`/proc/${pid}/cmdline`).replaceAll('\0', ' ')}`.trim())
    .filter(line => line.includes(dataDir) && !line.includes('--test'))
}

/** A process and all below it, by number on the host. */
export function processTree(pid: number): number[] {
  const children = (() => { try { return readdirSync(`/proc/${pid}/task`) } catch { return [] } })()
    .flatMap(thread => read(`/proc/${pid}/task/${thread}/children`).trim().split(' ')).filter(Boolean).map(Number)
  return [pid, ...children.flatMap(processTree)]
}

/** What a cluster could change on the host; equal before and after is what "leaves nothing" means. */
export function hostState(): { links: string[]; mounts: string[]; netns: string[]; cgroups: string[]; sysctls: string[] } {
  const list = (folder: string) => { try { return readdirSync(folder) } catch { return [] } }
  return {
    links: list('/sys/class/net').sort(),
    mounts: read('/proc/self/mountinfo').split('\n').map(line => line.split(' ')[4] ?? '').filter(Boolean).sort(),
    netns: list('/run/netns').sort(),
    cgroups: ['/sys/fs/cgroup', '/sys/fs/cgroup/unified', '/sys/fs/cgroup/memory', '/sys/fs/cgroup/pids', '/sys/fs/cgroup/cpu'].flatMap(root => list(root).filter(name => name.startsWith('fairway')).map(name => `${root}/${name}`)),
    sysctls: ['net/ipv4/ip_forward', 'net/ipv4/conf/all/route_localnet', 'net/netfilter/nf_conntrack_max'].map(name => `${name}=${read(`/proc/sys/${name}`).trim()}`),
  }
}
