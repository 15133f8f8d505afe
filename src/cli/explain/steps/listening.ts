// Does a process take what arrives at the endpoints' ports? From the sockets seen on this machine;
// where they could not be looked at, from the ports that the pods declare.
import type { ServicePort } from '#api/core/v1.ts'
import type { Finding } from '../explanation.ts'
import { targetIn, type Endpoint, type Facts } from '../facts.ts'
import { listens, type Listening } from '../sockets.ts'
import { declaredPorts } from '../targets.ts'
import { count, kubectl, listed, patchService, withPort, workloadOf } from '../words.ts'

export const listening = (facts: Facts): Finding[] => facts.ports.flatMap((port, index) => ofPort(facts, port, index))

type Silent = Extract<Listening, { answers: false }>
interface Deaf { readonly port: number; readonly silent: Silent; readonly endpoints: Endpoint[] }

function ofPort(facts: Facts, port: ServicePort, index: number): Finding[] {
  const protocol = port.protocol ?? 'TCP', deaf = new Map<string, Deaf>(), unseen: Endpoint[] = []
  if (protocol === 'SCTP') return []
  for (const endpoint of facts.endpoints) {
    const target = targetIn(endpoint, port), sockets = facts.seen.sockets[endpoint.ip]
    if (!target || !runs(endpoint)) continue
    if (!sockets) { unseen.push(endpoint); continue }
    const result = listens(sockets, { protocol, ip: endpoint.ip, port: target.port })
    if (result.answers) continue
    const id = JSON.stringify([target.port, result])
    const known = deaf.get(id)
    if (known) known.endpoints.push(endpoint)
    else deaf.set(id, { port: target.port, silent: result, endpoints: [endpoint] })
  }
  return [...[...deaf.values()].map(each => finding(facts, { ...each, servicePort: port, index })), ...undeclared(port, unseen)]
}

/** What is wrong with one endpoint's own side, in a few words. */
export function silence(facts: Facts, endpoint: Endpoint): string | undefined {
  const sockets = facts.seen.sockets[endpoint.ip]
  if (!sockets || !runs(endpoint)) return undefined
  const found = facts.ports.flatMap(port => {
    const target = targetIn(endpoint, port), protocol = port.protocol ?? 'TCP'
    if (!target || protocol === 'SCTP') return []
    const result = listens(sockets, { protocol, ip: endpoint.ip, port: target.port })
    if (result.answers) return []
    return [result.on.length > 0 ? `port ${target.port} is open on ${listed(result.on)} only` : `nothing listens on ${protocol} port ${target.port}`]
  })
  return found.length > 0 ? listed([...new Set(found)]) : undefined
}

/** A pod without running containers has other trouble. */
const runs = ({ pod }: Endpoint) => !pod || (pod.status?.containerStatuses ?? []).some(status => status.state?.running)

interface Given extends Deaf { readonly servicePort: ServicePort; readonly index: number }

function finding(facts: Facts, { port, silent, endpoints, servicePort, index }: Given): Finding {
  const protocol = servicePort.protocol ?? 'TCP', names = endpoints.map(({ pod, ip }) => pod?.metadata.name ?? ip)
  const where = !endpoints[0]!.pod ? `At ${listed(names, 4)}` : names.length === 1 ? `In pod ${names[0]}` : `In ${count(names.length, 'pod')} (${listed(names, 4)})`
  const good = facts.endpoints.some(endpoint => endpoint.ready && !endpoints.includes(endpoint))
  const severity = !endpoints.some(endpoint => endpoint.ready) && good ? 'warning' : 'error'
  if (silent.on.length > 0) {
    const only = listed(silent.on)
    return { severity, what: `${where} the program listens on ${only} only, port ${port}: what comes to ${names.length === 1 ? withPort(endpoints[0]!.ip, port) : 'the pods\' own addresses'} is refused.`,
      why: [`Packets arrive at the pod's own address, never at ${only}. The program must listen on 0.0.0.0 (or ::): most take it as --bind, --host or --address.`],
      command: workloadCommand(facts, endpoints[0]!) }
  }
  const others = silent.otherPorts
  return { severity, what: `${where} nothing listens on ${protocol} port ${port}: ${protocol === 'TCP' ? 'connections' : 'packets'} are refused.`,
    why: [targetText(servicePort, port), others.length > 0 ? `${names.length === 1 ? 'It listens' : 'They listen'} on ${listed(others.map(String))}.` : `${names.length === 1 ? 'It listens' : 'They listen'} on no ${protocol} port at all.`],
    command: others.length > 0 ? patchService(facts.service, `/spec/ports/${index}/targetPort`, likely(endpoints[0]!, others))
      : endpoints[0]!.pod ? kubectl(facts.namespace, `logs ${endpoints[0]!.pod.metadata.name}`) : kubectl(facts.namespace, `get endpointslices -l kubernetes.io/service-name=${facts.name} -o yaml`) }
}

function targetText({ port, targetPort = port }: ServicePort, number: number): string {
  if (typeof targetPort === 'string') return `targetPort "${targetPort}" is ${number} there.`
  return targetPort === port ? `targetPort is ${number}, the same as port: so it is when a manifest leaves it out.` : `targetPort is ${number}.`
}

/** The port that the pod declares, when it listens there. */
const likely = ({ pod }: Endpoint, open: readonly number[]): number =>
  (pod ? declaredPorts(pod) : []).map(declared => declared.port).find(port => open.includes(port)) ?? open[0]!

const workloadCommand = (facts: Facts, { pod }: Endpoint): string =>
  pod ? kubectl(facts.namespace, `edit ${workloadOf(pod).replace('/', ' ')}`) : kubectl(facts.namespace, `get endpointslices -l kubernetes.io/service-name=${facts.name} -o yaml`)

/** Declared ports are for the reader only, but a program that declares others may well not have this one. */
function undeclared(port: ServicePort, endpoints: readonly Endpoint[]): Finding[] {
  const doubtful = endpoints.filter(endpoint => {
    const declared = endpoint.pod ? declaredPorts(endpoint.pod) : []
    return declared.length > 0 && !declared.some(each => each.port === targetIn(endpoint, port)!.port)
  })
  if (doubtful.length === 0) return []
  const declared = [...new Set(doubtful.flatMap(({ pod }) => declaredPorts(pod!).map(each => String(each.port))))]
  const { namespace, name } = doubtful[0]!.pod!.metadata
  return [{ severity: 'warning', what: `Port ${targetIn(doubtful[0]!, port)!.port} is not among the ports that the pods' containers list (${listed(declared)}).`,
    why: ['That list is for readers and decides nothing, but it may say where the program really listens.'], command: kubectl(namespace, `exec ${name} -- cat /proc/net/tcp /proc/net/tcp6`) }]
}
