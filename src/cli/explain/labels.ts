// The nearest miss of a selector: the pods whose labels come closest, and in what they differ.
import type { Pod } from '#api/core/v1.ts'
import { unlikeness } from './likeness.ts'

/** How one label of the selector is missed: by its value, by its key, or altogether. */
export type Miss =
  | { readonly key: string; readonly wanted: string; readonly kind: 'value'; readonly found: string }
  | { readonly key: string; readonly wanted: string; readonly kind: 'key'; readonly found: string }
  | { readonly key: string; readonly wanted: string; readonly kind: 'absent' }

export interface NearMiss { readonly pods: readonly Pod[]; readonly misses: readonly Miss[] }

type Labels = Readonly<Record<string, string>>

/** Undefined when no pod shares a label with the selector, nor has one that looks like a mistake. */
export function nearMiss(selector: Labels, pods: readonly Pod[]): NearMiss | undefined {
  const groups = new Map<string, { pods: Pod[]; misses: Miss[]; cost: number }>()
  const wanted = Object.entries(selector)
  for (const pod of pods) {
    const judged = wanted.map(([key, value]) => judge({ key, value }, pod.metadata.labels ?? {}, selector))
    const misses = judged.flatMap(({ miss }) => miss ? [miss] : [])
    const cost = judged.reduce((sum, { cost }) => sum + cost, 0)
    // Alike enough for a mistake, or right in part: a pod must carry all of the labels, not some.
    if (misses.length === wanted.length && cost / wanted.length > 0.6) continue
    const id = JSON.stringify(misses)
    const group = groups.get(id) ?? { pods: [], misses, cost }
    group.pods.push(pod)
    groups.set(id, group)
  }
  return [...groups.values()].sort((a, b) => a.cost - b.cost || b.pods.length - a.pods.length)[0]
}

function judge({ key, value }: { key: string; value: string }, labels: Labels, selector: Labels): { cost: number; miss?: Miss } {
  const found = labels[key]
  if (found === value) return { cost: 0 }
  if (found !== undefined) return { cost: unlikeness(value, found) + 0.2, miss: { key, wanted: value, kind: 'value', found } }
  const other = Object.entries(labels).filter(([name, its]) => its === value && !Object.hasOwn(selector, name))
    .map(([name]) => ({ name, cost: keyUnlikeness(key, name) })).sort((a, b) => a.cost - b.cost)[0]
  if (other && other.cost <= 0.5) return { cost: other.cost + 0.2, miss: { key, wanted: value, kind: 'key', found: other.name } }
  return { cost: 1, miss: { key, wanted: value, kind: 'absent' } }
}

/** `app` and `app.kubernetes.io/name` are the same idea under two names. */
const keyUnlikeness = (a: string, b: string): number =>
  [a, b].every(key => appKeys.includes(key)) ? 0.2 : unlikeness(a, b)
const appKeys = ['app', 'k8s-app', 'app.kubernetes.io/name', 'run', 'name']

/** `app=microservice-on` (it wants `app=microservice-one`). */
export function missText(miss: Miss): string {
  if (miss.kind === 'value') return `${miss.key}=${miss.found}`
  return miss.kind === 'key' ? `${miss.found}=${miss.wanted}` : `no label ${miss.key}`
}
