// The sockets of one node in one IP family: brings the maps from state to state, keeps the node's
// namespaces and addresses in them, and closes UDP sockets that are left at a removed endpoint.
// Synchronous throughout: a change is a few system calls. Packets are another plane's.
import { networkInterfaces } from 'node:os'
import { SystemError } from '#host/libc.ts'
import { inNetns } from '#host/netns.ts'
import { openSockDiag } from '#host/sockdiag.ts'
import { equal } from '#lib/equal.ts'
import type { Log } from '#lib/log.ts'
import type { Family } from '#net/ip.ts'
import type { Applied, NodeOptions } from '../../dataplane.ts'
import type { ProxiedPort } from '../../state.ts'
import { Generation, makeKeptMaps, type KeptMaps } from '../kernel/apply.ts'
import { reverseKey, socketAddress, u32, u64 } from '../layout.ts'
import { NodeNamespaces, type Namespaces } from '../namespaces/apply.ts'
import { ArrayFull } from '../ranges.ts'
import { roomFor, Tables } from '../tables.ts'
import { nodeAddresses, translations, type Translation } from '../translations.ts'

export interface SocketPlaneOptions {
  readonly family: Family
  /** A descriptor of the control group whose processes are served; not closed here. */
  readonly cgroup: number
  readonly log: Log
  /** Path of the node's network namespace; our own unless told. */
  readonly netns?: string
  /** Paths of namespaces that may be the node's pods'; those under /run/netns unless told. */
  readonly candidates?: () => readonly string[]
}

/** What stands in the kernel, and what it was made from. */
interface InForce { readonly generation: Generation; readonly tables: Tables; readonly options: NodeOptions; ports: readonly ProxiedPort[] }

export class SocketPlane {
  readonly #options: SocketPlaneOptions
  readonly #kept: KeptMaps
  readonly #nodeNamespaces: NodeNamespaces
  #namespaces: Namespaces = { kinds: new Map(), paths: [] }
  #inForce: InForce | undefined
  /** Not known what stands in the kernel. */
  #dirty = false
  #again = false

  /** Throws a SystemError when the kernel does not allow it. */
  constructor(options: SocketPlaneOptions) {
    this.#options = options
    this.#kept = makeKeptMaps(options.family)
    this.#nodeNamespaces = new NodeNamespaces(options.netns, options.candidates)
    // New pods are noticed at once; until then packet rules serve them.
    if (!options.candidates) this.#nodeNamespaces.watch(() => this.#refresh())
  }

