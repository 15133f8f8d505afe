// A deployment's replica sets: which is the new one, which are old, and the new one to be made.
import type { Deployment, ReplicaSet } from '#api/apps/v1.ts'
import type { PodTemplateSpec } from '#api/core/v1.ts'
import { equal } from '#lib/equal.ts'
import { controllerReference } from '../pods/claim.ts'
import { templateHash } from './hash.ts'
import { nextRevision, replicasAnnotations, revision, setAnnotations } from './revision.ts'

export const hashLabel = 'pod-template-hash'

export interface Sets { readonly newSet: ReplicaSet | undefined; readonly old: readonly ReplicaSet[] }

/** By age, oldest first; a name decides between twins. */
export const byCreation = (a: ReplicaSet, b: ReplicaSet): number => {
  const timeA = a.metadata.creationTimestamp ?? '', timeB = b.metadata.creationTimestamp ?? ''
  return timeA < timeB ? -1 : timeA > timeB ? 1 : a.metadata.name < b.metadata.name ? -1 : 1
}
export const byRevision = (a: ReplicaSet, b: ReplicaSet): number => revision(a) - revision(b) || byCreation(a, b)

/** The new one has the deployment's template; of several the oldest, as upstream chooses. */
export function sets(deployment: Deployment, all: readonly ReplicaSet[]): Sets {
  const sorted = [...all].sort(byCreation)
  const newSet = sorted.find(set => sameTemplate(set.spec.template, deployment.spec.template))
  return { newSet, old: sorted.filter(set => set !== newSet) }
}

/** EqualIgnoreHash. */
export function sameTemplate(a: PodTemplateSpec | undefined, b: PodTemplateSpec): boolean {
  return a !== undefined && equal(withoutHash(a), withoutHash(b))
}
function withoutHash(template: PodTemplateSpec): unknown {
  const { [hashLabel]: _, ...labels } = template.metadata?.labels ?? {}
  const { labels: _labels, annotations = {}, ...metadata } = { ...template.metadata } as Record<string, unknown>
  return { metadata: { ...metadata, creationTimestamp: undefined, name: metadata.name || undefined, labels, annotations }, spec: template.spec }
}

export const desiredReplicas = (deployment: Deployment): number => deployment.spec.replicas ?? 1
export const wanted = (set: ReplicaSet): number => set.spec.replicas ?? 1
export const total = (list: readonly ReplicaSet[], value: (set: ReplicaSet) => number): number => list.reduce((sum, set) => sum + value(set), 0)
export const active = (list: readonly ReplicaSet[]): ReplicaSet[] => list.filter(set => wanted(set) > 0)
export const isRolling = (deployment: Deployment): boolean => deployment.spec.strategy?.type !== 'Recreate'

/** maxSurge rounds up, maxUnavailable down; both zero would never move, so one may be unavailable (ResolveFenceposts). */
export function fenceposts(deployment: Deployment): { maxSurge: number; maxUnavailable: number } {
  if (!isRolling(deployment)) return { maxSurge: 0, maxUnavailable: 0 }
  const replicas = desiredReplicas(deployment), given = deployment.spec.strategy?.rollingUpdate
  const maxSurge = scaled(given?.maxSurge ?? '25%', replicas, Math.ceil)
  const unavailable = scaled(given?.maxUnavailable ?? '25%', replicas, Math.floor)
  const maxUnavailable = maxSurge === 0 && unavailable === 0 ? 1 : unavailable
  return { maxSurge, maxUnavailable: Math.min(maxUnavailable, replicas) }
}

/** intstr.GetScaledValueFromIntOrPercent. */
export const scaled = (value: number | string, of: number, round: (n: number) => number): number =>
  typeof value === 'number' ? value : round(Number.parseInt(value, 10) * of / 100)

/** The set for the deployment's template, to be created with this many replicas. */
export function draft(deployment: Deployment, old: readonly ReplicaSet[], replicas: number): ReplicaSet {
  const hash = templateHash(deployment.spec.template, deployment.status?.collisionCount)
  const { metadata, spec } = deployment
  const template = structuredClone(spec.template)
  template.metadata = { ...template.metadata!, labels: { ...template.metadata?.labels, [hashLabel]: hash } }
  return {
    apiVersion: 'apps/v1', kind: 'ReplicaSet',
    metadata: {
      name: `${metadata.name}-${hash}`, namespace: metadata.namespace, labels: { ...template.metadata.labels },
      annotations: { ...setAnnotations(deployment, undefined, nextRevision(old)), ...replicasAnnotations(desiredReplicas(deployment), desiredReplicas(deployment) + fenceposts(deployment).maxSurge) },
      ownerReferences: [{ ...controllerReference(deployment) }],
    },
    spec: {
      replicas, ...(spec.minReadySeconds && { minReadySeconds: spec.minReadySeconds }),
      selector: { ...spec.selector, matchLabels: { ...spec.selector.matchLabels, [hashLabel]: hash } }, template,
    },
  }
}
