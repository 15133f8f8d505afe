// The iptables mode at work. The applier brings iptables to a ruleset: everything the first time and
// after any failure or flush, later only what differs. The plane is one IP family of the proxy.
// Decides nothing about Services; retrying and timing are the caller's.
import { findIptables, type Iptables } from '#host/iptables.ts'
import { equal } from '#lib/equal.ts'
import type { Log } from '#lib/log.ts'
import type { Applied as PlaneApplied, CleanupContext, DataPlane, NodeOptions, PlaneContext, Refusal } from '../dataplane.ts'
import type { ProxiedPort } from '../state.ts'
import { cleanupText } from './cleanup.ts'
import { chains, isServiceChain } from './names.ts'
import { iptablesOptions } from './options.ts'
import { jumps, ruleGenerator } from './rules.ts'
import { changeText, fullText, ruleCount, tables, type Jump, type Ruleset, type Table } from './ruleset.ts'
import { missingJumps, parseSaved, type SavedTable } from './saved.ts'

export interface Applied {
  /** `none`: the kernel already has it. */
  readonly sync: 'full' | 'partial' | 'none'
  /** What was given to iptables-restore. */
  readonly text: string
  /** A partial sync was tried first and failed. */
  readonly partialFailed: boolean
}

export interface ApplierOptions {
  readonly jumps: readonly Jump[]
  readonly log: Log
  /** The empty chain that stands in each table of the ruleset; this mode's unless told. */
  readonly canary?: string
  /** Whether a chain of the nat table is this mode's and may be deleted when the ruleset has it no more. */
  readonly isOwned?: (chain: string) => boolean
}

export class IptablesApplier {
  readonly #iptables: Iptables
  readonly #options: ApplierOptions
  /** What the kernel holds; undefined when not known. */
  #applied: Ruleset | undefined

  constructor(iptables: Iptables, options: ApplierOptions) {
    this.#iptables = iptables
    this.#options = options
  }

