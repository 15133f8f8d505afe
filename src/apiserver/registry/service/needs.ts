// What a Service of each type has: the questions that defaulting, allocation and validation share.
import type { Service } from '#api/core/v1.ts'

export const none = 'None'

export const needsClusterIP = ({ spec }: Service): boolean => ['ClusterIP', 'NodePort', 'LoadBalancer'].includes(spec.type ?? '')
export const needsNodePort = ({ spec }: Service): boolean =>
  spec.type === 'NodePort' || (spec.type === 'LoadBalancer' && spec.allocateLoadBalancerNodePorts !== false)
/** May hold node ports, wanted or asked for. */
export const mayHoldNodePorts = ({ spec }: Service): boolean => spec.type === 'NodePort' || spec.type === 'LoadBalancer'
export const needsHealthCheck = ({ spec }: Service): boolean => spec.type === 'LoadBalancer' && spec.externalTrafficPolicy === 'Local'
export const isHeadless = ({ spec }: Service): boolean => spec.clusterIP === none || spec.clusterIPs?.[0] === none
/** ExternallyAccessible. */
export const needsExternalTrafficPolicy = (service: Service): boolean =>
  mayHoldNodePorts(service) || (service.spec.type === 'ClusterIP' && (service.spec.externalIPs?.length ?? 0) > 0)
