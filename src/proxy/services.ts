// What a proxy needs of a Service: one value per port and IP family, with nothing left to decide but
// the endpoints. Services that no proxy handles (headless, ExternalName, labelled for another proxy)
// give no ports.
import type { Service } from '#api/core/v1.ts'
import { formatCidr, formatIp, parseCidr, parseIp, type Family } from '#net/ip.ts'

export type Protocol = 'TCP' | 'UDP' | 'SCTP'

/** One port of a Service in one IP family: proxy.ServicePort of upstream. */
export interface ServicePort {
  /** `namespace/name:portName`, or `namespace/name` for an unnamed port: hashed into chain names and printed in comments. */
  readonly id: string
  /** `namespace/name`. */
  readonly service: string
  readonly portName: string
  readonly protocol: Protocol
  readonly family: Family
  readonly clusterIP: string
  readonly port: number
  /** 0 when there is none. */
  readonly nodePort: number
  readonly externalIPs: readonly string[]
  /** Addresses of `status.loadBalancer.ingress` whose ipMode is not Proxy. */
  readonly loadBalancerIPs: readonly string[]
  /** CIDRs; empty admits everyone. */
  readonly loadBalancerSourceRanges: readonly string[]
  readonly internalPolicyLocal: boolean
  readonly externalPolicyLocal: boolean
  /** Seconds of ClientIP affinity; 0 for none. */
  readonly affinitySeconds: number
  /** 0 when there is none. */
  readonly healthCheckNodePort: number
  readonly topologyKeys: readonly string[]
}

export const labelServiceProxyName = 'service.kubernetes.io/service-proxy-name'
export const labelHeadless = 'service.kubernetes.io/headless'

/** For lists and watches: what carries another proxy's label never reaches this one. */
export const proxiedSelector = `!${labelServiceProxyName},!${labelHeadless}`

export const isProxied = (labels: Record<string, string> | undefined): boolean =>
  labels?.[labelServiceProxyName] === undefined && labels?.[labelHeadless] === undefined

/** The ports of a Service that a proxy handles; [] when it handles none. */
export function servicePorts(service: Service, family: Family): ServicePort[] {
  const { spec, metadata } = service
  if (!isProxied(metadata.labels) || spec.type === 'ExternalName' || !spec.clusterIP || spec.clusterIP === 'None') return []
  const clusterIP = addresses(spec.clusterIPs?.length ? spec.clusterIPs : [spec.clusterIP], family)[0]
  if (!clusterIP) return []
  const name = `${metadata.namespace}/${metadata.name}`
  const ports = (spec.ports ?? []).filter(port => isPlain(port, name))
  const common = { service: name, family, clusterIP, ...exposure(service, family), ...policies(service) }
  return ports.map(port => ({ ...common,
    id: port.name ? `${name}:${port.name}` : name, portName: port.name ?? '',
    protocol: (port.protocol ?? 'TCP') as Protocol, port: port.port, nodePort: port.nodePort ?? 0 }))
}

const protocols: readonly string[] = ['TCP', 'UDP', 'SCTP']
/** Names are written into rules: an API server that lets through what Kubernetes refuses must not write rules with them. */
const isPlain = ({ name = '', protocol = 'TCP', port, nodePort = 0 }: { name?: string; protocol?: string; port: number; nodePort?: number }, service: string): boolean =>
  /^[a-z0-9./-]+$/.test(service) && /^[A-Za-z0-9-]*$/.test(name) && protocols.includes(protocol) && [port, nodePort].every(number => Number.isInteger(number) && number >= 0 && number <= 65535)

/** Whether anything but the cluster IP leads to the port (ServicePort.ExternallyAccessible). */
export const externallyAccessible = (port: ServicePort): boolean =>
  port.nodePort !== 0 || port.externalIPs.length > 0 || port.loadBalancerIPs.length > 0

/** ServicePort.UsesClusterEndpoints: external access needs them even under policy Local, for the node's own traffic. */
export const usesClusterEndpoints = (port: ServicePort): boolean => !port.internalPolicyLocal || externallyAccessible(port)

export const usesLocalEndpoints = (port: ServicePort): boolean =>
  port.internalPolicyLocal || (port.externalPolicyLocal && externallyAccessible(port))

function exposure({ spec, status }: Service, family: Family) {
  const isLoadBalancer = spec.type === 'LoadBalancer'
  const ingress = isLoadBalancer ? status?.loadBalancer?.ingress ?? [] : []
  return {
    externalIPs: addresses(spec.externalIPs ?? [], family),
    loadBalancerIPs: addresses(ingress.flatMap(({ ip, ipMode }) => ip && ipMode !== 'Proxy' ? [ip] : []), family),
    loadBalancerSourceRanges: isLoadBalancer ? ranges(spec.loadBalancerSourceRanges ?? [], family) : [],
  }
}

function policies({ spec }: Service) {
  const external = spec.type === 'NodePort' || spec.type === 'LoadBalancer' || (spec.externalIPs?.length ?? 0) > 0
  return {
    internalPolicyLocal: spec.internalTrafficPolicy === 'Local',
    externalPolicyLocal: external && spec.externalTrafficPolicy === 'Local',
    affinitySeconds: spec.sessionAffinity === 'ClientIP' ? spec.sessionAffinityConfig?.clientIP?.timeoutSeconds ?? 10800 : 0,
    healthCheckNodePort: spec.type === 'LoadBalancer' && spec.externalTrafficPolicy === 'Local' ? spec.healthCheckNodePort ?? 0 : 0,
    topologyKeys: spec.topologyKeys ?? [],
  }
}

/** The addresses of one family in their one canonical spelling; what is no address is left out. */
const addresses = (texts: readonly string[], family: Family): string[] => [...new Set(texts.flatMap(text => {
  const ip = parseIp(text.trim())
  return ip?.family === family ? [formatIp(ip)] : []
}))]

const ranges = (texts: readonly string[], family: Family): string[] => [...new Set(texts.flatMap(text => {
  const cidr = parseCidr(text.trim())
  return cidr?.base.family === family ? [formatCidr(cidr)] : []
}))]
