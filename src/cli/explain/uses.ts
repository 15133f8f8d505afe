// The rows of endpoints: each address of the Service with the nodes that use it, and why others do
// not; and the pods that match and have no address yet.
import type { EndpointRow, Use } from './explanation.ts'
import { canonical, isPodReady, isUsable, reachableFromOutside, targetIn, type Endpoint, type Facts } from './facts.ts'
import { choose, isSameEverywhere, type ChoiceNode, type Rules, type WhyNot } from './choice.ts'
import { silence } from './steps/listening.ts'
import { unready } from './unready.ts'
import { forAge } from './words.ts'

export type Way = 'inside' | 'outside'

/** By node, each endpoint's verdict. */
export type Choices = ReadonlyMap<string, ReadonlyMap<Endpoint, WhyNot>>

export function rulesOf(facts: Facts, way: Way): Rules {
  const { spec } = facts.service
  return {
    policyLocal: (way === 'inside' ? spec.internalTrafficPolicy : spec.externalTrafficPolicy) === 'Local',
    policy: way === 'inside' ? 'internalTrafficPolicy' : 'externalTrafficPolicy', topologyKeys: spec.topologyKeys ?? [],
    labelsOf: name => facts.nodes.find(node => node.metadata.name === name)?.metadata.labels,
  }
}

/** A cluster whose nodes may not be read is one node with no name. */
const nodesOf = (facts: Facts): ChoiceNode[] =>
  facts.nodes.length > 0 ? facts.nodes.map(({ metadata: { name, labels = {} } }) => ({ name, labels })) : [{ name: '', labels: {} }]

/** Several steps ask; with many nodes and endpoints it is the costly part. */
const made = new WeakMap<Facts, Partial<Record<Way, Choices>>>()

export function choices(facts: Facts, way: Way): Choices {
  const known = made.get(facts) ?? {}
  made.set(facts, known)
  return known[way] ??= makeChoices(facts, way)
}

function makeChoices(facts: Facts, way: Way): Choices {
  const rules = rulesOf(facts, way), nodes = nodesOf(facts)
  const withPorts = facts.endpoints.filter(endpoint => facts.ports.some(port => targetIn(endpoint, port)))
  if (!isSameEverywhere(withPorts, rules)) return new Map(nodes.map(node => [node.name, choose(withPorts, node, rules)]))
  const verdicts = choose(withPorts, nodes[0]!, rules)
  return new Map(nodes.map(node => [node.name, verdicts]))
}

export function endpointRows(facts: Facts): EndpointRow[] {
  const inside = choices(facts, 'inside')
  const outside = reachableFromOutside(facts) && !facts.headless ? choices(facts, 'outside') : undefined
  const pods = new Set(facts.endpoints.map(endpoint => endpoint.pod)), ips = new Set(facts.endpoints.map(endpoint => endpoint.ip))
  const without = facts.pods.filter(pod => !pods.has(pod) && !ips.has(canonical(pod.status?.podIP ?? '')))
  return [
    ...facts.endpoints.map(endpoint => row(facts, endpoint, { inside, outside })),
    ...without.map(pod => {
      const about = unready(pod, { nodes: facts.nodes, events: facts.objects.events })
      const why = about ? `${about.text}${forAge(facts.seen.now, about.since)}` : 'not in the EndpointSlices'
      return { pod: pod.metadata.name, ...(pod.spec.nodeName && { node: pod.spec.nodeName }), ...(pod.status?.podIP && { ip: pod.status.podIP }),
        ports: [], ready: isPodReady(pod), inside: [{ used: false, nodes: nodesOf(facts).map(node => node.name), why }], ...(about?.since && { since: about.since }) }
    }),
  ]
}

function row(facts: Facts, endpoint: Endpoint, { inside, outside }: { inside: Choices; outside: Choices | undefined }): EndpointRow {
  const uses = (way: Choices) => facts.headless ? named(facts, endpoint) : grouped(facts, endpoint, way)
  const fromInside = uses(inside), fromOutside = outside && uses(outside)
  const problem = silence(facts, endpoint), since = endpoint.pod && unready(endpoint.pod, { nodes: facts.nodes, events: facts.objects.events })?.since
  return {
    ...(endpoint.pod && { pod: endpoint.pod.metadata.name }), ...(endpoint.node && { node: endpoint.node }), ip: endpoint.ip,
    ports: [...new Set(facts.ports.flatMap(port => targetIn(endpoint, port)?.port ?? []))], ready: endpoint.ready, inside: fromInside,
    ...(fromOutside && JSON.stringify(fromOutside) !== JSON.stringify(fromInside) && { outside: fromOutside }), ...(since && { since }), ...(problem && { problem }),
  }
}

function grouped(facts: Facts, endpoint: Endpoint, way: Choices): Use[] {
  const groups = new Map<WhyNot, string[]>()
  for (const [node, verdicts] of way) {
    const verdict = facts.proxies.of.get(node)?.state === 'absent' ? 'no kube-proxy there' : verdicts.has(endpoint) ? verdicts.get(endpoint) : endpoint.pod ? 'the pod does not name the port' : 'its ports have other names than the Service\'s'
    const nodes = groups.get(verdict)
    if (nodes) nodes.push(node)
    else groups.set(verdict, [node])
  }
  return [...groups].map(([verdict, nodes]): Use =>
    ({ used: verdict === undefined, nodes, ...withWhy(verdict === undefined ? usedWhy(facts, endpoint) : detail(facts, endpoint, verdict)) }))
    .sort((a, b) => Number(b.used) - Number(a.used))
}

/** Of a headless Service there is no choice: DNS names what is ready. */
const named = (facts: Facts, endpoint: Endpoint): Use[] =>
  [endpoint.ready ? { used: true, nodes: [], ...withWhy(usedWhy(facts, endpoint)) } : { used: false, nodes: [], ...withWhy(detail(facts, endpoint, 'not ready')) }]
const withWhy = (why: string | undefined) => why ? { why } : {}

const about = (facts: Facts, { pod }: Endpoint) => {
  const found = pod && unready(pod, { nodes: facts.nodes, events: facts.objects.events })
  return found && `${found.text}${forAge(facts.seen.now, found.since)}`
}

function usedWhy(facts: Facts, endpoint: Endpoint): string | undefined {
  if (!endpoint.ready && isUsable(endpoint)) return 'as it still serves while it terminates and no other is ready'
  const trouble = about(facts, endpoint)
  return trouble && (facts.service.spec.publishNotReadyAddresses ? `though ${trouble}: publishNotReadyAddresses` : `though ${trouble}; its EndpointSlice does not say so yet`)
}

const detail = (facts: Facts, endpoint: Endpoint, verdict: string): string =>
  verdict === 'not ready' || verdict === 'terminating' ? about(facts, endpoint) ?? verdict : verdict
