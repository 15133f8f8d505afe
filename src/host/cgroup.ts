// Control groups of containers, version 2 and version 1 (also both at once, "hybrid"): limits and
// whether the kernel killed for memory. Where they are not permitted (a user namespace without
// delegation) nothing fails: `create` says what could not be done.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

export interface Limits { readonly memoryBytes?: number; readonly cpuMilli?: number; readonly cpuRequestMilli?: number; readonly pids?: number }
export interface Cgroup {
  /** Files that take `0` from a process that joins. */
  readonly procs: readonly string[]
  /** What was not done, in one line each. */
  readonly missing: readonly string[]
  /** Processes that the kernel killed for want of memory. */
  oomKills(): number
  remove(): Promise<void>
}

interface Hierarchy { readonly version: 1 | 2; readonly root: string; readonly controllers: readonly string[] }
type Setting = readonly [file: string, value: string | number]

const controllerOf = { memory: 'memory', cpu: 'cpu', pids: 'pids' } as const

/** Where which controller is mounted, from /proc/self/mountinfo; pure. */
export function hierarchies(mountinfo: string, controllersOf: (root: string) => readonly string[]): Hierarchy[] {
  return mountinfo.split('\n').flatMap((line): Hierarchy[] => {
    const [before, after] = line.split(' - ')
    if (!before || !after) return []
    const root = before.split(' ')[4]!, [type, , options] = after.split(' ') as [string, string, string]
    if (type === 'cgroup2') return [{ version: 2, root, controllers: controllersOf(root) }]
    const controllers = options.split(',').filter(name => name in controllerOf)
    return type === 'cgroup' && controllers.length ? [{ version: 1, root, controllers }] : []
  })
}

/** The files that hold the limits, by controller; pure. Conversions as runc does them (cgroups/v2 ConvertCPUSharesToCgroupV2Value). */
export function settings(version: 1 | 2, { memoryBytes, cpuMilli, cpuRequestMilli, pids }: Limits): Record<string, Setting[]> {
  const period = 100_000
  const shares = cpuRequestMilli === undefined ? undefined : Math.max(2, Math.min(262144, Math.floor(cpuRequestMilli * 1024 / 1000)))
  const quota = cpuMilli === undefined ? undefined : Math.max(1000, Math.floor(cpuMilli * period / 1000))
  const when = (value: unknown, ...list: Setting[]) => value === undefined ? [] : list
  return version === 2 ? {
    memory: when(memoryBytes, ['memory.max', memoryBytes!], ['memory.swap.max', 0]),
    cpu: [...when(quota, ['cpu.max', `${quota} ${period}`]), ...when(shares, ['cpu.weight', 1 + Math.floor((shares! - 2) * 9999 / 262142)])],
    pids: when(pids, ['pids.max', pids!]),
  } : {
    memory: when(memoryBytes, ['memory.limit_in_bytes', memoryBytes!]),
    cpu: [...when(quota, ['cpu.cfs_period_us', period], ['cpu.cfs_quota_us', quota!]), ...when(shares, ['cpu.shares', shares!])],
    pids: when(pids, ['pids.max', pids!]),
  }
}

const read = (file: string): string => { try { return readFileSync(file, 'latin1') } catch { return '' } }
const reason = (error: unknown) => (error as NodeJS.ErrnoException).code ?? String(error)

function mounted(): Hierarchy[] {
  return hierarchies(read('/proc/self/mountinfo'), root => read(join(root, 'cgroup.controllers')).trim().split(/\s+/).filter(name => name in controllerOf))
}

/** cgroup v2 hands a controller down one level at a time. */
function delegate(root: string, path: string, controllers: readonly string[]): void {
  let directory = root
  for (const part of ['', ...path.split('/').slice(0, -1)]) {
    directory = join(directory, part)
    mkdirSync(directory, { recursive: true })
    writeFileSync(join(directory, 'cgroup.subtree_control'), controllers.map(name => `+${name}`).join(' '))
  }
}

interface Group { readonly procs: string; readonly directory: string; readonly root: string }
function createIn(hierarchy: Hierarchy, path: string, wanted: Record<string, Setting[]>): Group {
  const controllers = Object.keys(wanted).filter(name => hierarchy.controllers.includes(name))
  if (hierarchy.version === 2 && controllers.length) delegate(hierarchy.root, path, controllers)
  const directory = join(hierarchy.root, path)
  mkdirSync(directory, { recursive: true })
  for (const [file, value] of controllers.flatMap(name => wanted[name]!)) {
    try { writeFileSync(join(directory, file), String(value)) } catch (error) { if (file !== 'memory.swap.max') throw error }
  }
  return { procs: join(directory, 'cgroup.procs'), directory, root: hierarchy.root }
}

/** Makes the group `path` (`fairway/<cluster>/<container>`) with its limits in each hierarchy that is needed for them. */
export function createCgroup(path: string, limits: Limits): Cgroup {
  const made: Group[] = [], missing: string[] = []
  const open = new Set(Object.entries(settings(2, limits)).filter(([, list]) => list.length).map(([name]) => name))
  for (const hierarchy of mounted()) {
    const mine = hierarchy.controllers.filter(name => open.has(name))
    if (mine.length === 0) continue
    const wanted = Object.fromEntries(Object.entries(settings(hierarchy.version, limits)).filter(([name]) => mine.includes(name)))
    try { made.push(createIn(hierarchy, path, wanted)) } catch (error) { missing.push(`${mine.join(', ')} limit not set in ${hierarchy.root}: ${reason(error)}`) }
    for (const name of mine) open.delete(name)
  }
  for (const name of open) missing.push(`${name} limit not set: no ${name} controller is mounted here`)
  return {
    procs: made.map(group => group.procs), missing,
    oomKills: () => made.reduce((sum, { directory }) =>
      sum + Number(/^oom_kill (\d+)/m.exec(read(join(directory, 'memory.events')) || read(join(directory, 'memory.oom_control')))?.[1] ?? 0), 0),
    async remove() { for (const { root, directory } of made) await removeDirectory(root, directory) },
  }
}

// The kernel refuses with EBUSY for a moment after the last process is gone. Parents go with their last group.
async function removeDirectory(root: string, directory: string): Promise<void> {
  for (let tries = 0; existsSync(directory); tries++) {
    try { rmdirSync(directory) } catch (error) { if (tries === 50) throw error; await sleep(10) }
  }
  for (let parent = dirname(directory); parent !== root; parent = dirname(parent)) { try { rmdirSync(parent) } catch { return } }
}

/** Removes `path` and everything below it in every hierarchy: what an earlier run left. Kills what still runs there. */
export async function sweepCgroups(path: string): Promise<void> {
  for (const { root } of mounted()) await sweep(root, join(root, path))
}
async function sweep(root: string, directory: string): Promise<void> {
  if (!existsSync(directory)) return
  for (const entry of readdirSync(directory, { withFileTypes: true })) if (entry.isDirectory()) await sweep(root, join(directory, entry.name))
  for (const pid of read(join(directory, 'cgroup.procs')).split('\n').filter(Boolean)) { try { process.kill(Number(pid), 'SIGKILL') } catch { /* gone */ } }
  await removeDirectory(root, directory)
}
