// A DaemonSet's history (upstream's constructHistory, cleanupHistory): which revision is current and
// which may go. How revisions are made is history/revisions.ts's.
import type { ControllerRevision, DaemonSet } from '#api/apps/v1.ts'
import { history as historyOf, type History as Kept } from '../history/revisions.ts'
import { hashLabel } from './nodes.ts'

export interface History extends Kept {
  /** Beyond revisionHistoryLimit, and of no pod. */
  readonly remove: readonly ControllerRevision[]
}

export const hashOf = (revision: ControllerRevision): string => revision.metadata.labels?.[hashLabel] ?? ''

/** `live` are hashes that pods still have. */
export function history(set: DaemonSet, revisions: readonly ControllerRevision[], live: ReadonlySet<string>): History {
  const kept = historyOf(set, revisions, hashLabel)
  const excess = Math.max(0, kept.old.length - (set.spec.revisionHistoryLimit ?? 10))
  return { ...kept, remove: kept.old.filter(revision => !live.has(hashOf(revision))).slice(0, excess) }
}
