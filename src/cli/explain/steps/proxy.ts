// Is there a kube-proxy on every node? Without one the node's own processes and pods reach no Service.
import type { Finding } from '../explanation.ts'
import { isNodeReady, type Facts } from '../facts.ts'
import { unready } from '../unready.ts'
import { forAge, kubectl, listed } from '../words.ts'

export function proxy(facts: Facts): Finding[] {
  if (facts.headless || facts.service.spec.type === 'ExternalName') return []
  const ready = facts.nodes.filter(isNodeReady)
  const absent = ready.filter(node => facts.proxies.of.get(node.metadata.name)?.state === 'absent').map(node => node.metadata.name)
  return [...absent.length > 0 ? [noProxy(facts, absent)] : [], ...ready.flatMap(node => notReady(facts, node.metadata.name)), ...silentNodes(facts), ...unseen(facts)]
}

function noProxy({ nodes, proxies: { namespace } }: Facts, absent: readonly string[]): Finding {
  const all = absent.length === nodes.length
  return { severity: 'error', what: all ? 'No kube-proxy runs on any node.' : `No kube-proxy runs on ${listed(absent)}.`,
    why: [`${all ? 'Nothing' : 'There, nothing'} makes packets to the Service's addresses go to its endpoints; the endpoints themselves can be reached.`],
    command: kubectl(namespace, 'describe daemonset kube-proxy') }
}

function notReady(facts: Facts, node: string): Finding[] {
  const found = facts.proxies.of.get(node)
  if (found?.state !== 'not ready') return []
  const about = unready(found.pod, { nodes: facts.nodes, events: facts.objects.events })
  return [{ severity: 'error', what: `kube-proxy on ${node} is not ready${forAge(facts.seen.now, about?.since)}${about ? `: ${about.text}` : ''}.`,
    why: [...about?.why ?? [], 'Rules that it wrote before stay in force; changes since then do not reach that node.'],
    command: kubectl(found.pod.metadata.namespace, `logs ${found.pod.metadata.name}`) }]
}

function silentNodes(facts: Facts): Finding[] {
  const silent = facts.nodes.filter(node => !isNodeReady(node)).map(node => node.metadata.name)
  if (silent.length === 0) return []
  return [{ severity: 'warning', what: `${silent.length === 1 ? 'Node' : 'Nodes'} ${listed(silent)} ${silent.length === 1 ? 'is' : 'are'} not ready.`,
    why: ['What is said of pods and rules there may be out of date; their pods are taken out of the endpoints.'], command: `kubectl describe node ${silent[0]}` }]
}

/** A cluster whose proxy is no pod: k3s, kube-proxy as a system service, Cilium in its place. */
function unseen({ proxies, nodes, objects, namespace }: Facts): Finding[] {
  const seesOthers = objects.pods.some(pod => pod.metadata.namespace !== namespace) // else they may not be listed, which is said elsewhere
  if (proxies.of.size > 0 || nodes.length === 0 || !seesOthers) return []
  const cilium = objects.pods.some(pod => pod.metadata.labels?.['k8s-app'] === 'cilium')
  return [{ severity: 'note', what: 'No pod is a kube-proxy.',
    why: [cilium ? 'Cilium runs here and may stand in for it.' : 'It may run outside of pods (k3s, a system service), or something else stands in for it; this cannot be seen through the API.'] }]
}
