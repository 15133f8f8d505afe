// From what the kubelet wants of a container and what its image says to what the sandbox thread is
// asked: containerd's WithProcessArgs, WithEnv and mounts. Pure.
import { posix } from 'node:path'
import type { RootFs } from '../../images/store.ts'
import type { ContainerConfig, PodSandboxConfig } from '../cri.ts'
import { capabilitySet } from './capabilities.ts'
import type { ProcessPlan, RootPlan } from './requests.ts'

/** Throws when nothing says what to run. */
export function argv(config: ContainerConfig, image: RootFs['config']): string[] {
  const args = config.args.length || config.command.length ? config.args : image.cmd
  const all = [...(config.command.length ? config.command : image.entrypoint), ...args]
  if (all.length === 0) throw new Error('no command specified')
  return all
}

/** Later ones win; PATH, HOSTNAME and (with a terminal) TERM are there as with containerd. */
export function environment(config: ContainerConfig, image: RootFs['config'], hostname: string): string[] {
  const variables = new Map<string, string>([['PATH', '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'], ...(config.tty ? [['TERM', 'xterm'] as const] : []), ['HOSTNAME', hostname]])
  for (const entry of image.env) {
    const cut = entry.indexOf('=')
    if (cut > 0) variables.set(entry.slice(0, cut), entry.slice(cut + 1))
  }
  for (const [name, value] of config.env) variables.set(name, value)
  return [...variables].map(([name, value]) => `${name}=${value}`)
}

export function processPlan(config: ContainerConfig, image: RootFs['config'], hostname: string): ProcessPlan {
  const { security } = config
  return {
    argv: argv(config, image), env: environment(config, image, hostname), workingDir: workingDir(config, image),
    user: security.runAsUser === undefined ? image.user : String(security.runAsUser),
    group: security.runAsGroup, supplementalGroups: security.supplementalGroups,
    capabilities: capabilitySet(security), privileged: security.privileged,
    noNewPrivileges: security.noNewPrivileges && !security.privileged,
  }
}
const workingDir = (config: ContainerConfig, image: RootFs['config']) => config.workingDir || image.workingDir || '/'

const depth = (path: string) => path.split('/').filter(Boolean).length
export interface Places { readonly sandbox: string; readonly container: string; readonly userxattr: boolean }

/** Directories: the sandbox's own with resolv.conf, hosts, hostname and shm, and the container's. */
export function rootPlan(config: ContainerConfig, image: RootFs, { sandbox, container, userxattr }: Places): RootPlan {
  const files = ['resolv.conf', 'hosts', 'hostname'].map(name => ({ source: `${sandbox}/${name}`, target: `/etc/${name}`, readonly: config.security.readonlyRootFilesystem }))
  const mounts = config.mounts.map(mount => ({ source: mount.hostPath, target: posix.resolve('/', mount.containerPath), readonly: mount.readonly }))
  const covered = new Set(mounts.map(mount => mount.target))
  const own = [...image.binds.map(bind => ({ source: bind.hostPath, target: bind.containerPath, readonly: true })), ...files].filter(bind => !covered.has(bind.target))
  return {
    directory: container, lowerDirs: image.lowerDirs, usrFromHost: image.usrFromHost, userxattr,
    // A mount below another one comes after it.
    binds: [...own, ...mounts.toSorted((a, b) => depth(a.target) - depth(b.target))],
    shm: `${sandbox}/shm`, privileged: config.security.privileged, readonlyRoot: config.security.readonlyRootFilesystem,
    workingDir: workingDir(config, image.config),
  }
}

/** Throws on a path that would cover what the runtime itself mounts. */
export function checkMounts(config: ContainerConfig): void {
  for (const { containerPath } of config.mounts) {
    const path = posix.resolve('/', containerPath)
    if (path === '/' || path === '/proc' || path.startsWith('/proc/')) throw new Error(`"${containerPath}" cannot be mounted because it is the root or inside /proc`)
  }
}

/** The text of /etc/hosts once the address is known. */
export const hostsFile = (config: PodSandboxConfig, ip: string): string => config.hosts.replaceAll('$POD_IP', ip)
