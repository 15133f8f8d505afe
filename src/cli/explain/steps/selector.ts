// First step: does the selector find a pod? If not, who comes closest, where else such pods are, or
// who should make them.
import type { Pod } from '#api/core/v1.ts'
import { selects } from '#api/object.ts'
import type { Finding, Workload } from '../explanation.ts'
import { hasEnded, type Facts } from '../facts.ts'
import { missText, nearMiss, type Miss, type NearMiss } from '../labels.ts'
import { count, kubectl, labelsText, listed, workloadOf } from '../words.ts'

export function selector(facts: Facts): Finding[] {
  if (!facts.selector || facts.pods.length > 0) return []
  if (facts.ended.length > 0) return [allEnded(facts)]
  const { namespace, name, objects } = facts, labels = facts.selector
  const elsewhere = objects.pods.filter(pod => pod.metadata.namespace !== namespace && selects(labels, pod.metadata.labels) && !hasEnded(pod))
  const workload = objects.workloads.find(({ spec }) => selects(labels, spec.template.metadata?.labels))
  const near = nearMiss(labels, objects.pods.filter(pod => pod.metadata.namespace === namespace && !hasEnded(pod)))
  const what = `No pod in namespace ${namespace} has ${labelsText(labels)}, which the Service selects.`
  if (workload) return [{ severity: 'error', what, ...ofWorkload(workload) }]
  const why = [...(near ? nearText(labels, near) : []), ...(elsewhere.length > 0 ? elsewhereText(elsewhere) : [])]
  if (near) return [{ severity: 'error', what, why, command: nearCommand(facts, near) }]
  if (elsewhere.length > 0) return [{ severity: 'error', what, why, command: exposeThere(facts, elsewhere[0]!) }]
  const any = objects.pods.some(pod => pod.metadata.namespace === namespace)
  return [{ severity: 'error', what, why: [any ? 'No pod comes near it.' : `There is no pod at all in namespace ${namespace}.`],
    command: kubectl(namespace, any ? 'get pods --show-labels' : `run ${name} --image=IMAGE --labels=${labelsText(labels)}`) }]
}

const podNames = (pods: readonly Pod[]) => listed(pods.map(pod => pod.metadata.name), 4)
const have = (number: number) => number === 1 ? 'has' : 'have'

function nearText(labels: Facts['selector'] & object, { pods, misses }: NearMiss): string[] {
  const right = Object.entries(labels).filter(([key]) => !misses.some(miss => miss.key === key))
  const start = `${count(pods.length, 'pod')} ${have(pods.length)} ${right.length > 0 ? `${labelsText(Object.fromEntries(right))}, but` : 'the near miss'} ${listed(misses.map(missText))}: ${podNames(pods)}.`
  return [start[0]!.toUpperCase() + start.slice(1), ...(right.length > 0 ? ['A pod must carry all of the selector\'s labels, not some.'] : [])]
}

/** Changing the Service is the smaller change: a workload's selector cannot be changed. A label that is not there must come from the pods. */
function nearCommand({ namespace, name, selector = {} }: Facts, { pods, misses }: NearMiss): string {
  const absent = misses.filter(miss => miss.kind === 'absent')
  if (absent.length === misses.length) return addLabels(namespace, pods[0]!, absent)
  const labels = Object.entries(selector).map(([key, value]) => {
    const miss = misses.find(miss => miss.key === key)
    if (miss?.kind === 'value') return `${key}=${miss.found}`
    return miss?.kind === 'key' ? `${miss.found}=${value}` : `${key}=${value}`
  })
  return kubectl(namespace, `set selector service ${name} ${labels.join(',')}`)
}

function addLabels(namespace: string, pod: Pod, absent: readonly Miss[]): string {
  const workload = workloadOf(pod), labels = Object.fromEntries(absent.map(miss => [miss.key, miss.wanted]))
  if (workload.startsWith('pod/')) return kubectl(namespace, `label ${workload.replace('/', ' ')} ${labelsText(labels).replaceAll(',', ' ')}`)
  return kubectl(namespace, `patch ${workload.replace('/', ' ')} -p '${JSON.stringify({ spec: { template: { metadata: { labels } } } })}'`)
}

function elsewhereText(pods: readonly Pod[]): string[] {
  const namespaces = [...new Set(pods.map(pod => pod.metadata.namespace!))].sort()
  const text = `${count(pods.length, 'pod')} in namespace ${listed(namespaces)} ${have(pods.length)} it: ${podNames(pods)}.`
  return [text[0]!.toUpperCase() + text.slice(1), 'A Service finds only pods of its own namespace.']
}

function exposeThere({ name, service }: Facts, pod: Pod): string {
  const port = service.spec.ports?.[0], target = port?.targetPort ?? port?.port
  return kubectl(pod.metadata.namespace, `expose ${workloadOf(pod).replace('/', ' ')} --name=${name} --port=${port?.port ?? 80} --target-port=${target ?? 80}`)
}

function ofWorkload(workload: Workload): { why: string[]; command: string } {
  const { kind = 'Deployment', metadata: { name, namespace }, status } = workload
  const replicas = 'replicas' in workload.spec ? workload.spec.replicas ?? 1 : undefined
  if (replicas === 0) return { why: [`${kind} ${name} makes such pods, but it is scaled to none.`], command: kubectl(namespace, `scale ${kind.toLowerCase()} ${name} --replicas=1`) }
  const failure = (status?.conditions ?? []).find(condition => condition.type === 'ReplicaFailure' || (condition.type === 'Progressing' && condition.status === 'False'))
  return { why: [`${kind} ${name} should make such pods, but none is there.`, ...(failure?.message ? [failure.message] : [])], command: kubectl(namespace, `describe ${kind.toLowerCase()} ${name}`) }
}

function allEnded({ ended, namespace, selector = {} }: Facts): Finding {
  const reasons = [...new Set(ended.map(pod => pod.status?.reason ?? pod.status?.phase ?? ''))]
  return { severity: 'error', what: `All pods that have ${labelsText(selector)} have ended (${listed(reasons)}): ${podNames(ended)}.`,
    why: ['A pod that has ended is no endpoint. A Service needs programs that go on running.'], command: kubectl(namespace, `logs ${ended[0]!.metadata.name}`) }
}
