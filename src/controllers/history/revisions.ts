// The history of a DaemonSet or StatefulSet: one ControllerRevision for each template it had, named
// by its hash (upstream's pkg/controller/history). `kubectl rollout history` and `undo` read them.
import type { ControllerRevision } from '#api/apps/v1.ts'
import type { PodTemplateSpec } from '#api/core/v1.ts'
import type { KubeObject } from '#api/object.ts'
import { canonical, templateHash } from '../deployment/hash.ts'
import { controllerReference } from '../pods/claim.ts'

/** What has a history. */
export interface Workload extends KubeObject {
  readonly spec: { readonly template: PodTemplateSpec; readonly revisionHistoryLimit?: number }
  readonly status?: { readonly collisionCount?: number }
}

export interface History {
  /** The revision of the current template: to be created, renumbered, or as it is. */
  readonly current: ControllerRevision
  readonly act: 'create' | 'update' | 'none'
  /** All others, oldest first. */
  readonly old: readonly ControllerRevision[]
}

/** A strategic merge patch that sets the template, as `kubectl rollout undo` applies it. */
const dataOf = (template: PodTemplateSpec) => ({ spec: { template: { ...structuredClone(template), $patch: 'replace' } } })

/** The template that a revision keeps (upstream's ApplyRevision). */
export function templateOf(revision: ControllerRevision): PodTemplateSpec | undefined {
  const { $patch: _, ...template } = (revision.data as Partial<ReturnType<typeof dataOf>> | undefined)?.spec?.template ?? {}
  return 'spec' in template ? template as PodTemplateSpec : undefined
}

/** `hashLabel` is the label of a revision that holds its hash. */
export function history(set: Workload, revisions: readonly ControllerRevision[], hashLabel: string): History {
  const sorted = [...revisions].sort((a, b) => a.revision - b.revision)
  const data = canonical(dataOf(set.spec.template)), next = (sorted.at(-1)?.revision ?? 0) + 1
  const same = sorted.filter(revision => canonical(revision.data) === data).at(-1)
  // A template that was there before comes back under its old name and the newest number.
  const current = same ? { ...same, revision: same === sorted.at(-1) ? same.revision : next } : draft(set, next, hashLabel)
  return { current, act: !same ? 'create' : current.revision === same.revision ? 'none' : 'update', old: sorted.filter(revision => revision !== same) }
}

function draft(set: Workload, revision: number, hashLabel: string): ControllerRevision {
  const hash = templateHash(set.spec.template, set.status?.collisionCount || undefined)
  return {
    apiVersion: 'apps/v1', kind: 'ControllerRevision', revision, data: dataOf(set.spec.template),
    metadata: {
      name: `${set.metadata.name}-${hash}`, namespace: set.metadata.namespace,
      labels: { ...set.spec.template.metadata?.labels, [hashLabel]: hash },
      ...(set.metadata.annotations && { annotations: { ...set.metadata.annotations } }), ownerReferences: [controllerReference(set)],
    },
  }
}