  /** Not to be called again before it has settled. When it rejects, the rules in force are still the old ones or, table by table, the new. */
  async apply(ruleset: Ruleset): Promise<Applied> {
    let partialFailed = false
    if (this.#applied) {
      const text = changeText(this.#applied, ruleset)
      if (text === '') { this.#applied = ruleset; return { sync: 'none', text, partialFailed } }
      try {
        await this.#restore(text, ruleset)
        return { sync: 'partial', text, partialFailed }
      } catch (error) {
        partialFailed = true
        this.#options.log.warn('a partial sync failed: writing all rules anew', { command: this.#iptables.command, err: error })
      }
    }
    const saved = await this.#save()
    const wanted = new Set([...ruleset.owned.values()].flatMap(owned => [...owned.keys()]))
    const isOwned = this.#options.isOwned ?? isServiceChain
    const staleChains = [...saved.nat.chains].filter(chain => isOwned(chain) && !wanted.has(chain))
    const text = fullText(ruleset, { jumps: missingJumps(saved, this.#options.jumps), staleChains })
    await this.#restore(text, ruleset)
    return { sync: 'full', text, partialFailed }
  }

  /** Whether the tables were flushed behind our back; the next `apply` then writes everything. */
  async checkFlushed(): Promise<boolean> {
    if (!this.#applied) return false
    const present = await Promise.all(tables.map(table => this.#iptables.hasChain(table, this.#options.canary ?? chains.canary)))
    if (present.every(Boolean)) return false
    this.forget()
    return true
  }

  /** The next `apply` writes everything. */
  forget(): void { this.#applied = undefined }

  async #restore(text: string, ruleset: Ruleset): Promise<void> {
    this.#applied = undefined
    await this.#iptables.restore(text)
    this.#applied = ruleset
  }

  #save(): Promise<Record<Table, SavedTable>> { return saveAll(this.#iptables) }
}

export async function saveAll(iptables: Iptables): Promise<Record<Table, SavedTable>> {
  const [filter, nat, mangle] = await Promise.all(tables.map(async table => parseSaved(await iptables.save(table))))
  return { filter: filter!, nat: nat!, mangle: mangle! }
}

/** Removes every rule and chain that a kube-proxy in iptables mode made, and nothing else; `keep` as in cleanupText. */
export async function cleanupTables(iptables: Iptables, jumps: readonly Jump[], keep: readonly string[] = []): Promise<void> {
  const text = cleanupText(await saveAll(iptables), jumps, keep)
  if (text) await iptables.restore(text)
}

export const needs = 'root or CAP_NET_ADMIN; the command iptables (nft or legacy), ip6tables for IPv6'

export async function create(context: PlaneContext): Promise<DataPlane | Refusal> {
  const { family, netns, log } = context
  const found = await findIptables(family, netns)
  if (!found) return { refused: `${family === 4 ? 'iptables' : 'ip6tables'} does not work here: install it (apt install iptables) and run as root or with CAP_NET_ADMIN` }
  log.info('using iptables', { ...context.labels, command: found.command })
  return new IptablesPlane(found, context)
}

export async function cleanup({ inForce, netns }: CleanupContext): Promise<void> {
  const found = await Promise.all(([4, 6] as const).map(family => findIptables(family, netns)))
  for (const each of found) {
    if (!each) continue
    await cleanupTables(each, jumps({ family: each.family, localhostNodePorts: true }), inForce === 'ipvs' ? sharedWithIpvs : [])
  }
}
/** Chains that the ipvs mode has by the same names (upstream's); it rewrites what is in them. */
const sharedWithIpvs = ['nat KUBE-SERVICES', 'nat KUBE-POSTROUTING', 'nat KUBE-MARK-MASQ', 'filter KUBE-FORWARD', 'filter KUBE-PROXY-FIREWALL', 'filter KUBE-FIREWALL']

export type IptablesPlaneContext = Pick<PlaneContext, 'config' | 'metrics' | 'labels' | 'log'>

export class IptablesPlane implements DataPlane {
  readonly family
  readonly usesConntrack = true
  readonly #context: IptablesPlaneContext
  readonly #iptables: Iptables
  readonly #applier: IptablesApplier
  #options: NodeOptions | undefined
  #generate: (ports: readonly ProxiedPort[]) => Ruleset = () => { throw new Error('no options yet') }

  constructor(iptables: Iptables, context: IptablesPlaneContext) {
    this.#iptables = iptables
    this.#context = context
    this.family = iptables.family
    const { localhostNodePorts } = context.config
    this.#applier = new IptablesApplier(iptables, { jumps: jumps({ family: iptables.family, localhostNodePorts }), log: context.log })
  }

  async apply(ports: readonly ProxiedPort[], options: NodeOptions): Promise<PlaneApplied> {
    const { metrics, labels } = this.#context
    if (!equal(options, this.#options)) {
      this.#options = options
      this.#generate = ruleGenerator(iptablesOptions(options, this.#iptables.randomFully))
    }
    const ruleset = this.#generate(ports)
    try {
      const applied = await this.#applier.apply(ruleset)
      this.#record(applied, ruleset)
      return applied
    } catch (error) {
      metrics.add('sync_proxy_rules_iptables_restore_failures_total', labels)
      throw error
    }
  }

  checkFlushed(): Promise<boolean> { return this.#applier.checkFlushed() }
  forget(): void { this.#applier.forget() }
  async stop(): Promise<void> {}

  #record({ text, partialFailed }: Applied, ruleset: Ruleset): void {
    const { metrics, labels } = this.#context
    if (partialFailed) metrics.add('sync_proxy_rules_iptables_partial_restore_failures_total', labels)
    const total = ruleCount(ruleset), last = writtenRules(text)
    for (const table of ['filter', 'nat'] as const) {
      metrics.set('sync_proxy_rules_iptables_total', total[table], { ...labels, table })
      metrics.set('sync_proxy_rules_iptables_last', last[table] ?? 0, { ...labels, table })
    }
  }
}

function writtenRules(text: string): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const part of text.split(/^\*/m)) counts[part.slice(0, part.indexOf('\n'))] = (part.match(/^-[AI] /gm) ?? []).length
  return counts
}
