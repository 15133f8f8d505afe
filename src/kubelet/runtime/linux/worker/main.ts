// The sandbox thread: the one thread that goes in and out of namespaces, so that the kubelet's own
// never does. Everything in it is synchronous; requests are answered in order. A pod's namespaces are
// held by descriptors (no pause process), a container's mounts by its processes alone.
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { constants as os } from 'node:os'
import { parentPort, workerData } from 'node:worker_threads'
import { mount, O_PATH, setns, sethostname, umount, unshare } from '#host/libc.ts'
import { bindNetns, removeNetns } from '#host/netns.ts'
import { boundingSet, idMap, isMapped, lastCapability } from '#host/process.ts'
import { failures, listDescriptor } from '#host/program.ts'
import { openPty } from '#host/pty.ts'
import { openRtnetlink } from '#host/rtnetlink.ts'
import type { Rtnetlink } from '#host/rtnetlink.ts'
import type { ExecRequest, ExitEvent, Request, SandboxRequest, Started, StartRequest } from '../requests.ts'
import { mountRoot } from '../rootfs/apply.ts'
import { execSteps, startFailure, startSteps } from '../steps.ts'
import type { Machine, StepsInput } from '../steps.ts'
import { resolveUser } from '../user.ts'
import type { User } from '../user.ts'
import type { Step } from '#host/program.ts'

interface Namespaces { readonly net: number; readonly uts: number; readonly ipc: number }
interface Sandbox extends Namespaces { readonly request: SandboxRequest }
interface Running { readonly child: ChildProcess; readonly input?: Omit<StepsInput, 'terminal'>; readonly ptmx?: number; readonly sandbox: Sandbox; readonly cgroupProcs: readonly string[] }

const open = (name: string) => openSync(`/proc/thread-self/ns/${name}`, 'r')
const own = { net: open('net'), uts: open('uts'), ipc: open('ipc'), mnt: open('mnt'), pid: open('pid') }
const { interpreter } = workerData as { interpreter: string }
const sandboxes = new Map<string, Sandbox>()
/** Containers and execs, until they were reaped: so long a pid means them. */
const running = new Map<string, Running>()
const machine: Machine = {
  lastCapability: lastCapability(), boundingSet: boundingSet(),
  maxFiles: Math.min(1048576, Number(/^Max open files\s+\S+\s+(\S+)/m.exec(readFileSync('/proc/self/limits', 'latin1'))![1]) || 1048576),
  setgroups: readFileSync('/proc/self/setgroups', 'latin1').trim() === 'allow',
}

function enter({ net, uts, ipc }: Namespaces): void {
  setns(net, 'CLONE_NEWNET'); setns(uts, 'CLONE_NEWUTS'); setns(ipc, 'CLONE_NEWIPC')
}
/** Back to the thread's own namespaces, whatever happened in between. */
function inNamespaces<T>(where: Namespaces, work: () => T): T {
  try { enter(where); return work() } finally { enter(own) }
}

const nodes = new Map<string | undefined, { socket: Rtnetlink; bridge: number }>()
/** The routing socket of a node and the index of its bridge. */
function node(netns: string | undefined, bridge: string): { socket: Rtnetlink; bridge: number } {
  const known = nodes.get(netns)
  if (known) return known
  const target = netns === undefined ? own.net : openSync(netns, 'r')
  try {
    setns(target, 'CLONE_NEWNET')
    const made = { socket: openRtnetlink(), bridge: indexOf(bridge) }
    nodes.set(netns, made)
    return made
  } finally { setns(own.net, 'CLONE_NEWNET'); if (target !== own.net) closeSync(target) }
}
/** /proc/net is of the process's main thread, so ask for this one's. */
function indexOf(link: string): number {
  const socket = openRtnetlink()
  try { return socket.indexOf(link) } finally { socket.close() }
}

const setSysctl = (name: string, value: string) => writeFileSync(`/proc/sys/${name.replaceAll('.', '/')}`, value)

