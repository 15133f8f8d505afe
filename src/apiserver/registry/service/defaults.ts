// What Kubernetes fills into a Service, and what an update keeps or drops so that a client may send back
// less than it got (SetDefaults_Service, patchAllocatedValues, dropTypeDependentFields).
import type { Service } from '#api/core/v1.ts'
import { equal } from '#lib/equal.ts'
import { mayHoldNodePorts, needsClusterIP, needsExternalTrafficPolicy, needsHealthCheck } from './needs.ts'

const affinitySeconds = 10800

export function defaults(service: Service): void {
  const { spec } = service
  spec.type ||= 'ClusterIP'
  spec.sessionAffinity ||= 'None'
  if (spec.sessionAffinity === 'None') delete spec.sessionAffinityConfig
  if (spec.sessionAffinity === 'ClientIP' && spec.sessionAffinityConfig?.clientIP?.timeoutSeconds === undefined)
    spec.sessionAffinityConfig = { clientIP: { timeoutSeconds: affinitySeconds } }
  for (const port of spec.ports ?? []) {
    port.protocol ||= 'TCP'
    // A zero port is as good as none: the validation reports it.
    if (!port.targetPort) port.targetPort = port.port ?? 0
  }
  if (needsExternalTrafficPolicy(service)) spec.externalTrafficPolicy ||= 'Cluster'
  if (needsClusterIP(service)) spec.internalTrafficPolicy ||= 'Cluster'
  if (spec.type === 'LoadBalancer') spec.allocateLoadBalancerNodePorts ??= true
  for (const ingress of service.status?.loadBalancer?.ingress ?? []) if (ingress.ip) ingress.ipMode ||= 'VIP'
}

/** Go's zero values mean absence; `clusterIPs` follows `clusterIP` (NormalizeClusterIPs). */
export function normalize(service: Service, old?: Service): void {
  const { spec } = service
  for (const key of ['clusterIP', 'externalTrafficPolicy', 'healthCheckNodePort', 'externalName', 'loadBalancerIP'] as const) if (!spec[key]) delete spec[key]
  if (!spec.clusterIPs?.length) delete spec.clusterIPs
  for (const port of spec.ports ?? []) if (!port.nodePort) delete port.nodePort
  if (spec.clusterIP && !spec.clusterIPs) { spec.clusterIPs = [spec.clusterIP]; return }
  // Who edits only one of the two means both.
  if (!old || spec.clusterIP === old.spec.clusterIP || !equal(spec.clusterIPs, old.spec.clusterIPs)) return
  if (!spec.clusterIP) delete spec.clusterIPs
  else if (spec.clusterIPs) spec.clusterIPs = [spec.clusterIP, ...spec.clusterIPs.slice(1)]
}

/** An update that leaves allocated values out keeps them (patchAllocatedValues). */
export function keepAllocated(service: Service, old: Service): void {
  const { spec } = service
  if (needsClusterIP(service) && needsClusterIP(old)) {
    if (!spec.clusterIP && old.spec.clusterIP) spec.clusterIP = old.spec.clusterIP
    if (!spec.clusterIPs?.length && spec.clusterIP === old.spec.clusterIP && old.spec.clusterIPs) spec.clusterIPs = [...old.spec.clusterIPs]
  }
  if (mayHoldNodePorts(service) && mayHoldNodePorts(old)) keepNodePorts(service, old)
  if (needsHealthCheck(service) && needsHealthCheck(old) && !spec.healthCheckNodePort && old.spec.healthCheckNodePort)
    spec.healthCheckNodePort = old.spec.healthCheckNodePort
}

/** By the ports' names: everything else of a port may have changed. */
function keepNodePorts(service: Service, old: Service): void {
  const given = new Set((service.spec.ports ?? []).map(port => port.nodePort).filter(port => port))
  const byName = new Map((old.spec.ports ?? []).map(port => [port.name ?? '', port.nodePort]))
  for (const port of service.spec.ports ?? []) {
    const before = byName.get(port.name ?? '')
    if (port.nodePort || !before || given.has(before)) continue
    port.nodePort = before
    given.add(before)
  }
}

/** What the new type has no use for goes, unless the client changed it: then validation says no. */
export function dropTypeDependentFields(service: Service, old: Service): void {
  const { spec } = service
  const drop = (...keys: (keyof Service['spec'])[]) => { for (const key of keys) if (equal(spec[key], old.spec[key])) delete spec[key] }
  if (needsClusterIP(old) && !needsClusterIP(service)) {
    if (spec.clusterIP === old.spec.clusterIP && equal(spec.clusterIPs, old.spec.clusterIPs)) drop('clusterIP', 'clusterIPs')
    drop('ipFamilies', 'ipFamilyPolicy', 'internalTrafficPolicy')
  }
  if (mayHoldNodePorts(old) && !mayHoldNodePorts(service) && equal(nodePorts(service), nodePorts(old)))
    for (const port of spec.ports ?? []) delete port.nodePort
  if (needsHealthCheck(old) && !needsHealthCheck(service)) drop('healthCheckNodePort')
  if (old.spec.type === 'LoadBalancer' && spec.type !== 'LoadBalancer') drop('allocateLoadBalancerNodePorts', 'loadBalancerClass')
  if (needsExternalTrafficPolicy(old) && !needsExternalTrafficPolicy(service)) drop('externalTrafficPolicy')
}

const nodePorts = ({ spec }: Service) => (spec.ports ?? []).map(port => port.nodePort ?? 0).sort((a, b) => a - b)
