// What a namespace's deletion shows of itself (upstream's status_condition_utils): the conditions
// that say what is still inside and why.
import type { Namespace, NamespaceCondition } from '#api/core/v1.ts'
import { time } from '#lib/clock.ts'

export interface Progress {
  /** `pods.` of a resource -> how many objects are left. */
  readonly remaining: ReadonlyMap<string, number>
  /** Finalizers that these wait for -> how many objects. */
  readonly finalizers: ReadonlyMap<string, number>
  readonly discoveryErrors: readonly string[]
  readonly contentErrors: readonly string[]
}

const counted = (counts: ReadonlyMap<string, number>, of: (name: string, count: number) => string) => [...counts].sort(([a], [b]) => a < b ? -1 : 1).map(([name, count]) => of(name, count)).join(', ')

export function conditions(namespace: Namespace, progress: Progress, now: number): NamespaceCondition[] {
  const { remaining, finalizers, discoveryErrors, contentErrors } = progress
  const shown: [type: string, bad: boolean, reason: [bad: string, good: string], message: [bad: string, good: string]][] = [
    ['NamespaceDeletionDiscoveryFailure', discoveryErrors.length > 0, ['DiscoveryFailed', 'ResourcesDiscovered'],
      [`Discovery failed for some groups, ${discoveryErrors.length} failing: ${discoveryErrors.join(', ')}`, 'All resources successfully discovered']],
    ['NamespaceDeletionGroupVersionParsingFailure', false, ['GroupVersionParsingFailed', 'ParsedGroupVersions'], ['', 'All legacy kube types successfully parsed']],
    ['NamespaceDeletionContentFailure', contentErrors.length > 0, ['ContentDeletionFailed', 'ContentDeleted'],
      [`Failed to delete all resource types, ${contentErrors.length} remaining: ${contentErrors.join(', ')}`, 'All content successfully deleted, may be waiting on finalization']],
    ['NamespaceContentRemaining', remaining.size > 0, ['SomeResourcesRemain', 'ContentRemoved'],
      [`Some resources are remaining: ${counted(remaining, (name, count) => `${name} has ${count} resource instances`)}`, 'All content successfully removed']],
    ['NamespaceFinalizersRemaining', finalizers.size > 0, ['SomeFinalizersRemain', 'ContentHasNoFinalizers'],
      [`Some content in the namespace has finalizers remaining: ${counted(finalizers, (name, count) => `${name} in ${count} resource instances`)}`, 'All content-preserving finalizers finished']],
  ]
  const before = namespace.status?.conditions ?? []
  const mine = new Set(shown.map(([type]) => type))
  return [...before.filter(condition => !mine.has(condition.type)), ...shown.map(([type, bad, reasons, messages]): NamespaceCondition => {
    const status = bad ? 'True' : 'False', known = before.find(condition => condition.type === type), i = bad ? 0 : 1
    return { type, status, reason: reasons[i], message: messages[i], lastTransitionTime: known?.status === status ? known.lastTransitionTime : time(now) }
  })]
}

/** Counts of finalizers over what is left. */
export function finalizerCounts(objects: readonly { metadata: { finalizers?: string[] } }[]): Map<string, number> {
  const counts = new Map<string, number>()
  for (const { metadata } of objects) for (const finalizer of metadata.finalizers ?? []) counts.set(finalizer, (counts.get(finalizer) ?? 0) + 1)
  return counts
}
