// Revisions and the annotations by which kubectl's rollout history, undo and status see them
// (upstream's deployment_util.go).
import type { Deployment, ReplicaSet } from '#api/apps/v1.ts'
import type { KubeObject } from '#api/object.ts'

export const revisionAnnotation = 'deployment.kubernetes.io/revision'
export const historyAnnotation = 'deployment.kubernetes.io/revision-history'
export const desiredAnnotation = 'deployment.kubernetes.io/desired-replicas'
export const maxAnnotation = 'deployment.kubernetes.io/max-replicas'

/** What belongs to one of the two objects and is not copied from the deployment to its set. */
const ownAnnotations = new Set(['kubectl.kubernetes.io/last-applied-configuration', revisionAnnotation, historyAnnotation,
  desiredAnnotation, maxAnnotation, 'deprecated.deployment.rollback.to'])
/** history annotations are cut from the front beyond this many characters (maxRevHistoryLengthInChars). */
const maxHistory = 2000

export const revision = (object: KubeObject): number => Number(object.metadata.annotations?.[revisionAnnotation] ?? 0) || 0

/** One more than that of any older set. */
export const nextRevision = (older: readonly ReplicaSet[]): number => Math.max(0, ...older.map(revision)) + 1

/** The annotations that the newest set should have: the deployment's, a revision that only rises, and its past ones. */
export function setAnnotations(deployment: Deployment, set: Pick<ReplicaSet, 'metadata'> | undefined, next: number): Record<string, string> {
  const annotations: Record<string, string> = { ...set?.metadata.annotations }
  for (const [key, value] of Object.entries(deployment.metadata.annotations ?? {})) if (!ownAnnotations.has(key)) annotations[key] = value
  const current = annotations[revisionAnnotation]
  if (current !== undefined && Number(current) >= next) return annotations
  annotations[revisionAnnotation] = String(next)
  if (current !== undefined) annotations[historyAnnotation] = history(annotations[historyAnnotation], current)
  return annotations
}

function history(past: string | undefined, revision: string): string {
  const all = past ? [...past.split(','), revision] : [revision]
  while (all.length > 1 && all.join(',').length > maxHistory) all.shift()
  return all.join(',')
}

/** How many replicas the set's share was computed from: what proportional scaling starts from. */
export const replicasAnnotations = (desired: number, max: number): Record<string, string> =>
  ({ [desiredAnnotation]: String(desired), [maxAnnotation]: String(max) })
export const desiredOf = (set: ReplicaSet): number | undefined => annotatedNumber(set, desiredAnnotation)
export const maxOf = (set: ReplicaSet): number | undefined => annotatedNumber(set, maxAnnotation)
const annotatedNumber = (set: ReplicaSet, name: string) => {
  const text = set.metadata.annotations?.[name]
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : undefined
}
