// The scale subresource: autoscaling/v1 Scale as a view of a workload.
import type { Scale } from '#api/autoscaling/v1.ts'
import type { Strategy } from '../registry/strategy.ts'
import { invalid } from './errors.ts'
import type { Content } from './metadata.ts'

export const scaleKind = { apiVersion: 'autoscaling/v1', kind: 'Scale' }

export function scaleOf(strategy: Strategy, object: Content): Scale & Content {
  const { replicas, statusReplicas, selector } = strategy.scale!.get(object)
  const { name, namespace, uid, resourceVersion, creationTimestamp } = object.metadata
  return { kind: 'Scale', apiVersion: 'autoscaling/v1',
    metadata: { name, ...(namespace && { namespace }), ...(uid && { uid }), ...(resourceVersion && { resourceVersion }), ...(creationTimestamp && { creationTimestamp }) },
    spec: replicas === 0 ? {} : { replicas }, status: { replicas: statusReplicas, ...(selector && { selector }) } }
}

/** The workload with the replicas that the Scale asks for. */
export function fromScale(strategy: Strategy, scale: Content, old: Content): Content {
  const replicas = (scale as Partial<Scale>).spec?.replicas ?? 0
  if (replicas < 0) {
    throw invalid({ group: 'autoscaling', kind: 'Scale' }, old.metadata.name,
      [{ field: 'spec.replicas', reason: 'FieldValueInvalid', message: `Invalid value: ${replicas}: must be greater than or equal to 0` }])
  }
  const draft = structuredClone(old)
  strategy.scale!.set(draft, replicas)
  if (scale.metadata.resourceVersion) draft.metadata.resourceVersion = scale.metadata.resourceVersion
  if (scale.metadata.uid) draft.metadata.uid = scale.metadata.uid
  return draft
}
