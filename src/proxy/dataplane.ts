// What a proxy mode is to the rest of the proxy: the one interface behind which userspace, iptables,
// ipvs, nftables and ebpf stand. Types only. Each mode's folder has an `apply.ts` that exports a
// `ModeModule` by the names below; modes.ts loads it when it is needed and not before.
import type { Log } from '#lib/log.ts'
import type { Family } from '#net/ip.ts'
import type { ProxyConfig } from './config.ts'
import type { Metrics } from './metrics.ts'
import type { Mode } from './mode.ts'
import type { ProxiedPort } from './state.ts'

/** How the packets of this node's own pods are told from others. */
export type LocalTraffic =
  | { readonly by: 'source'; readonly cidr: string }
  | { readonly by: 'interface'; readonly name: string }
  /** Interfaces whose name starts so. */
  | { readonly by: 'interfacePrefix'; readonly prefix: string }

/** What rules depend on besides Services: settings of the proxy and facts about the node. Compared by value: when it changes, everything is applied anew. */
export interface NodeOptions {
  readonly family: Family
  readonly masqueradeAll: boolean
  /** 0 to 31; kube-proxy's is 14 (mark 0x4000). */
  readonly masqueradeBit: number
  /** undefined when the configuration does not say: nothing is then masqueraded for being foreign. */
  readonly localTraffic?: LocalTraffic
  /** 'all', or those of the node's addresses that serve NodePorts, sorted. */
  readonly nodePortAddresses: 'all' | readonly string[]
  /** Whether NodePorts are to work on 127.0.0.1 as well (IPv4), with the guard against CVE-2020-8558. */
  readonly localhostNodePorts: boolean
  /** conntrack.tcpBeLiberal: packets in state INVALID are then left alone. */
  readonly tcpBeLiberal: boolean
  /** The node's own address: a source range that holds it also admits the load balancer's addresses. */
  readonly nodeIP: string | undefined
}

export interface Applied {
  /** `none`: the kernel already has it. */
  readonly sync: 'full' | 'partial' | 'none'
  /** A partial sync was tried first and failed. */
  readonly partialFailed: boolean
}

/** One mode at work for one IP family. Calls never overlap. */
export interface DataPlane {
  readonly family: Family
  /** Whether packets are translated to the endpoints themselves, so that conntrack holds UDP flows that must be deleted with their endpoint. */
  readonly usesConntrack: boolean
  /**
   * Brings the kernel from what this plane last applied to `ports` (everything the first time, after any failure and after
   * `forget`). An unchanged port is the same object as at the last call. When it rejects, what was in force before still is.
   * The plane counts its own failures and figures (`PlaneContext.metrics`); durations are the caller's.
   */
  apply(ports: readonly ProxiedPort[], options: NodeOptions): Promise<Applied>
  /** True when another program removed what was in force; the next `apply` then writes everything. Called every sync period. */
  checkFlushed(): Promise<boolean>
  /** The next `apply` writes everything. */
  forget(): void
  /** The process ends. Rules in the kernel stay so that connections outlive it, except those that would lead to this process. */
  stop(): Promise<void>
}

export interface PlaneContext {
  readonly family: Family
  readonly config: ProxyConfig
  readonly nodeName: string
  readonly log: Log
  readonly metrics: Metrics
  /** Goes with every metric: `{ ip_family: 'IPv4' }`. */
  readonly labels: Readonly<Record<string, string>>
  /** The path of a network namespace to work in, other than our own: for tests and benchmarks. */
  readonly netns?: string
}

export interface CleanupContext {
  readonly log: Log
  /** The mode that has just taken over; what it shares with the one that goes stays (chains of the same name). undefined: no mode will run. */
  readonly inForce: Mode | undefined
  readonly config: ProxyConfig
  readonly netns?: string
}

/** What `<mode>/apply.ts` exports. */
export interface ModeModule {
  /** What a machine must have, in words, for the table in the README and the refusal: tools, rights, kernel. */
  readonly needs: string
  /** The mode whose rules are also this mode's: they stay while this one runs. */
  readonly uses?: Mode
  /** A plane for one IP family, or in one sentence why there can be none on this machine (a missing tool, a right, the kernel) and what to do. Changes nothing yet. */
  create(context: PlaneContext): Promise<DataPlane | Refusal>
  /** Removes all that the mode ever made, of both IP families, also what an older version or upstream's kube-proxy in that mode left; nothing of others. Quick and silent where there is nothing, or where the tool is missing. */
  cleanup(context: CleanupContext): Promise<void>
}

export interface Refusal { readonly refused: string }
