// iptables of this network namespace, through its own commands. One value per IP family. Which of
// the two implementations (nft, legacy) is used is decided once, as the rules in force say.
import { readFileSync } from 'node:fs'
import type { Family } from '#net/ip.ts'
import { CommandError } from '#lib/errors.ts'
import { run } from './run.ts'

export interface Iptables {
  readonly family: Family
  /** `iptables`, `ip6tables-legacy`, ...: for messages. */
  readonly command: string
  /** Whether MASQUERADE knows --random-fully (iptables 1.6.2). */
  readonly randomFully: boolean
  /** One table in iptables-save's text, without counters. */
  save(table: string): Promise<string>
  /** Applies a text of iptables-restore's, leaving alone what it does not mention; each table changes at once or, when the command fails, not at all. */
  restore(text: string): Promise<void>
  hasChain(table: string, chain: string): Promise<boolean>
}

/** Seconds to wait for the lock that every iptables command takes. */
const wait = ['-w', '5']

/** `undefined` where the family has no iptables here: no command, or a kernel without it. `netns` is the path of a network namespace other than our own. */
export async function findIptables(family: Family, netns?: string): Promise<Iptables | undefined> {
  const base = family === 4 ? 'iptables' : 'ip6tables'
  const command = await commandInUse(base, netns)
  const version = await tryRun([command, '--version'], netns)
  if (version === undefined || await tryRun([command, ...wait, '-t', 'nat', '-S', 'POSTROUTING'], netns) === undefined) return undefined
  return iptables(family, command, { randomFully: atLeast(version, [1, 6, 2]), ...netns && { netns } })
}

/** The given command, whatever else is there; `netns` is the path of a network namespace other than our own. */
export const iptables = (family: Family, command: string, { randomFully = true, netns }: { randomFully?: boolean; netns?: string } = {}): Iptables => ({
  family, command, randomFully,
  save: async table => (await run([`${command}-save`, '-t', table], { netns })).stdout,
  restore: async text => { await run([`${command}-restore`, ...wait, '--noflush'], { input: text, netns }) },
  hasChain: async (table, chain) => await tryRun([command, ...wait, '-t', table, '-S', chain], netns) !== undefined,
})

/**
 * The implementation that already holds Kubernetes's rules (a kubelet's, or an earlier proxy's), as
 * two proxies in different ones would fight; else the system's choice.
 */
async function commandInUse(base: string, netns: string | undefined): Promise<string> {
  if (await hasLegacyTables(base, netns) && await holdsKubernetes(`${base}-legacy`, netns)) return `${base}-legacy`
  if (await holdsKubernetes(`${base}-nft`, netns)) return `${base}-nft`
  return base
}

/** Asking iptables-legacy would create its tables; this does not. */
async function hasLegacyTables(base: string, netns: string | undefined): Promise<boolean> {
  const file = base === 'iptables' ? '/proc/net/ip_tables_names' : '/proc/net/ip6_tables_names'
  if (netns) return Boolean((await tryRun(['cat', file], netns))?.trim())
  try { return readFileSync(file, 'utf8').trim() !== '' } catch { return false }
}

const holdsKubernetes = async (command: string, netns: string | undefined): Promise<boolean> =>
  /^:KUBE-(IPTABLES-HINT|KUBELET-CANARY|PROXY-CANARY|PORTALS-CANARY|IPVS-CANARY) /m.test(await tryRun([`${command}-save`, '-t', 'mangle'], netns) ?? '')

async function tryRun(argv: string[], netns?: string): Promise<string | undefined> {
  try { return (await run(argv, { netns })).stdout } catch (error) {
    if (error instanceof CommandError) return undefined
    throw error
  }
}

function atLeast(versionText: string, wanted: readonly number[]): boolean {
  const version = /v(\d+)\.(\d+)\.(\d+)/.exec(versionText)?.slice(1).map(Number) ?? []
  for (const [i, part] of wanted.entries()) if ((version[i] ?? 0) !== part) return (version[i] ?? 0) > part
  return true
}
