// The addresses of a Service, and on which nodes its node ports answer.
import type { Node } from '#api/core/v1.ts'
import type { Address, NodeAddress } from './explanation.ts'
import { isNodeReady, isUsable, type Facts } from './facts.ts'
import { servedAddresses } from './proxies.ts'
import { choices, type Choices } from './uses.ts'
import { withPort } from './words.ts'

export function addresses(facts: Facts): Address[] {
  const { spec, status } = facts.service
  if (spec.type === 'ExternalName') return [{ kind: 'external name', value: spec.externalName ?? '', comment: `CNAME of ${facts.name}.${facts.namespace}.svc` }]
  if (facts.headless) return [{ kind: 'headless', value: 'None', comment: `${facts.name}.${facts.namespace}.svc leads to the pods themselves` }]
  const ingress = status?.loadBalancer?.ingress ?? []
  return [
    ...(spec.clusterIPs ?? [spec.clusterIP ?? '']).filter(Boolean).map(value => ({ kind: 'cluster IP' as const, value, comment: 'inside the cluster' })),
    ...nodePorts(facts),
    ...(spec.externalIPs ?? []).map(value => ({ kind: 'external IP' as const, value, comment: 'for packets that the network sends to a node' })),
    ...ingress.map(({ ip, hostname = '', ipMode }) => ({ kind: 'load balancer' as const, value: ip ?? hostname, ...(ipMode === 'Proxy' && { comment: 'the load balancer sends to node ports' }) })),
    ...spec.type === 'LoadBalancer' && ingress.length === 0 ? [{ kind: 'load balancer' as const, value: '<pending>' }] : [],
  ]
}

function nodePorts(facts: Facts): Address[] {
  const numbers = [...new Set(facts.ports.flatMap(port => port.nodePort ?? []))]
  if (numbers.length === 0) return []
  const chosen = choices(facts, 'outside'), hasEndpoints = facts.endpoints.some(isUsable)
  return numbers.map(number => {
    const port = facts.ports.find(port => port.nodePort === number)!
    return { kind: 'node port', value: String(number), comment: `to port ${port.port}`, nodes: facts.nodes.flatMap(node => {
      const served = servedAddresses(node, facts.proxies), why = hasEndpoints ? whyNot(facts, node, chosen) : 'no endpoint'
      if (served.length === 0) return [{ node: node.metadata.name, address: '', answers: false, why: 'no address is in nodePortAddresses' }]
      return served.map((address): NodeAddress => ({ node: node.metadata.name, address: withPort(address, number), answers: !why, ...(why && { why }) }))
    }) }
  })
}

function whyNot(facts: Facts, node: Node, chosen: Choices): string | undefined {
  const { name } = node.metadata
  if (!isNodeReady(node)) return 'the node is not ready'
  if (facts.proxies.of.get(name)?.state === 'absent') return 'no kube-proxy there'
  const reaches = [...chosen.get(name)?.values() ?? []].includes(undefined)
  if (reaches) return undefined
  return facts.service.spec.externalTrafficPolicy === 'Local' ? 'no endpoint there (externalTrafficPolicy: Local)' : 'no endpoint for this node'
}
