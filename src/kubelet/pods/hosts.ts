// A pod's name and its /etc/hosts: upstream's GeneratePodHostNameAndDomain and managedHostsFileContent.
// Pure. `$POD_IP` stands for the address that the runtime gives the sandbox.
import type { Pod } from '#api/core/v1.ts'

export interface PodName {
  readonly hostname: string
  /** `<subdomain>.<namespace>.svc.<cluster domain>`; empty without a subdomain. */
  readonly domain: string
}

const maxHostname = 63 // HOST_NAME_MAX is 64 on Linux with the terminating zero

/** Throws when setHostnameAsFQDN asks for a name that the kernel cannot hold. */
export function podName(pod: Pod, clusterDomain: string): PodName {
  const { spec, metadata } = pod
  if (spec.hostnameOverride) return { hostname: spec.hostnameOverride, domain: '' }
  const short = (spec.hostname || metadata.name).slice(0, maxHostname).replace(/[-.]+$/, '')
  const domain = spec.subdomain ? `${spec.subdomain}.${metadata.namespace}.svc.${clusterDomain}` : ''
  if (!spec.setHostnameAsFQDN || !domain) return { hostname: short, domain }
  const full = `${short}.${domain}`
  if (full.length > 64) throw new Error(`failed to construct FQDN from Pod hostname and cluster domain, FQDN ${full} is too long (64 characters is the max, ${full.length} characters requested)`)
  return { hostname: full, domain }
}

export function podHosts(pod: Pod, name: PodName, nodeHosts: string): string {
  const aliases = hostAliases(pod)
  if (pod.spec.hostNetwork) return `# Kubernetes-managed hosts file (host network).\n${nodeHosts}${aliases}`
  const short = name.domain && name.hostname.endsWith(name.domain) ? name.hostname.slice(0, -name.domain.length - 1) : name.hostname
  const own = name.domain ? `$POD_IP\t${short}.${name.domain}\t${short}` : `$POD_IP\t${short}`
  return `# Kubernetes-managed hosts file.
127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::0\tip6-localnet
fe00::0\tip6-mcastprefix
fe00::1\tip6-allnodes
fe00::2\tip6-allrouters
${own}
${aliases}`
}

function hostAliases(pod: Pod): string {
  const lines = (pod.spec.hostAliases ?? []).map(({ ip, hostnames }) => `${ip}\t${(hostnames ?? []).join('\t')}\n`)
  return lines.length ? `\n# Entries added by HostAliases.\n${lines.join('')}` : ''
}
