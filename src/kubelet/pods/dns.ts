// A pod's resolv.conf from its dnsPolicy and dnsConfig: upstream's kubelet/network/dns. Pure; the
// node's own resolv.conf comes in as text.
import type { Pod } from '#api/core/v1.ts'

export interface DnsSettings {
  readonly clusterDns: readonly string[]
  readonly clusterDomain: string
  /** Text of the node's /etc/resolv.conf. */
  readonly nodeResolvConf: string
}
export interface DnsConfig { readonly nameservers: readonly string[]; readonly searches: readonly string[]; readonly options: readonly string[] }
export interface PodDns {
  readonly resolvConf: string
  /** Texts of the event DNSConfigForming: what had to be left out. */
  readonly warnings: readonly string[]
}

// validation.MaxDNSNameservers, MaxDNSSearchPaths, MaxDNSSearchListChars
const maxNameservers = 3, maxSearches = 32, maxSearchChars = 2048
const defaultOptions = ['ndots:5']

export function podDns(pod: Pod, settings: DnsSettings): PodDns {
  const merged = mergeDnsConfig(baseConfig(pod, settings), pod)
  return limit(merged)
}

/** Which of the four policies holds: ClusterFirst on the host network falls back to Default. */
function baseConfig(pod: Pod, settings: DnsSettings): DnsConfig {
  const policy = pod.spec.dnsPolicy ?? 'ClusterFirst'
  const node = parseResolvConf(settings.nodeResolvConf)
  if (policy === 'None') return { nameservers: [], searches: [], options: [] }
  const cluster = policy === 'ClusterFirstWithHostNet' || (policy === 'ClusterFirst' && !pod.spec.hostNetwork)
  if (!cluster || settings.clusterDns.length === 0) return node
  const { clusterDomain: domain } = settings
  const own = domain ? [`${pod.metadata.namespace}.svc.${domain}`, `svc.${domain}`, domain] : []
  return { nameservers: settings.clusterDns, searches: unique([...own, ...node.searches]), options: defaultOptions }
}

/** appendDNSConfig: nameservers and searches are appended, options override by name. */
function mergeDnsConfig(base: DnsConfig, pod: Pod): DnsConfig {
  const extra = pod.spec.dnsConfig
  if (!extra) return base
  const options = new Map(base.options.map(option => [option.split(':')[0]!, option]))
  for (const { name, value } of extra.options ?? []) if (name) options.set(name, value ? `${name}:${value}` : name)
  return {
    nameservers: unique([...base.nameservers, ...extra.nameservers ?? []]),
    searches: unique([...base.searches, ...extra.searches ?? []]),
    options: [...options.values()],
  }
}

function limit(config: DnsConfig): PodDns {
  const warnings: string[] = []
  const nameservers = config.nameservers.slice(0, maxNameservers)
  if (nameservers.length < config.nameservers.length)
    warnings.push(`Nameserver limits were exceeded, some nameservers have been omitted, the applied nameserver line is: ${nameservers.join(' ')}`)
  let searches = config.searches.slice(0, maxSearches)
  while (searches.join(' ').length > maxSearchChars) searches = searches.slice(0, -1)
  if (searches.length < config.searches.length)
    warnings.push(`Search Line limits were exceeded, some search paths have been omitted, the applied search line is: ${searches.join(' ')}`)
  return { resolvConf: resolvConf({ nameservers, searches, options: config.options }), warnings }
}

export function resolvConf({ nameservers, searches, options }: DnsConfig): string {
  return [
    ...(searches.length ? [`search ${searches.join(' ')}`] : []),
    ...nameservers.map(nameserver => `nameserver ${nameserver}`),
    ...(options.length ? [`options ${options.join(' ')}`] : []),
    '',
  ].join('\n')
}

/** resolv.conf(5): the last search or domain line counts, comments start with # or ;. */
export function parseResolvConf(text: string): DnsConfig {
  const nameservers: string[] = []
  let searches: string[] = [], options: string[] = []
  for (const line of text.split('\n')) {
    const [word, ...rest] = line.trim().split(/\s+/)
    if (word === 'nameserver' && rest[0]) nameservers.push(rest[0])
    else if (word === 'search' || word === 'domain') searches = rest.map(name => name.length > 1 ? name.replace(/\.$/, '') : name)
    else if (word === 'options') options = rest
  }
  return { nameservers, searches, options }
}

const unique = (items: readonly string[]) => [...new Set(items)]
