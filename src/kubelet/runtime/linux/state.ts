// What the parts of a node's runtime share. Types only.
import type { EventEmitter } from 'node:events'
import type { Writable } from 'node:stream'
import type { Log } from '#lib/log.ts'
import type { ImageStore } from '../../images/store.ts'
import type { Range } from './ipam.ts'
import type { ContainerRecord, SandboxRecord } from './records.ts'
import type { SandboxThread } from './worker/apply.ts'

export interface RuntimeOptions {
  readonly nodeName: string
  /** `/run/netns/<node>`; undefined: this machine's own network. */
  readonly netns: string | undefined
  readonly nodeIp: string
  readonly podCidr: string
  /** The node's directory: `<data>/nodes/<node>`. */
  readonly root: string
  /** Directories of running pods: `<data>/sandboxes/<node>`. All of it is the runtime's. */
  readonly sandboxRoot: string
  readonly images: ImageStore
  readonly log: Log
  /** In a user namespace: other overlay attributes, and often a single uid. */
  readonly unprivileged: boolean
  /** Directory of the cluster's control groups below each hierarchy; `fairway` and a hash of sandboxRoot unless told. */
  readonly cgroup?: string
}

/** A running container's process as seen from here. */
export interface Live {
  readonly stdin: Writable | undefined
  /** Emits 'stdout' and 'stderr' with what the container writes, for attach. */
  readonly output: EventEmitter
  readonly resize: ((columns: number, rows: number) => void) | undefined
  /** Resolves when it has exited and its last output is in the log. */
  readonly exited: Promise<void>
}

export interface Node {
  readonly options: RuntimeOptions
  readonly thread: SandboxThread
  readonly range: Range
  /** Of the address given last. */
  lastOffset: number
  readonly sandboxes: Map<string, SandboxRecord>
  readonly containers: Map<string, ContainerRecord>
  /** By container id, while it runs. */
  readonly live: Map<string, Live>
  /** Prefix of the control groups: `fairway-<cluster>/<node>`. */
  readonly cgroups: string
  emit(sandbox: SandboxRecord, containerId?: string): void
  /** The same message only once: what this machine cannot do. */
  warnOnce(message: string, values?: Record<string, unknown>): void
}
