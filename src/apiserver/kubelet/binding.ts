// Assigning a pod to a node: what POST pods/NAME/binding does to the pod (BindingREST.assignPod).
import type { Pod } from '#api/core/v1.ts'
import type { KubeObject } from '#api/object.ts'
import type { Resource } from '#api/resources.ts'
import { conflict, invalid } from '../rest/errors.ts'
import type { Content } from '../rest/metadata.ts'

export type Binding = KubeObject & { readonly target?: { readonly kind?: string; readonly name?: string } }

/** The pod as bound; `now` is RFC 3339. */
export function bind(resource: Resource, old: Content, binding: Binding, now: string): Content {
  const { kind, name = '' } = binding.target ?? {}
  if (kind && kind !== 'Node') {
    throw invalid({ group: '', kind: 'Binding' }, old.metadata.name, [{ field: 'target.kind', reason: 'FieldValueNotSupported', message: `Unsupported value: ${JSON.stringify(kind)}: supported values: "Node"` }])
  }
  if (!name) throw invalid({ group: '', kind: 'Binding' }, old.metadata.name, [{ field: 'target.name', reason: 'FieldValueRequired', message: 'Required value' }])
  const pod = structuredClone(old) as unknown as Pod
  if (pod.metadata.deletionTimestamp) throw conflict(resource, pod.metadata.name, `pod ${pod.metadata.name} is being deleted, cannot be assigned to a host`)
  if (pod.spec!.nodeName) throw conflict(resource, pod.metadata.name, `pod ${pod.metadata.name} is already assigned to node ${JSON.stringify(pod.spec!.nodeName)}`)
  pod.spec!.nodeName = name
  if (binding.metadata.annotations) pod.metadata.annotations = { ...pod.metadata.annotations, ...binding.metadata.annotations }
  const others = (pod.status?.conditions ?? []).filter(condition => condition.type !== 'PodScheduled')
  pod.status = { ...pod.status, conditions: [...others, { type: 'PodScheduled', status: 'True', lastTransitionTime: now, ...(pod.metadata.generation && { observedGeneration: pod.metadata.generation }) }] }
  return pod as unknown as Content
}
