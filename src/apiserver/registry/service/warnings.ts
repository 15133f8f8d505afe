// What is allowed in a Service and probably not meant (GetWarningsForService).
import type { Service } from '#api/core/v1.ts'
import { isHeadless } from './needs.ts'

export function warnings(service: Service): string[] {
  const { spec, metadata } = service
  const external = (spec.externalIPs?.length ?? 0) > 0
  const isExternalName = spec.type === 'ExternalName'
  const found: string[] = []
  if (metadata.annotations?.['service.kubernetes.io/topology-aware-hints'] !== undefined)
    found.push('annotation service.kubernetes.io/topology-aware-hints is deprecated, please use service.kubernetes.io/topology-mode instead')
  if (spec.type === 'ClusterIP' && isHeadless(service)) {
    if (spec.loadBalancerIP) found.push('spec.loadBalancerIP is ignored for headless services')
    if (external) found.push('spec.externalIPs is ignored for headless services')
    if (spec.sessionAffinity !== 'None') found.push('spec.SessionAffinity is ignored for headless services')
  } else if (external && !isExternalName) {
    found.push('spec.externalIPs is deprecated and may no longer be implemented in some clusters')
  }
  if (isExternalName && external) found.push('spec.externalIPs is ignored when spec.type is "ExternalName"')
  if (!isExternalName && spec.externalName) found.push('spec.externalName is ignored when spec.type is not "ExternalName"')
  if (spec.trafficDistribution === 'PreferClose') found.push('spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone"')
  return found
}
