// The texts that remove everything a kube-proxy in ipvs mode made, ours or upstream's.
import type { Mode } from '../mode.ts'
import { removal } from '../iptables/cleanup.ts'
import { tables, type Table } from '../iptables/ruleset.ts'
import type { SavedTable } from '../iptables/saved.ts'
import { chains, oldSets, setIds, setName } from './names.ts'
import { addressOf } from './servers.ts'

/** For `ipvsadm -R`; '' when there is nothing. Without the device no virtual server can be this mode's. */
export function cleanupServers(saved: string, { hasDevice, isOurs }: { hasDevice: boolean; isOurs: (address: string) => boolean }): string {
  if (!hasDevice) return ''
  return [...saved.matchAll(/^-A ((?:-t|-u|--sctp-service) \S+)/gm)].map(([, key]) => key!).filter(key => isOurs(addressOf(key))).map(key => `-D ${key}\n`).join('')
}

const { services, loadBalancer, nodePort, postrouting, markMasq, forward, proxyFirewall, sourceRanges, ipvsFilter, ipvsOutFilter, localClients, kubeletFirewall, canary } = chains
const ours: Record<Table, readonly string[]> = {
  nat: [services, postrouting, nodePort, loadBalancer, markMasq, localClients, canary],
  filter: [forward, nodePort, proxyFirewall, sourceRanges, ipvsFilter, ipvsOutFilter, canary],
  mangle: [canary],
}
const builtins = ['PREROUTING', 'INPUT', 'FORWARD', 'OUTPUT', 'POSTROUTING']
/** Chains that the iptables mode has by the same names; it rewrites what is in them. */
const sharedWithIptables = [`nat ${services}`, `nat ${postrouting}`, `nat ${markMasq}`, `filter ${forward}`, `filter ${proxyFirewall}`, `filter ${kubeletFirewall}`]

/** For iptables-restore; '' when there is nothing. Only for tables that hold chains of this mode alone: else KUBE-SERVICES and the like are another's. */
export function cleanupRules(saved: Readonly<Record<Table, SavedTable>>, inForce: Mode | undefined): string {
  const keep = inForce === 'iptables' ? sharedWithIptables : []
  const hasKubelet = saved.mangle.chains.has('KUBE-KUBELET-CANARY')
  return tables.map(table => {
    const doomed = [...ours[table], ...table === 'filter' && !hasKubelet ? [kubeletFirewall] : []].filter(chain => !keep.includes(`${table} ${chain}`))
    // From wherever: the iptables mode before us may have left one that leads into a chain of both.
    const jumps = builtins.flatMap(from => doomed.map(chain => ({ table, from, rule: `-j ${chain}` })))
    return removal(table, saved[table], { jumps, isOurs: chain => doomed.includes(chain) })
  }).join('')
}

/** For `ipset restore`, once no rule refers to the sets; '' when there is nothing. */
export function cleanupSets(saved: string): string {
  const names = new Set<string>([...oldSets, ...setIds.flatMap(id => [setName(id, 4), setName(id, 6)])])
  return [...saved.matchAll(/^create (\S+) /gm)].map(([, name]) => name!).filter(name => names.has(name)).map(name => `destroy ${name}\n`).join('')
}
