// What the runtime knows of its sandboxes and containers, and how that looks to the kubelet. The
// records change; what is handed out are copies. Pure.
import type { Container, ContainerConfig, PodSandbox, PodSandboxConfig } from '../cri.ts'

export interface SandboxRecord {
  readonly id: string
  readonly config: PodSandboxConfig
  readonly directory: string
  readonly createdAt: number
  readonly ips: readonly string[]
  /** Of the node's range; undefined with the node's own network. */
  readonly offset: number | undefined
  state: 'ready' | 'notready'
  stopping?: Promise<void>
}

export interface ContainerRecord {
  readonly id: string
  readonly sandbox: SandboxRecord
  readonly config: ContainerConfig
  readonly image: string
  readonly stopSignal: string
  readonly directory: string
  readonly createdAt: number
  state: 'created' | 'running' | 'exited'
  /** While it is being started: whoever wants to end it waits for that. */
  starting?: Promise<void>
  pid?: number
  startedAt?: number
  finishedAt?: number
  exitCode?: number
  reason?: string
  message?: string
}

export const sandboxView = ({ id, config, state, ips, createdAt }: SandboxRecord): PodSandbox => ({ id, config, state, ips, createdAt })

export function containerView(record: ContainerRecord): Container {
  const { id, config, image, state, createdAt, pid, startedAt, finishedAt, exitCode, reason, message } = record
  return {
    id, sandboxId: record.sandbox.id, name: config.name, attempt: config.attempt, imageId: config.imageId, image, state, createdAt, logPath: config.logPath,
    ...(pid !== undefined && state === 'running' && { pid }), ...(startedAt !== undefined && { startedAt }), ...(finishedAt !== undefined && { finishedAt }),
    ...(exitCode !== undefined && { exitCode }), ...(reason !== undefined && { reason }), ...(message !== undefined && { message }),
  }
}

/** containerd's reason for an exit. */
export const exitReason = (exitCode: number, oomKills: number): string =>
  oomKills > 0 && exitCode !== 0 ? 'OOMKilled' : exitCode === 0 ? 'Completed' : 'Error'
