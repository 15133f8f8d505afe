// A DaemonSet's history: one ControllerRevision for each template it had, named by its hash
// (upstream's constructHistory). `kubectl rollout history` and `undo` read them.
import type { ControllerRevision, DaemonSet } from '#api/apps/v1.ts'
import type { PodTemplateSpec } from '#api/core/v1.ts'
import { templateHash, canonical } from '../deployment/hash.ts'
import { controllerReference } from '../pods/claim.ts'
import { hashLabel } from './nodes.ts'

export interface History {
  /** The revision of the current template: to be created, renumbered, or as it is. */
  readonly current: ControllerRevision
  readonly act: 'create' | 'update' | 'none'
  /** Beyond revisionHistoryLimit, and of no pod. */
  readonly remove: readonly ControllerRevision[]
}

/** A strategic merge patch that sets the template, as `kubectl rollout undo` applies it. */
const dataOf = (template: PodTemplateSpec) => ({ spec: { template: { ...structuredClone(template), $patch: 'replace' } } })

export const hashOf = (revision: ControllerRevision): string => revision.metadata.labels?.[hashLabel] ?? ''

/** `live` are hashes that pods still have. */
export function history(set: DaemonSet, revisions: readonly ControllerRevision[], live: ReadonlySet<string>): History {
  const sorted = [...revisions].sort((a, b) => a.revision - b.revision)
  const data = canonical(dataOf(set.spec.template)), next = (sorted.at(-1)?.revision ?? 0) + 1
  const same = sorted.filter(revision => canonical(revision.data) === data).at(-1)
  const current = same ? { ...same, revision: same === sorted.at(-1) ? same.revision : next } : draft(set, next)
  const old = sorted.filter(revision => revision !== same)
  const excess = Math.max(0, old.length - (set.spec.revisionHistoryLimit ?? 10))
  return { current, act: !same ? 'create' : current.revision === same.revision ? 'none' : 'update',
    remove: old.filter(revision => !live.has(hashOf(revision))).slice(0, excess) }
}

function draft(set: DaemonSet, revision: number): ControllerRevision {
  const hash = templateHash(set.spec.template, set.status?.collisionCount)
  return {
    apiVersion: 'apps/v1', kind: 'ControllerRevision', revision, data: dataOf(set.spec.template),
    metadata: {
      name: `${set.metadata.name}-${hash}`, namespace: set.metadata.namespace,
      labels: { ...set.spec.template.metadata?.labels, [hashLabel]: hash },
      ...(set.metadata.annotations && { annotations: { ...set.metadata.annotations } }), ownerReferences: [controllerReference(set)],
    },
  }
}
