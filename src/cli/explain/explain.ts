// `explain(objects, observations)`: what a Service is, who answers for it, and what is broken: the
// steps of a packet's way in their order, so that the first finding is the one to mend first. Pure.
import type { ServicePort } from '#api/core/v1.ts'
import type { EndpointRow, Explanation, Finding, Objects, Observations } from './explanation.ts'
import { addresses } from './addresses.ts'
import { facts, type Facts } from './facts.ts'
import { listening } from './steps/listening.ts'
import { names, spec } from './steps/names.ts'
import { leaving, probes, starting } from './steps/pods.ts'
import { ports } from './steps/ports.ts'
import { proxy } from './steps/proxy.ts'
import { outside, policies } from './steps/reach.ts'
import { selector } from './steps/selector.ts'
import { slices } from './steps/slices.ts'
import { portRows } from './targets.ts'
import { endpointRows } from './uses.ts'
import { count } from './words.ts'

/** What a packet needs, in the order in which it needs it. */
const steps: readonly ((facts: Facts) => Finding[])[] = [spec, selector, starting, ports, listening, probes, leaving, slices, names, proxy, policies, outside]

export function explain(objects: Objects, seen: Observations): Explanation {
  const found = facts(objects, seen), rows = endpointRows(found)
  const findings = steps.flatMap(step => step(found))
  const works = !findings.some(finding => finding.severity === 'error')
  return {
    namespace: found.namespace, name: found.name, type: found.headless ? 'headless' : found.service.spec.type ?? 'ClusterIP',
    works, summary: summary(found, findings, rows), ...(found.selector && { selector: found.selector }), settings: settings(found),
    addresses: addresses(found), ports: portRows(found.ports, found.pods), endpoints: rows, findings,
    notLookedAt: seen.notLookedAt, tryIt: works ? tryIt(found, rows) : [], at: seen.now,
  }
}

function summary(facts: Facts, findings: readonly Finding[], rows: readonly EndpointRow[]): string {
  const broken = findings.find(finding => finding.severity === 'error')
  if (broken) return broken.what
  const usable = rows.filter(({ inside, outside = [], problem }) => !problem && [...inside, ...outside].some(({ used }) => used)).length
  const what = facts.service.spec.type === 'ExternalName' ? `It is another name of ${facts.service.spec.externalName}.` : `${count(usable, 'endpoint')} ${usable === 1 ? 'answers' : 'answer'} for it.`
  return what[0]!.toUpperCase() + what.slice(1)
}

function settings({ service: { spec, metadata }, selector }: Facts): string[] {
  const seconds = spec.sessionAffinityConfig?.clientIP?.timeoutSeconds ?? 10800
  return [
    ...!selector && spec.type !== 'ExternalName' ? ['no selector: somebody else writes the endpoints'] : [],
    ...spec.sessionAffinity === 'ClientIP' ? [`sessionAffinity: ClientIP: a client stays with its endpoint until it has been silent for ${seconds} s`] : [],
    ...spec.internalTrafficPolicy === 'Local' ? ['internalTrafficPolicy: Local: from inside only endpoints on the caller\'s node'] : [],
    ...spec.externalTrafficPolicy === 'Local' ? ['externalTrafficPolicy: Local: from outside only endpoints on the node that is asked'] : [],
    ...spec.topologyKeys?.length ? [`topologyKeys: ${spec.topologyKeys.join(', ')}`] : [],
    ...spec.trafficDistribution ? [`trafficDistribution: ${spec.trafficDistribution}`] : [],
    ...metadata.annotations?.['service.kubernetes.io/topology-mode'] ? [`topology-mode: ${metadata.annotations['service.kubernetes.io/topology-mode']}`] : [],
    ...spec.publishNotReadyAddresses ? ['publishNotReadyAddresses: pods that are not ready get traffic too'] : [],
    ...spec.loadBalancerSourceRanges?.length ? [`loadBalancerSourceRanges: only from ${spec.loadBalancerSourceRanges.join(', ')}`] : [],
    ...spec.allocateLoadBalancerNodePorts === false ? ['allocateLoadBalancerNodePorts: false: no node ports'] : [],
  ]
}

/** Commands that send something, from where the address is good. */
function tryIt(facts: Facts, rows: readonly EndpointRow[]): string[] {
  const port = facts.ports.find(port => (port.protocol ?? 'TCP') === 'TCP'), ip = facts.service.spec.clusterIP
  if (!port || !ip || facts.headless || facts.nodes.length === 0) return []
  const { own } = facts.seen, url = urlOf(ip, port), node = rows.flatMap(row => row.inside).find(use => use.used)?.nodes.at(-1)
  const nodePort = addresses(facts).flatMap(({ nodes = [] }) => nodes).find(({ answers }) => answers)?.address
  if (!own) return [`kubectl run try --rm -it --restart=Never --image=busybox -- wget -qO- -T 3 ${url}`]
  return [...node ? [`fairway shell${own.flags} ${node} -- curl ${curlFlags(url)} ${url}`] : [],
    ...nodePort ? [`fairway shell${own.flags} client -- curl ${curlFlags(url)} ${url.slice(0, url.indexOf(':'))}://${nodePort}/`] : []]
}

/** The certificate is for another name than the address. */
const curlFlags = (url: string) => url.startsWith('https') ? '-sk' : '-s'

function urlOf(ip: string, { port, name = '', appProtocol = '' }: ServicePort): string {
  const secure = port === 443 || /https/.test(`${name} ${appProtocol}`), host = ip.includes(':') ? `[${ip}]` : ip
  return `${secure ? 'https' : 'http'}://${host}${port === (secure ? 443 : 80) ? '' : `:${port}`}/`
}
