// The words of a FailedScheduling event, as upstream's FitError writes them.
import type { Refusal } from './schedule.ts'

export function message(refusals: readonly Refusal[]): string {
  if (refusals.length === 0) return 'no nodes available to schedule pods'
  const available = `0/${refusals.length} nodes are available:`
  // Fairway's scheduler preempts nobody; a node where it could help is reported as one without victims.
  const preemption = refusals.map(refusal => refusal.final ? 'Preemption is not helpful for scheduling' : 'No preemption victims found for incoming pod')
  return `${available} ${counted(refusals.flatMap(refusal => refusal.reasons))}. ` +
    `no new claims to deallocate, preemption: ${available} ${counted(preemption)}.`
}

const counted = (reasons: readonly string[]): string => {
  const counts = new Map<string, number>()
  for (const reason of reasons) counts.set(reason, (counts.get(reason) ?? 0) + 1)
  return [...counts].map(([reason, count]) => `${count} ${reason}`).sort().join(', ')
}
