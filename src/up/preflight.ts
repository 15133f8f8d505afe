// What must be so before anything is made: namespaces allowed, ports free. Each refusal names the
// cause and the remedy.
import { existsSync, readFileSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { userInfo } from 'node:os'
import { CommandError, UserError } from '#lib/errors.ts'
import { run } from '#host/run.ts'

export const unprivileged = (): boolean => process.getuid?.() !== 0

/** Whether this user may map a range of user ids (newuidmap(1) and a line in /etc/subuid). */
export function mayMapUsers(): boolean {
  const names: unknown[] = [nameOfUser(), String(process.getuid?.())]
  const granted = (file: string) => {
    try { return readFileSync(file, 'utf8').split('\n').some(line => names.includes(line.split(':')[0]!)) } catch { return false }
  }
  return ['newuidmap', 'newgidmap'].every(tool => existsSync(`/usr/bin/${tool}`)) && granted('/etc/subuid') && granted('/etc/subgid')
}

const nameOfUser = (): string | undefined => {
  try { return userInfo().username } catch { return undefined } // a user without a line in /etc/passwd
}

/** What does not work for this user, each in one line; empty for root. */
export const limitsOfThisUser = (): string[] => unprivileged() ? ['(as an ordinary user: no cgroup limits, no eBPF' +
  (mayMapUsers() ? ')' : '; images that switch to another user cannot run, as newuidmap or an entry in /etc/subuid is absent)')] : []

/** The flags of unshare(1) for the namespace in which an ordinary user is root. */
export const userNamespace = (): string[] => ['--user', '--map-root-user', ...(mayMapUsers() ? ['--map-auto'] : [])]

/** The flags of unshare(1) that give a cluster its own world; one code path for root and for an ordinary user. */
export const unshareArguments = (): string[] => [
  ...(unprivileged() ? userNamespace() : []),
  '--net', '--mount', '--pid', '--ipc', '--uts', '--fork', '--kill-child', '--propagation', 'private']

const sysctl = (name: string): string | undefined => {
  try { return readFileSync(`/proc/sys/${name.replaceAll('.', '/')}`, 'utf8').trim() } catch { return undefined }
}

/** Tries the namespaces for real; throws a UserError with the remedy when the machine forbids them. */
export async function checkNamespaces(): Promise<void> {
  try {
    await run(['unshare', ...unshareArguments(), 'mount', '-t', 'proc', 'proc', '/proc'], { timeoutMs: 10_000 })
  } catch (error) {
    if (!(error instanceof CommandError)) throw error
    throw new UserError(namespaceRemedy(error.stderr, unprivileged(), sysctl))
  }
}

/** Pure: which sentence helps with this failure. */
export function namespaceRemedy(stderr: string, asUser: boolean, setting: (name: string) => string | undefined): string {
  if (asUser && setting('kernel.apparmor_restrict_unprivileged_userns') === '1') {
    return 'AppArmor forbids user namespaces to ordinary users on this machine (Ubuntu 23.10 and later): ' +
      "run 'sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0', or run fairway with sudo"
  }
  if (asUser && setting('kernel.unprivileged_userns_clone') === '0') {
    return "user namespaces are switched off for ordinary users: run 'sudo sysctl -w kernel.unprivileged_userns_clone=1', or run fairway with sudo"
  }
  if (asUser && setting('user.max_user_namespaces') === '0') {
    return "this machine allows no user namespaces: run 'sudo sysctl -w user.max_user_namespaces=15000', or run fairway with sudo"
  }
  if (/mount.*(permission|not permitted)/i.test(stderr)) {
    return 'this machine does not let a new namespace mount /proc (inside a container? start it with --privileged, or with an unmasked /proc)'
  }
  return `cannot make namespaces: ${stderr.trim() || 'unshare failed'}` + (asUser ? '; run fairway with sudo' : '')
}

/** A listening socket on 127.0.0.1: the port asked for, or 6443, or (when that is taken) any free one. */
export async function listenOnLoopback(asked: number | undefined): Promise<{ server: Server; port: number; instead: boolean }> {
  const first = await tryListen(asked ?? 6443)
  if (first) return { ...first, instead: false }
  if (asked !== undefined) throw new UserError(`--api-port ${asked}: another program listens on 127.0.0.1:${asked}; choose another port`)
  const any = await tryListen(0)
  if (!any) throw new UserError('no free port on 127.0.0.1 for the API server')
  return { ...any, instead: true }
}

const tryListen = (port: number) => new Promise<{ server: Server; port: number } | undefined>((resolve, reject) => {
  const server = createServer()
  server.once('error', (error: NodeJS.ErrnoException) =>
    error.code === 'EADDRINUSE' ? resolve(undefined) : reject(new UserError(`cannot listen on 127.0.0.1:${port}: ${error.message}`)))
  server.listen({ port, host: '127.0.0.1', backlog: 511 }, () => resolve({ server, port: (server.address() as { port: number }).port }))
})
