// Pods that match and are not ready: those that do not run (an image that cannot be pulled, a program
// that ends, no node for it) come before those that run and fail a probe.
import type { Pod } from '#api/core/v1.ts'
import type { Finding } from '../explanation.ts'
import { isPodReady, type Facts } from '../facts.ts'
import { unready, type Unready } from '../unready.ts'
import { capital, count, forAge, listed } from '../words.ts'

/** Pods with the same trouble are one finding. */
interface Trouble { readonly about: Unready; readonly pods: Pod[] }

const troubles = (facts: Facts, kind: Unready['kind']): Trouble[] => {
  const found = new Map<string, Trouble>()
  for (const pod of facts.pods) {
    const about = unready(pod, { nodes: facts.nodes, events: facts.objects.events })
    if (about?.kind !== kind) continue
    const known = found.get(about.text)
    if (known) known.pods.push(pod)
    else found.set(about.text, { about, pods: [pod] })
  }
  return [...found.values()]
}

export const starting = (facts: Facts): Finding[] => troubles(facts, 'start').map(trouble => finding(facts, trouble))

export const probes = (facts: Facts): Finding[] => troubles(facts, 'probe').map(trouble => finding(facts, trouble))

/** Leaving is how a rollout looks; it is worth an error only when nobody else is there. */
export const leaving = (facts: Facts): Finding[] =>
  facts.pods.some(isPodReady) && facts.pods.some(pod => !pod.metadata.deletionTimestamp) ? [] : troubles(facts, 'leaving').map(trouble => finding(facts, trouble))

function finding(facts: Facts, { about, pods }: Trouble): Finding {
  const many = pods.length > 1
  const others = facts.pods.some(pod => isPodReady(pod) && !pod.metadata.deletionTimestamp)
  const published = facts.service.spec.publishNotReadyAddresses === true
  const draining = about.kind === 'leaving' && facts.endpoints.some(endpoint => endpoint.serving)
  const which = many ? `${capital(count(pods.length, 'pod'))} (${listed(pods.map(pod => pod.metadata.name), 4)})` : `Pod ${pods[0]!.metadata.name}`
  const text = about.text === 'terminating' ? `${many ? 'are' : 'is'} terminating` : about.kind === 'start' ? `${many ? 'do' : 'does'} not run: ${about.text}` : `${many ? 'are' : 'is'} not ready: ${about.text}`
  return {
    severity: others || published || draining ? 'warning' : 'error',
    what: `${which} ${text}${forAge(facts.seen.now, about.since)}.`,
    why: [...about.why, ...(draining ? ['It serves until it is gone; nobody else is there.'] : published && about.kind === 'probe' ? ['It gets traffic all the same: the Service has publishNotReadyAddresses.']
      : others ? ['The other pods get its share.'] : [])],
    command: about.command,
  }
}
