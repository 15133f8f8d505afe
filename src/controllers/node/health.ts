// When a node counts as lost, and what its status then says (upstream's nodelifecycle controller).
// Ages are measured by the controller's own clock from the last sign of life it saw: clocks of
// different machines are never compared.
import type { Node, NodeCondition } from '#api/core/v1.ts'
import { time } from '#lib/clock.ts'

/** node-monitor-grace-period; a node that never reported gets node-startup-grace-period. */
export const graceMs = 50_000, startupGraceMs = 60_000

export const readyOf = (node: Node): NodeCondition | undefined => node.status?.conditions?.find(condition => condition.type === 'Ready')

/** What tells that the node lives: a renewed lease, or a status that it wrote itself. */
export const signOfLife = (node: Node, leaseRenewTime: string | undefined): string =>
  `${leaseRenewTime ?? ''} ${readyOf(node)?.lastHeartbeatTime ?? ''} ${readyOf(node)?.status === 'Unknown' ? '' : readyOf(node)?.status ?? ''}`

const watched = ['Ready', 'MemoryPressure', 'DiskPressure', 'PIDPressure']

/** The conditions of a node that was last seen alive at `lastSeen`; undefined while it may be alive or when they say so already. */
export function lostConditions(node: Node, { lastSeen, now }: { lastSeen: number; now: number }): NodeCondition[] | undefined {
  const known = node.status?.conditions ?? []
  if (now < lastSeen + (readyOf(node) ? graceMs : startupGraceMs)) return undefined
  const lost = watched.flatMap((type): NodeCondition[] => {
    const condition = known.find(candidate => candidate.type === type)
    if (!condition) return [{ type, status: 'Unknown', reason: 'NodeStatusNeverUpdated', message: 'Kubelet never posted node status.', lastHeartbeatTime: node.metadata.creationTimestamp, lastTransitionTime: time(now) }]
    return condition.status === 'Unknown' ? [] : [{ ...condition, status: 'Unknown', reason: 'NodeStatusUnknown', message: 'Kubelet stopped posting node status.', lastTransitionTime: time(now) }]
  })
  return lost.length === 0 ? undefined : [...known.filter(condition => !lost.some(other => other.type === condition.type)), ...lost]
}
