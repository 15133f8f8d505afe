// ebpf mode: sockets of this node's processes and pods are led to endpoints when they connect or send,
// without NAT or conntrack (sockets/apply.ts). nftables mode stands beside, whole: for packets that come
// from elsewhere, and for whatever sockets leave alone, so that nothing depends on a program being there.
import { closeSync, readFileSync } from 'node:fs'
import { release } from 'node:os'
import { openCgroupRoot } from '#host/bpf.ts'
import { SystemError } from '#host/libc.ts'
import type { Applied, DataPlane, NodeOptions, PlaneContext, Refusal } from '../dataplane.ts'
import * as nftables from '../nftables/apply.ts'
import type { ProxiedPort } from '../state.ts'
import { SocketPlane } from './sockets/apply.ts'

export const needs = `the machine's own root, or CAP_BPF, CAP_NET_ADMIN and CAP_SYS_ADMIN there; Linux 5.18 with CONFIG_CGROUP_BPF; control groups version 2; and what nftables mode needs: ${nftables.needs}`

/** Its rules are also this mode's: they stay while this mode runs. */
export const uses = 'nftables'

export async function create(context: PlaneContext): Promise<DataPlane | Refusal> {
  const beside = await nftables.create(context)
  if ('refused' in beside) return { refused: `traffic from outside needs nftables beside: ${beside.refused}` }
  const sockets = openSockets(context)
  if ('refused' in sockets) { await beside.stop(); return sockets }
  return new EbpfPlane(sockets, beside)
}

/** Nothing to do: nothing is pinned, so programs and maps go with their process however it ends. The rules beside are nftables mode's to remove. */
export async function cleanup(): Promise<void> {}

interface Sockets { readonly plane: SocketPlane; close(): void }

function openSockets({ family, log, netns }: PlaneContext): Sockets | Refusal {
  let cgroup: number | undefined
  try {
    cgroup = openCgroupRoot()
    if (cgroup === undefined) return { refused: 'the machine\'s root control group (version 2) cannot be reached from here: mount the machine\'s /sys/fs/cgroup into this pod (hostPath)' }
    const plane = new SocketPlane({ family, cgroup, log, ...netns !== undefined && { netns } }), group = cgroup
    try { plane.probe() } catch (error) { plane.close(); throw error }
    return { plane, close: () => { plane.close(); closeSync(group) } }
  } catch (error) {
    if (cgroup !== undefined) closeSync(cgroup)
    if (error instanceof SystemError) return { refused: refusal(error) }
    throw error
  }
}

function refusal({ code, call }: SystemError): string {
  if (code === 'EPERM' || code === 'EACCES') {
    return isUserNamespace() ? 'the kernel lets only the machine\'s own root load eBPF, and this is a user namespace: start the cluster as root'
      : `the kernel does not let this process load eBPF (${call}: ${code}): run as root, or with CAP_BPF, CAP_NET_ADMIN and CAP_SYS_ADMIN`
  }
  if (code === 'ENOSYS') return 'this kernel has no eBPF (CONFIG_BPF_SYSCALL)'
  return `Linux ${release()} does not take the programs (it needs 5.18 or later, with CONFIG_CGROUP_BPF): ${call}: ${code}`
}
const isUserNamespace = () => readFileSync('/proc/self/uid_map', 'utf8').trim().split(/\s+/)[2] !== '4294967295'

const order = ['none', 'partial', 'full'] as const

export class EbpfPlane implements DataPlane {
  readonly family
  /** Of what goes through the rules beside. */
  readonly usesConntrack = true
  readonly #sockets: Sockets
  readonly #beside: DataPlane

  constructor(sockets: Sockets, beside: DataPlane) {
    this.#sockets = sockets
    this.#beside = beside
    this.family = beside.family
  }

  async apply(ports: readonly ProxiedPort[], options: NodeOptions): Promise<Applied> {
    // Sockets first: they take a fraction of a millisecond, and a failure on one side must not hold up the other.
    const sync = attempt(() => this.#sockets.plane.apply(ports, options))
    const beside = await this.#beside.apply(ports, options)
    const own = sync()
    return { sync: order[Math.max(order.indexOf(own), order.indexOf(beside.sync))]!, partialFailed: beside.partialFailed }
  }

  async checkFlushed(): Promise<boolean> {
    const beside = await this.#beside.checkFlushed()
    return this.#sockets.plane.checkDetached() || beside
  }

  forget(): void {
    this.#sockets.plane.forget()
    this.#beside.forget()
  }

  async stop(): Promise<void> {
    this.#sockets.close()
    await this.#beside.stop()
  }
}

/** Does it now; what it gave or threw comes when asked for. */
function attempt<T>(work: () => T): () => T {
  try {
    const value = work()
    return () => value
  } catch (error) { return () => { throw error } }
}
