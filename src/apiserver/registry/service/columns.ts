// How `kubectl get services` shows a Service (printService).
import type { Service } from '#api/core/v1.ts'
import { formatLabels } from '../labels.ts'
import type { Column } from '../strategy.ts'

/** What a load balancer gave (loadBalancerStatusStringer); the server always prints all of it. */
function loadBalancerAddresses({ status }: Service): string[] {
  return [...new Set((status?.loadBalancer?.ingress ?? []).map(ingress => ingress.ip || ingress.hostname || '').filter(text => text))].sort()
}

export function externalIP(service: Service): string {
  const { type, externalIPs = [], externalName } = service.spec
  switch (type) {
    case 'ClusterIP': case 'NodePort':
      return externalIPs.length > 0 ? externalIPs.join(',') : '<none>'
    case 'LoadBalancer': {
      const addresses = loadBalancerAddresses(service).join(',')
      return [addresses, ...externalIPs].filter(text => text).join(',') || '<pending>'
    }
    case 'ExternalName': return externalName ?? ''
    default: return '<unknown>'
  }
}

const ports = ({ spec }: Service) => (spec.ports ?? [])
  .map(({ port, nodePort, protocol }) => `${port}${nodePort ? `:${nodePort}` : ''}/${protocol}`).join(',') || '<none>'

export const columns: readonly Column<Service>[] = [
  { name: 'Type', description: 'How it is reached.', value: ({ spec }) => spec.type ?? '' },
  { name: 'Cluster-IP', description: 'Its address inside the cluster.', value: ({ spec }) => spec.clusterIPs?.[0] || spec.clusterIP || '<none>' },
  { name: 'External-IP', description: 'Its addresses outside the cluster.', value: externalIP },
  { name: 'Port(s)', description: 'Ports, each with its node port and protocol.', value: ports },
  { name: 'Selector', wide: true, description: 'Which pods answer.', value: ({ spec }) => formatLabels(spec.selector) },
]
