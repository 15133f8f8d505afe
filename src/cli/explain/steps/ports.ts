// targetPort by name: does each pod name such a port? And of a headless Service: nothing translates
// its port.
import type { Pod, ServicePort } from '#api/core/v1.ts'
import type { Finding } from '../explanation.ts'
import type { Facts } from '../facts.ts'
import { nearest } from '../likeness.ts'
import { declaredPorts, targetPort } from '../targets.ts'
import { capital, count, listed, numberWord, patchService } from '../words.ts'

export const ports = (facts: Facts): Finding[] => facts.ports.flatMap((port, index) => [
  ...absentName(facts, port, index), ...(facts.headless ? untranslated(port) : [])])

function absentName(facts: Facts, port: ServicePort, index: number): Finding[] {
  if (typeof port.targetPort !== 'string') return []
  const without = facts.pods.filter(pod => targetPort(pod, port) === undefined)
  if (without.length === 0) return []
  const all = without.length === facts.pods.length
  const which = all ? without.length === 1 ? `pod ${without[0]!.metadata.name} does not name a port` : `none of the ${count(without.length, 'pod')} names a port`
    : `${numberWord(without.length)} of the ${count(facts.pods.length, 'pod')} (${listed(without.map(pod => pod.metadata.name), 4)}) ${without.length === 1 ? 'does' : 'do'} not name a port`
  const { why, guess } = named(without, port), inOthers = facts.pods.flatMap(pod => targetPort(pod, port) ?? [])[0]
  return [{ severity: all ? 'error' : 'warning', what: `targetPort of port ${port.port} is "${port.targetPort}", and ${which} so${protocolNote(port)}.`, why,
    command: patchService(facts.service, `/spec/ports/${index}/targetPort`, inOthers ?? guess ?? 'NAME') }]
}

const protocolNote = ({ protocol = 'TCP' }: ServicePort) => protocol === 'TCP' ? '' : ` in ${protocol}`

function named(pods: readonly Pod[], port: ServicePort): { why: string[]; guess?: string | number } {
  const declared = pods.flatMap(declaredPorts), wanted = String(port.targetPort), protocol = port.protocol ?? 'TCP'
  const otherProtocol = declared.find(each => each.name === wanted)
  if (otherProtocol) return { why: [`They name it for ${otherProtocol.protocol}, and the Service's port is ${protocol}.`], guess: otherProtocol.port }
  const names = [...new Set(declared.filter(each => each.name && each.protocol === protocol).map(each => each.name))]
  const unnamed = [...new Set(declared.filter(each => !each.name && each.protocol === protocol).map(each => each.port))]
  const guess = nearest(wanted, names) ?? (names.length === 1 ? names[0] : names.length === 0 && unnamed.length === 1 ? unnamed[0] : undefined)
  const shown = [...names.map(name => `"${name}" (${declared.find(each => each.name === name)!.port})`), ...unnamed.map(String)]
  return { why: [shown.length > 0 ? `Ports in the pods' containers: ${listed(shown)}.` : 'Their containers list no port at all; a number as targetPort needs none.'], ...(guess !== undefined && { guess }) }
}

function untranslated(port: ServicePort): Finding[] {
  const target = port.targetPort ?? port.port
  if (target === port.port) return []
  return [{ severity: 'note', what: capital(`port ${port.port} of a headless Service is not translated to ${target}.`),
    why: ['Its name leads to the pods themselves, with no proxy between: clients must use the pods\' own port.'] }]
}
