// Brings iptables to a ruleset: everything the first time and after any failure or flush, later only
// what differs. Decides nothing about Services; retrying and timing are the caller's.
import type { Iptables } from '#host/iptables.ts'
import type { Log } from '#lib/log.ts'
import { cleanupText } from './cleanup.ts'
import { chains, isServiceChain } from './names.ts'
import { changeText, fullText, tables, type Jump, type Ruleset, type Table } from './ruleset.ts'
import { missingJumps, parseSaved, type SavedTable } from './saved.ts'

export interface Applied {
  /** `none`: the kernel already has it. */
  readonly sync: 'full' | 'partial' | 'none'
  /** What was given to iptables-restore. */
  readonly text: string
  /** A partial sync was tried first and failed. */
  readonly partialFailed: boolean
}

export interface ApplierOptions { readonly jumps: readonly Jump[]; readonly log: Log }

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
    const staleChains = [...saved.nat.chains].filter(chain => isServiceChain(chain) && !wanted.has(chain))
    const text = fullText(ruleset, { jumps: missingJumps(saved, this.#options.jumps), staleChains })
    await this.#restore(text, ruleset)
    return { sync: 'full', text, partialFailed }
  }

  /** Whether the tables were flushed behind our back; the next `apply` then writes everything. */
  async checkFlushed(): Promise<boolean> {
    if (!this.#applied) return false
    const present = await Promise.all(tables.map(table => this.#iptables.hasChain(table, chains.canary)))
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

async function saveAll(iptables: Iptables): Promise<Record<Table, SavedTable>> {
  const [filter, nat, mangle] = await Promise.all(tables.map(async table => parseSaved(await iptables.save(table))))
  return { filter: filter!, nat: nat!, mangle: mangle! }
}

/** Removes every rule and chain that a kube-proxy in iptables mode made, and nothing else. */
export async function cleanup(iptables: Iptables, jumps: readonly Jump[]): Promise<void> {
  const text = cleanupText(await saveAll(iptables), jumps)
  if (text) await iptables.restore(text)
}