  /** Loads programs and maps as `apply` would, and drops them: throws when the kernel does not allow it. */
  probe(): void { new Generation(this.#options.family, roomFor([]), this.#kept).close() }

  /** An unchanged port is the same object as at the last call. When it throws, what was in force before still is. */
  apply(ports: readonly ProxiedPort[], options: NodeOptions): Applied['sync'] {
    const inForce = this.#inForce
    if (!inForce || this.#dirty || !equal(inForce.options, options)) { this.#rebuild(ports, options); return 'full' }
    const changes = changedTranslations(inForce.ports, ports, options)
    if (changes.size === 0 && !this.#again) { inForce.ports = ports; return 'none' }
    this.#dirty = true // until all of it stands in the kernel
    try {
      const lost = this.#write(inForce, changes), sync = this.#again ? 'full' : 'partial'
      inForce.ports = ports
      this.#dirty = this.#again = false
      if (lost) this.#closeLost(inForce.tables)
      return sync
    } catch (error) {
      // E2BIG: a map is full. Fragments of the change do no harm: the maps go.
      if (!(error instanceof ArrayFull || (error instanceof SystemError && error.code === 'E2BIG'))) throw error
      this.#rebuild(ports, options)
      return 'full'
    }
  }

  /** True when another program detached ours, or something failed; the next `apply` then makes everything anew. Also looks for namespaces and addresses that came or went. */
  checkDetached(): boolean {
    this.#refresh()
    if (!this.#inForce) return false
    if (!this.#inForce.generation.isAttached()) this.#dirty = true
    return this.#dirty
  }

  /** The next `apply` writes everything. Nobody else writes to these maps, so that they stay, and with them what clients were given. */
  forget(): void {
    this.#again = true
    if (this.#inForce && !this.#inForce.generation.isAttached()) this.#dirty = true
  }

  /** What the kernel holds now, one line a frontend. */
  readBack(): string[] { return this.#inForce?.generation.readBack(this.#options.family) ?? [] }

  /** Detaches: sockets that are connected stay so. */
  close(): void {
    this.#nodeNamespaces.close()
    this.#inForce?.generation.close()
    this.#inForce = undefined
    for (const map of Object.values(this.#kept)) map.close()
  }

  /** True when UDP sockets may be left at endpoints that are none any more. */
  #write({ tables, generation }: InForce, changes: ReadonlyMap<string, Translation | undefined>): boolean {
    const now = performance.now()
    for (const [key, translation] of changes) tables.set(key, translation, now)
    if (this.#again) tables.again()
    const { operations, lost } = tables.take()
    generation.write(operations)
    return lost
  }

  /** A new generation beside the old one, which goes when the new one is at work. */
  #rebuild(ports: readonly ProxiedPort[], options: NodeOptions): void {
    const { family, cgroup } = this.#options, old = this.#inForce
    const all = new Map(ports.flatMap(port => translations(port, options)).map(translation => [translation.key, translation]))
    const room = roomFor(all.values())
    const generation = new Generation(family, room, this.#kept)
    const made = { generation, tables: new Tables(family, room), options, ports }
    try {
      this.#namespaces = { kinds: new Map(), paths: [] }
      this.#readNode(made)
      this.#write(made, all)
      generation.attach(cgroup)
    } catch (error) {
      generation.close()
      this.#namespaces = { kinds: new Map(), paths: [] }
      if (old) this.#readNode(old)
      throw error
    }
    this.#inForce = made
    this.#dirty = this.#again = false
    old?.generation.close()
    if (old) this.#closeLost(made.tables)
  }

  /** The node's addresses and namespaces as they are now. */
  #readNode({ tables, generation, options }: InForce): void {
    tables.setAddresses(nodeAddresses(options, machineAddresses(this.#options.netns)))
    const now = this.#nodeNamespaces.read(), before = this.#namespaces.kinds
    for (const [cookie, kind] of now.kinds) if (before.get(cookie) !== kind) generation.maps.netns.update(u64(cookie), u32(kind))
    for (const cookie of before.keys()) if (!now.kinds.has(cookie)) generation.maps.netns.delete(u64(cookie))
    this.#namespaces = now
  }

  #refresh(): void {
    if (!this.#inForce || this.#dirty) return
    try {
      this.#readNode(this.#inForce)
      this.#write(this.#inForce, new Map())
    } catch (error) {
      this.#dirty = true
      this.#options.log.error('cannot read the network namespaces of this node: packet rules serve new pods meanwhile', error)
    }
  }

  /** UDP has no end of its own: a socket that was led to an endpoint which is gone would send there for ever. */
  #closeLost(tables: Tables): void {
    const { family, log } = this.#options
    for (const path of this.#namespaces.paths) {
      try {
        const diag = openSockDiag(path)
        try {
          for (const socket of diag.connectedUdp(family)) {
            const asked = this.#kept.reverse.lookup(reverseKey(socket.cookie, socket, family))
            if (asked && !tables.leads(socketAddress(asked, family), socket, 'UDP')) diag.destroy(socket)
          }
        } finally { diag.close() }
      } catch (error) {
        if (error instanceof SystemError && error.code === 'ENOENT') continue // the pod is gone
        log.error('cannot close the UDP sockets that are connected to a removed endpoint', error, { netns: path })
      }
    }
  }
}

const machineAddresses = (netns: string | undefined): string[] =>
  Object.values(inNetns(netns, networkInterfaces)).flatMap(list => (list ?? []).map(({ address }) => address))

/** By key; undefined: it is gone. Ports are compared by identity. */
function changedTranslations(before: readonly ProxiedPort[], now: readonly ProxiedPort[], options: NodeOptions): Map<string, Translation | undefined> {
  let start = 0, end = 0
  const most = Math.min(before.length, now.length)
  while (start < most && before[start] === now[start]) start++
  while (end < most - start && before.at(-1 - end) === now.at(-1 - end)) end++
  const was = new Set(before.slice(start, before.length - end)), is = new Set(now.slice(start, now.length - end))
  const changes = new Map<string, Translation | undefined>()
  for (const port of was) if (!is.has(port)) for (const { key } of translations(port, options)) changes.set(key, undefined)
  for (const port of is) if (!was.has(port)) for (const translation of translations(port, options)) changes.set(translation.key, translation)
  return changes
}
