// The text that removes everything a kube-proxy in iptables mode made.
import { chains, isServiceChain } from './names.ts'
import { tables, type Jump, type Table } from './ruleset.ts'
import { rulesOfJump, targetOf, type SavedTable } from './saved.ts'

const ours: Record<Table, readonly string[]> = {
  filter: [chains.services, chains.externalServices, chains.forward, chains.nodePorts, chains.proxyFirewall, chains.canary],
  nat: [chains.services, chains.nodePorts, chains.postrouting, chains.markMasq, chains.canary],
  mangle: [chains.canary],
}

/** '' when there is nothing to remove. `keep` are chains (`nat KUBE-SERVICES`) that another mode has taken over, with the jumps to them. */
export function cleanupText(saved: Readonly<Record<Table, SavedTable>>, jumps: readonly Jump[], keep: readonly string[] = []): string {
  // The kubelet keeps KUBE-FIREWALL where there is one; without one only a proxy can have made it.
  const hasKubelet = saved.mangle.chains.has('KUBE-KUBELET-CANARY')
  return tables.map(table => {
    const doomed = [...ours[table], ...table === 'filter' && !hasKubelet ? [chains.kubeletFirewall] : []]
    const isOurs = (chain: string) => (doomed.includes(chain) && !keep.includes(`${table} ${chain}`)) || (table === 'nat' && isServiceChain(chain))
    return removal(table, saved[table], { jumps: jumps.filter(jump => jump.table === table), isOurs })
  }).join('')
}

/** One table's part of such a text, for the chains that `isOurs` says; '' when there is none. */
export function removal(table: Table, saved: SavedTable, { jumps, isOurs }: { jumps: readonly Jump[]; isOurs: (chain: string) => boolean }): string {
  const unlink = new Set(jumps.flatMap(jump => isOurs(targetOf(jump.rule)!) ? rulesOfJump(saved, jump) : []))
  // A chain that somebody else's rule leads to stays as it is: KUBE-MARK-MASQ of a host port plugin.
  const needed = new Set(saved.rules.filter(rule => !unlink.has(rule) && !isOurs(rule.split(' ')[1]!)).map(targetOf))
  const gone = [...saved.chains].filter(chain => isOurs(chain) && !needed.has(chain))
  if (gone.length === 0 && unlink.size === 0) return ''
  return [`*${table}`, ...gone.map(chain => `:${chain} - [0:0]`),
    ...[...unlink].map(rule => rule.replace(/^-A/, '-D')), ...gone.map(chain => `-X ${chain}`), 'COMMIT', ''].join('\n')
}