function createSandbox(request: SandboxRequest): void {
  const made: number[] = []
  const opened = (name: string) => { const fd = open(name); made.push(fd); return fd }
  try {
    if (request.netns !== undefined && !request.network) {
      const target = openSync(request.netns, 'r')
      try { setns(target, 'CLONE_NEWNET') } finally { closeSync(target) }
    }
    unshare(...(request.network ? ['CLONE_NEWNET' as const] : []), 'CLONE_NEWUTS', 'CLONE_NEWIPC')
    const namespaces = { net: opened('net'), uts: opened('uts'), ipc: opened('ipc') }
    sethostname(request.hostname)
    if (request.network) ownNetwork(request, namespaces.net)
    for (const [name, value] of Object.entries(request.sysctls)) setSysctl(name, value)
    sandboxes.set(request.id, { ...namespaces, request })
  } catch (error) {
    made.forEach(fd => closeSync(fd))
    if (request.network) { enter(own); removeNetns(request.id) }
    throw error
  } finally { enter(own) }
  mount({ source: 'shm', target: request.shm, type: 'tmpfs', flags: ['MS_NOSUID', 'MS_NODEV', 'MS_NOEXEC'], data: 'mode=1777,size=65536k' })
}

/** The thread is in the pod's new network namespace. */
function ownNetwork({ id, netns, network }: SandboxRequest, fd: number): void {
  const { link, bridge, address, gateway } = network!
  bindNetns(id)
  setSysctl('net.ipv4.ip_unprivileged_port_start', '0')
  // Groups that this user namespace does not know are refused.
  try { setSysctl('net.ipv4.ping_group_range', '0 2147483647') } catch { setSysctl('net.ipv4.ping_group_range', '0 0') }
  // Only lo has IPv6: link-local addresses on eth0 would only make noise on the bridge.
  try { setSysctl('net.ipv6.conf.default.disable_ipv6', '1') } catch { /* a kernel without IPv6 */ }
  const pod = openRtnetlink()
  try {
    pod.setUp(1)
    const { socket, bridge: master } = node(netns, bridge)
    setns(fd, 'CLONE_NEWNET') // `node` went home
    socket.addVeth({ name: link, peer: 'eth0', peerNetns: fd, master })
    socket.setHairpin(socket.indexOf(link))
    const eth0 = pod.indexOf('eth0')
    pod.addAddress(eth0, address)
    pod.setUp(eth0)
    // Pods of one node reach each other through the node, not past it over the bridge: the way back of
    // a translated connection then meets conntrack too, and no br_netfilter module is needed for that.
    pod.addDefaultRoute(eth0, gateway)
  } finally { pod.close() }
}

function removeSandbox(id: string): void {
  const sandbox = sandboxes.get(id)
  if (!sandbox) return
  sandboxes.delete(id)
  const { request } = sandbox
  closeSync(sandbox.net); closeSync(sandbox.uts); closeSync(sandbox.ipc)
  if (request.network) {
    removeNetns(id)
    deleteLater(request)
  }
  umount(request.shm)
}

// The link goes with its namespace, which the kernel clears away on its own and many at once. A dying
// TCP connection may keep the namespace, and the address answering, so that is not relied upon.
const deleteAfterMs = 1000
const stale: SandboxRequest[] = []
function deleteLater(request: SandboxRequest): void {
  if (stale.push(request) > 1) return
  setTimeout(() => {
    for (const [netns, list] of Map.groupBy(stale.splice(0), each => each.netns)) nodes.get(netns)?.socket.deleteLinks(list.map(each => each.network!.link))
  }, deleteAfterMs)
}

interface Spawn { readonly id: string; readonly steps: readonly Step[]; readonly stdio: readonly [number, number, number]; readonly extra: readonly number[]; readonly argv: readonly string[] }
/** Starts the interpreter with the steps; resolves when the program runs or has failed to. */
function launch({ id, steps, stdio, extra, argv }: Spawn, remember: (child: ChildProcess) => Running): Promise<{ pid: number } | { message: string; exitCode: number }> {
  const list = listDescriptor(steps)
  let child: ChildProcess
  try { child = spawn(interpreter, [], { stdio: [...stdio, 'pipe', list, ...extra], env: {} }) } finally { closeSync(list) }
  const entry = remember(child)
  const report: Buffer[] = []
  const { promise, resolve } = Promise.withResolvers<{ pid: number } | { message: string; exitCode: number }>()
  const pipe = child.stdio[3] as NodeJS.ReadableStream
  pipe.on('data', (chunk: Buffer) => report.push(chunk))
  pipe.on('end', () => resolve(startFailure(steps, failures(Buffer.concat(report)), argv) ?? { pid: child.pid! }))
  pipe.on('error', () => {})
  if (child.pid !== undefined) running.set(id, entry)
  child.on('error', error => { running.delete(id); resolve({ message: error.message, exitCode: 128 }) })
  child.on('exit', (code, signal) => {
    running.delete(id)
    if (entry.ptmx !== undefined) closeSync(entry.ptmx)
    parentPort!.postMessage({ kind: 'exit', id, exitCode: code ?? 128 + os.signals[signal!] } satisfies ExitEvent)
  })
  return promise
}

