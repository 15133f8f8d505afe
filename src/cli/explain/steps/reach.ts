// What traffic policies, topology keys and hints leave of the endpoints from each node, and what of
// the ways in from outside does not lead here.
import type { Finding } from '../explanation.ts'
import { isUsable, reachableFromOutside, type Facts } from '../facts.ts'
import { servedAddresses } from '../proxies.ts'
import { choices, type Way } from '../uses.ts'
import { kubectl, listed, patchService } from '../words.ts'

export function policies(facts: Facts): Finding[] {
  if (facts.headless || facts.nodes.length === 0 || !facts.endpoints.some(isUsable)) return []
  return [...without(facts, 'inside'), ...reachableFromOutside(facts) ? without(facts, 'outside') : []]
}

function without(facts: Facts, way: Way): Finding[] {
  const { spec } = facts.service, field = way === 'inside' ? 'internalTrafficPolicy' : 'externalTrafficPolicy'
  const isLocal = spec[field] === 'Local', keys = spec.topologyKeys ?? []
  const none = [...choices(facts, way)].filter(([, verdicts]) => ![...verdicts.values()].includes(undefined)).map(([node]) => node)
  if (none.length === 0 || (!isLocal && keys.length === 0)) return []
  if (!isLocal && way === 'outside') return [] // said of the inside already
  const all = none.length === facts.nodes.length
  const what = way === 'inside' ? `From ${listed(none)} the cluster IP leads nowhere` : `From outside, ${listed(none)} ${none.length === 1 ? 'takes' : 'take'} no traffic for the Service`
  if (isLocal) {
    return [{ severity: all ? 'error' : way === 'inside' ? 'warning' : 'note', what: `${what}: no endpoint is on ${none.length === 1 ? 'it' : 'them'}, and ${field} is Local.`,
      why: [way === 'inside' ? 'Packets are dropped there: a client waits until it gives up.' : 'Packets that come to these nodes are dropped. In return clients\' addresses are kept; load balancers find out by the health check port.'],
      command: patchService(facts.service, `/spec/${field}`, 'Cluster') }]
  }
  return [{ severity: all ? 'error' : 'warning', what: `${what}: topologyKeys (${keys.join(', ')}) match no endpoint there.`,
    why: ['Connections are refused there. A last key "*" would take any endpoint.'], command: patchService(facts.service, '/spec/topologyKeys/-', '*') }]
}

export function outside(facts: Facts): Finding[] {
  if (facts.service.spec.type === 'ExternalName' || facts.headless) return []
  return [...pending(facts), ...nodePorts(facts), ...externalIPs(facts)]
}

function pending(facts: Facts): Finding[] {
  const { spec, status } = facts.service
  if (spec.type !== 'LoadBalancer' || (status?.loadBalancer?.ingress?.length ?? 0) > 0) return []
  const events = facts.objects.events.filter(event => event.involvedObject.kind === 'Service' && event.involvedObject.name === facts.name && event.involvedObject.uid === facts.service.metadata.uid)
  const last = events.filter(event => event.message).at(-1)
  const port = spec.ports?.find(port => port.nodePort), node = facts.nodes[0] && servedAddresses(facts.nodes[0], facts.proxies)[0]
  return [{ severity: 'error', what: 'EXTERNAL-IP is <pending>: nothing has given the Service an address.',
    why: [...spec.loadBalancerClass ? [`It waits for the load balancer of class ${spec.loadBalancerClass}.`] : [],
      last ? `Last event: ${last.reason}: ${last.message}` : 'No event says that anything tried: it seems that nothing in this cluster gives out addresses.',
      ...port && node ? [`Until then its node port works from outside: ${node}:${port.nodePort}.`] : []],
    command: kubectl(facts.namespace, `describe service ${facts.name}`) }]
}

function nodePorts(facts: Facts): Finding[] {
  const numbers = facts.ports.flatMap(port => port.nodePort ?? [])
  const closed = facts.nodes.filter(node => servedAddresses(node, facts.proxies).length === 0).map(node => node.metadata.name)
  if (numbers.length === 0 || closed.length === 0) return []
  const all = closed.length === facts.nodes.length
  return [{ severity: all ? 'error' : 'warning', what: `Node port ${listed(numbers.map(String))} answers on no address of ${all ? 'any node' : listed(closed)}.`,
    why: [`kube-proxy serves node ports only on addresses in nodePortAddresses: ${facts.proxies.nodePortAddresses.join(', ')}.`], command: kubectl(facts.proxies.namespace, 'edit configmap kube-proxy') }]
}

function externalIPs({ service, nodes, namespace, name }: Facts): Finding[] {
  const own = nodes.flatMap(node => (node.status?.addresses ?? []).map(({ address }) => address))
  const foreign = (service.spec.externalIPs ?? []).filter(ip => !own.includes(ip))
  if (foreign.length === 0 || nodes.length === 0) return []
  return [{ severity: 'note', what: `External IP ${listed(foreign)} is the address of no node.`,
    why: ['The nodes take packets to it, but the network outside must be told to send them to a node.'], command: kubectl(namespace, `get service ${name} -o wide`) }]
}
