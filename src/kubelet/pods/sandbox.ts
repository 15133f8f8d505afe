// The sandbox that a pod's spec asks for: upstream's generatePodSandboxConfig. Pure.
import type { Pod } from '#api/core/v1.ts'
import type { PodSandboxConfig } from '../runtime/cri.ts'
import { podDns, type DnsSettings } from './dns.ts'
import { podHosts, podName } from './hosts.ts'

export interface SandboxSettings extends DnsSettings {
  readonly nodeName: string
  /** Text of the node's /etc/hosts, for pods on its network. */
  readonly nodeHosts: string
}

/** `warnings` are texts of the event DNSConfigForming. */
export function sandboxConfig(pod: Pod, attempt: number, settings: SandboxSettings): { config: PodSandboxConfig; warnings: readonly string[] } {
  const { spec, metadata } = pod
  const dns = podDns(pod, settings)
  const name = podName(pod, settings.clusterDomain)
  const config: PodSandboxConfig = {
    namespace: metadata.namespace!, name: metadata.name, uid: metadata.uid!, attempt,
    hostname: spec.hostNetwork && !spec.hostnameOverride ? settings.nodeName : name.hostname,
    labels: metadata.labels ?? {},
    hostNetwork: spec.hostNetwork === true,
    hostPid: spec.hostPID === true,
    resolvConf: dns.resolvConf,
    hosts: podHosts(pod, name, settings.nodeHosts),
    sysctls: Object.fromEntries((spec.securityContext?.sysctls ?? []).map(({ name, value }) => [name, value])),
    portMappings: spec.hostNetwork ? [] : portMappings(pod),
  }
  return { config, warnings: dns.warnings }
}

function portMappings(pod: Pod): PodSandboxConfig['portMappings'] {
  const sidecars = (pod.spec.initContainers ?? []).filter(({ restartPolicy }) => restartPolicy === 'Always')
  return [...sidecars, ...pod.spec.containers].flatMap(({ ports }) => ports ?? []).filter(port => port.hostPort)
    .map(port => ({ hostIp: port.hostIP ?? '', hostPort: port.hostPort!, containerPort: port.containerPort, protocol: (port.protocol ?? 'TCP') as 'TCP' | 'UDP' | 'SCTP' }))
}
