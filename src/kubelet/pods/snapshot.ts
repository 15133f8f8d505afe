// All that a decision about one pod may look at: the pod as the API has it, its sandbox and
// containers as the runtime has them, and what its worker remembers. Values only.
import type { Container as ContainerSpec, ContainerStateTerminated, ContainerStatus, Pod } from '#api/core/v1.ts'
import type { Container, PodSandbox } from '../runtime/cri.ts'
import type { Backoff } from './backoff.ts'

/** What a worker remembers of one container (by name) besides what the runtime knows. */
export interface ContainerMemory {
  /** An operation on this container is under way. */
  readonly busy?: 'starting' | 'stopping'
  /** Why the last attempt to start it failed. */
  readonly failure?: StartFailure
  /** The image that the spec named when it was started last. */
  readonly image?: string
  readonly restart?: Backoff
  readonly pull?: Backoff
}
export interface StartFailure {
  /** ErrImagePull, InvalidImageName, ErrImageNeverPull, CreateContainerConfigError, RunContainerError, ... */
  readonly reason: string
  readonly message: string
  readonly at: number
}

/** What the probes of a running container say; absent means no probe of that kind or no result yet. */
export interface ProbeView {
  /** The startup probe has succeeded, or there is none. */
  readonly started: boolean
  readonly ready: boolean
  readonly failed?: 'liveness' | 'startup'
}

export interface PodSnapshot {
  readonly pod: Pod
  readonly now: number
  /** The newest sandbox of this pod, ready or not. */
  readonly sandbox: PodSandbox | undefined
  /** Oldest first; those that only the API remembers have sandboxId ''. */
  readonly containers: readonly Container[]
  readonly memory: ReadonlyMap<string, ContainerMemory>
  /** By container id. */
  readonly probes: ReadonlyMap<string, ProbeView>
  /** When this kubelet first saw the pod. */
  readonly startedAt: number
  /** Volumes are in place, so containers may start. */
  readonly volumesReady: boolean
  readonly sandboxFailedAt?: number
  /** A sandbox is being made or taken down. */
  readonly sandboxBusy?: boolean
  /** The proxies have had their time to forget the pod: it may be stopped. */
  readonly drained: boolean
}

export const isSidecar = (spec: ContainerSpec): boolean => spec.restartPolicy === 'Always'
export const isTerminal = (pod: Pod): boolean => pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed'

/** The newest container of a name; `undefined` when it never ran. */
export const latest = (snapshot: PodSnapshot, name: string): Container | undefined =>
  snapshot.containers.findLast(container => container.name === name)

/** The newest container of a name that is still there in the present sandbox. */
export const current = (snapshot: PodSnapshot, name: string): Container | undefined => {
  const container = latest(snapshot, name)
  return container && container.sandboxId === snapshot.sandbox?.id ? container : undefined
}

/** When activeDeadlineSeconds ends the pod, if ever. */
export function deadline({ pod, startedAt }: Pick<PodSnapshot, 'pod' | 'startedAt'>): number | undefined {
  const seconds = pod.spec.activeDeadlineSeconds
  return seconds === undefined ? undefined : startedAt + seconds * 1000
}

/** Why the pod must stop, if it must: it is deleted, its deadline has passed, or it has already ended. */
export function stopReason(snapshot: Pick<PodSnapshot, 'pod' | 'startedAt' | 'now'>): 'deleted' | 'deadline' | 'ended' | undefined {
  if (snapshot.pod.metadata.deletionTimestamp) return 'deleted'
  const end = deadline(snapshot)
  if (end !== undefined && snapshot.now >= end) return 'deadline'
  return isTerminal(snapshot.pod) ? 'ended' : undefined
}

/**
 * Containers that the API's status tells of but no runtime knows, as after a crash of the whole node: a
 * running one counts as killed (upstream: ContainerStatusUnknown, 137), an ended one as it ended.
 */
export function lostContainers(pod: Pod, now: number): Container[] {
  const statuses = [...pod.status?.initContainerStatuses ?? [], ...pod.status?.containerStatuses ?? []]
  return statuses.flatMap(status => {
    const before = status.lastState?.terminated
    const end = status.state?.terminated ?? (status.state?.running && unknownEnd(status, now))
    // While it waits to be started again, lastState is the newest that ran and restartCount is its own.
    if (!end) return before ? [lostContainer(status, before, status.restartCount)] : []
    return [...(before ? [lostContainer(status, before, status.restartCount - 1)] : []), lostContainer(status, end, status.restartCount)]
  })
}

const unknownEnd = (status: ContainerStatus, now: number): ContainerStateTerminated => ({
  exitCode: 137, reason: 'ContainerStatusUnknown',
  message: 'The container could not be located when the pod was deleted.  The container used to be Running',
  startedAt: status.state?.running?.startedAt, finishedAt: new Date(now).toISOString(), containerID: status.containerID,
})

function lostContainer(status: ContainerStatus, ended: ContainerStateTerminated, attempt: number): Container {
  const id = (ended.containerID ?? status.containerID ?? '').replace(/^.*:\/\//, '')
  const startedAt = ended.startedAt ? Date.parse(ended.startedAt) : undefined
  return {
    id, sandboxId: '', name: status.name, attempt, imageId: status.imageID, image: status.image, state: 'exited',
    createdAt: startedAt ?? 0, ...(startedAt !== undefined && { startedAt }),
    ...(ended.finishedAt && { finishedAt: Date.parse(ended.finishedAt) }),
    exitCode: ended.exitCode, reason: ended.reason ?? 'Error', ...(ended.message && { message: ended.message }), logPath: '',
  }
}
