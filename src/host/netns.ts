// Network namespaces: named ones under /run/netns (as `ip netns` keeps them), and work done in
// another namespace by this very thread. Links and addresses are ip.ts and rtnetlink.ts.
import { closeSync, existsSync, mkdirSync, openSync, rmSync, writeFileSync } from 'node:fs'
import { Socket } from 'node:net'
import type { SocketConstructorOpts } from 'node:net'
import { mount, setns, tcpSocket, umount, unshare } from './libc.ts'

export const netnsDirectory = '/run/netns'
export const netnsPath = (name: string): string => `${netnsDirectory}/${name}`
/** The calling thread's own namespace, as a path for `bindNetns` or `openSync`. */
export const ownNetns = '/proc/thread-self/ns/net'

/** Gives the calling thread's network namespace a name; it then lives until `removeNetns`. */
export function bindNetns(name: string): void {
  mkdirSync(netnsDirectory, { recursive: true })
  writeFileSync(netnsPath(name), '', { flag: 'wx', mode: 0o444 })
  try { mount({ source: ownNetns, target: netnsPath(name), flags: ['MS_BIND'] }) } catch (error) { rmSync(netnsPath(name)); throw error }
}

/** Makes a new, empty namespace of that name; its loopback is down. */
export function createNetns(name: string): void {
  const own = openSync(ownNetns, 'r')
  try {
    unshare('CLONE_NEWNET')
    try { bindNetns(name) } finally { setns(own, 'CLONE_NEWNET') }
  } finally { closeSync(own) }
}

/** Takes the name away; the namespace goes with its last process and descriptor. Absent is fine. */
export function removeNetns(name: string): void {
  if (!existsSync(netnsPath(name))) return
  try { umount(netnsPath(name)) } catch { /* a plain file that an interrupted run left */ }
  rmSync(netnsPath(name), { force: true })
}

/**
 * Runs `work` with the calling thread in another network namespace (a path; undefined: this one) and comes back before
 * returning. Only what `work` does synchronously happens there: `server.listen(port)` without a host creates its
 * socket at once, with a host Node creates it later and in the wrong namespace.
 */
export function inNetns<T>(path: string | undefined, work: () => T): T {
  if (path === undefined) return work()
  const own = openSync(ownNetns, 'r')
  try {
    const target = openSync(path, 'r')
    try { setns(target, 'CLONE_NEWNET') } finally { closeSync(target) }
    try { return work() } finally { setns(own, 'CLONE_NEWNET') }
  } finally { closeSync(own) }
}

/** A TCP connection made from inside a network namespace; `host` is an IP address. */
export function connectIn(path: string | undefined, { host, port }: { readonly host: string; readonly port: number }): Promise<Socket> {
  const fd = inNetns(path, () => tcpSocket(host.includes(':') ? 6 : 4))
  // Without manualStart Node reads at once, from a socket that is not connected yet.
  const socket = new Socket({ fd, manualStart: true } as SocketConstructorOpts)
  const { promise, resolve, reject } = Promise.withResolvers<Socket>()
  socket.once('error', reject)
  socket.connect({ host, port }, () => { socket.off('error', reject); resolve(socket) })
  return promise
}
