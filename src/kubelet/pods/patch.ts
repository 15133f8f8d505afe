// The strategic merge patch that turns one pod status into another (upstream's PatchPodStatus):
// only what changed travels, and conditions of other writers survive. Pure.
import type { PodStatus } from '#api/core/v1.ts'
import { equal } from '#lib/equal.ts'

/** Lists of PodStatus that merge by a key (kubernetes-types.json); all others are replaced whole. */
const mergeKeys: Record<string, string> = { conditions: 'type', podIPs: 'ip', hostIPs: 'ip' }
type Item = Record<string, unknown>

/** `undefined` when nothing changed. The uid keeps the patch from landing on a namesake. */
export function statusPatch(uid: string, before: PodStatus | undefined, after: PodStatus): object | undefined {
  const old: Record<string, unknown> = { ...before }, now: Record<string, unknown> = { ...after }
  const status: Record<string, unknown> = {}
  for (const key of new Set([...Object.keys(old), ...Object.keys(now)])) {
    if (equal(old[key], now[key])) continue
    const mergeKey = mergeKeys[key]
    status[key] = mergeKey ? mergedList(old[key] as Item[] | undefined, now[key] as Item[] | undefined, mergeKey) : now[key] ?? null
  }
  return Object.keys(status).length === 0 ? undefined : { metadata: { uid }, status }
}

function mergedList(before: Item[] = [], after: Item[] = [], key: string): Item[] {
  const gone = before.filter(item => !after.some(other => other[key] === item[key]))
  const changed = after.flatMap(item => {
    const old = before.find(other => other[key] === item[key])
    if (old && equal(old, item)) return []
    const dropped = Object.keys(old ?? {}).filter(field => item[field] === undefined)
    return [{ ...item, ...Object.fromEntries(dropped.map(field => [field, null])) }]
  })
  return [...changed, ...gone.map(item => ({ $patch: 'delete', [key]: item[key] }))]
}