const uids = idMap('uid_map'), gids = idMap('gid_map')
/** In a user namespace most ids do not exist; the kernel would only say EINVAL. */
function possible(user: User): User {
  const missing = !isMapped(uids, user.uid) ? `user ${user.uid}` : !isMapped(gids, user.gid) ? `group ${user.gid}` : undefined
  if (missing) throw new Error(`the container is to run as ${missing}, but this cluster belongs to an ordinary user and has only ${uids.length === 1 && uids[0]![2] === 1 ? 'uid 0' : 'some ids'}: run fairway as root, or let the container run as root (securityContext.runAsUser: 0)`)
  return user
}

async function start(request: StartRequest): Promise<Started> {
  const sandbox = sandboxes.get(request.sandboxId)
  if (!sandbox) throw new Error(`sandbox ${request.sandboxId} is not there any more`)
  const cgroups = request.cgroupProcs.map(file => openSync(file, 'w'))
  let terminal: { master: number; slave: number } | undefined, started
  try {
    started = inNamespaces(sandbox, () => {
      unshare('CLONE_NEWNS')
      try {
        mount({ target: '/', flags: ['MS_REC', 'MS_PRIVATE'] })
        const user = possible(resolveUser(request.process, mountRoot(request.root)))
        const root = `${request.root.directory}/root`
        const ptmx = openSync(`${root}/dev/pts/ptmx`, O_PATH)
        if (!request.stdio) terminal = openPty(`/proc/self/fd/${ptmx}`)
        const input = { process: request.process, user, cgroups: cgroups.length, machine }
        const steps = startSteps({ ...input, terminal: !request.stdio }, root)
        if (!request.hostPid) unshare('CLONE_NEWPID')
        const stdio = request.stdio ?? [terminal!.slave, terminal!.slave, terminal!.slave]
        return launch({ id: request.id, steps, stdio, extra: cgroups, argv: request.process.argv }, child => ({ child, input, ptmx, sandbox, cgroupProcs: request.cgroupProcs }))
      } finally {
        setns(own.pid, 'CLONE_NEWPID')
        setns(own.mnt, 'CLONE_NEWNS')
      }
    })
  } finally { cgroups.forEach(fd => closeSync(fd)); if (terminal) closeSync(terminal.slave) }
  return { ...await started, terminal: terminal?.master }
}

async function exec(request: ExecRequest): Promise<Started> {
  const container = running.get(request.containerId)
  if (!container?.input) throw new Error(`container ${request.containerId} is not running`)
  const { input, sandbox, ptmx } = container, pid = container.child.pid
  const made = container.cgroupProcs.map(file => openSync(file, 'w'))
  let terminal: { master: number; slave: number } | undefined, started
  try {
    made.push(openSync(`/proc/${pid}/ns/mnt`, 'r'))
    const pidNamespace = openSync(`/proc/${pid}/ns/pid`, 'r')
    if (!request.stdio) terminal = openPty(`/proc/self/fd/${ptmx}`)
    const process = { ...input.process, argv: request.argv, env: terminal ? [...input.process.env, 'TERM=xterm'] : input.process.env }
    const stdio = request.stdio ?? [terminal!.slave, terminal!.slave, terminal!.slave]
    const steps = execSteps({ ...input, process, terminal: terminal !== undefined })
    started = inNamespaces(sandbox, () => {
      try {
        setns(pidNamespace, 'CLONE_NEWPID')
        return launch({ id: request.id, steps, stdio, extra: made, argv: request.argv }, child => ({ child, sandbox, cgroupProcs: [] }))
      } finally { setns(own.pid, 'CLONE_NEWPID'); closeSync(pidNamespace) }
    })
  } finally { made.forEach(fd => closeSync(fd)); if (terminal) closeSync(terminal.slave) }
  return { ...await started, terminal: terminal?.master }
}

function answer(request: Request): unknown {
  switch (request.kind) {
    case 'sandbox': return createSandbox(request)
    case 'removeSandbox': return removeSandbox(request.id)
    case 'start': return start(request)
    case 'exec': return exec(request)
    case 'signal': return running.get(request.id)?.child.kill(request.signal) ?? false
  }
}

parentPort!.on('message', async ({ number, request }: { number: number; request: Request }) => {
  try { parentPort!.postMessage({ kind: 'answer', number, value: await answer(request) }) }
  catch (error) { parentPort!.postMessage({ kind: 'answer', number, error: error instanceof Error ? error.message : String(error) }) }
})
