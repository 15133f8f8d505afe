// What to do next for a pod that must stop: main containers first and together, then sidecars in
// reverse order (KEP-753), then the sandbox. Pure; a deleted pod waits first until the proxies have
// forgotten it (endpoints.ts decides that).
import type { PodActions, Kill } from './actions.ts'
import { isSidecar, stopReason, type PodSnapshot } from './snapshot.ts'

/** Upstream's minimumGracePeriodInSeconds, also what is left when preStop used the grace up. */
export const minimumGraceSeconds = 2

export function terminationActions(snapshot: PodSnapshot, stoppingSince: number | undefined): PodActions {
  const nothing: PodActions = { start: [], kill: [], waiting: new Map() }
  if (snapshot.sandboxBusy) return nothing
  const alive = snapshot.containers.filter(container => container.state !== 'exited' && container.sandboxId !== '')
  if (alive.length && !snapshot.drained) return nothing
  const starting = [...snapshot.memory.values()].some(memory => memory.busy === 'starting')
  if (alive.length) return { ...nothing, kill: kills(snapshot, alive, stoppingSince) }
  if (starting) return nothing
  return snapshot.sandbox?.state === 'ready' ? { ...nothing, stopSandbox: snapshot.sandbox.id } : { ...nothing, stopped: true }
}

function kills(snapshot: PodSnapshot, alive: PodSnapshot['containers'], stoppingSince: number | undefined): Kill[] {
  const sidecars = (snapshot.pod.spec.initContainers ?? []).filter(isSidecar).map(spec => spec.name)
  const main = alive.filter(container => !sidecars.includes(container.name))
  const lastSidecar = alive.toSorted((a, b) => sidecars.indexOf(b.name) - sidecars.indexOf(a.name))[0]!
  const spent = stoppingSince === undefined ? 0 : (snapshot.now - stoppingSince) / 1000
  const left = graceSeconds(snapshot) - Math.floor(spent)
  const due = main.length ? main : [lastSidecar]
  return due.filter(container => snapshot.memory.get(container.name)?.busy !== 'stopping')
    .map(container => ({ container, message: `Stopping container ${container.name}`,
      graceSeconds: main.length ? graceSeconds(snapshot) : Math.max(left, minimumGraceSeconds) }))
}

/** The grace that a pod's containers get when it stops now. */
export function graceSeconds(snapshot: PodSnapshot): number {
  const { metadata, spec } = snapshot.pod
  // A force deletion (grace 0) still leaves one second, as upstream's killPod does.
  if (stopReason(snapshot) === 'deleted') return Math.max(metadata.deletionGracePeriodSeconds ?? spec.terminationGracePeriodSeconds ?? 30, 1)
  return spec.terminationGracePeriodSeconds ?? 30
}
