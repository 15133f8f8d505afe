// What the runtime asks of its sandbox thread and what comes back: plain values, because they cross
// a thread border. The runtime decides (names, addresses, limits), the thread does.

/** A new sandbox. With `network` it gets a network namespace of its own, otherwise that of `netns`. */
export interface SandboxRequest {
  readonly kind: 'sandbox'
  readonly id: string
  readonly hostname: string
  /** The node's network, a path; undefined: this machine's. */
  readonly netns: string | undefined
  readonly network: { readonly link: string; readonly bridge: string; readonly address: string; readonly gateway: string } | undefined
  readonly sysctls: Readonly<Record<string, string>>
  /** Directory that gets the tmpfs behind the containers' /dev/shm. */
  readonly shm: string
}
export interface RemoveSandboxRequest { readonly kind: 'removeSandbox'; readonly id: string }

/** How the root directory of a container is put together; its directories exist. */
export interface RootPlan {
  /** Holds upper, work, usr-upper, usr-work and root. */
  readonly directory: string
  /** Topmost first. */
  readonly lowerDirs: readonly string[]
  readonly usrFromHost: boolean
  /** In a user namespace overlayfs keeps its marks in `user.` attributes. */
  readonly userxattr: boolean
  /** In the order to mount them. Files and directories. */
  readonly binds: readonly { readonly source: string; readonly target: string; readonly readonly: boolean }[]
  readonly shm: string
  readonly privileged: boolean
  readonly readonlyRoot: boolean
  /** Made when the image lacks it. */
  readonly workingDir: string
}

/** Who and what runs. `user` is resolved in the container's /etc/passwd and /etc/group. */
export interface ProcessPlan {
  readonly argv: readonly string[]
  readonly env: readonly string[]
  readonly workingDir: string
  /** `''`, `user`, `uid`, `user:group`, `uid:gid`, as in an image's configuration. */
  readonly user: string
  readonly group: number | undefined
  readonly supplementalGroups: readonly number[]
  /** Bit n: capability number n. */
  readonly capabilities: bigint
  readonly privileged: boolean
  readonly noNewPrivileges: boolean
}

export interface StartRequest {
  readonly kind: 'start'
  readonly id: string
  readonly sandboxId: string
  readonly root: RootPlan
  readonly process: ProcessPlan
  readonly hostPid: boolean
  readonly cgroupProcs: readonly string[]
  /** Descriptors for 0, 1 and 2; undefined: a new terminal. */
  readonly stdio: readonly [number, number, number] | undefined
}
export interface ExecRequest {
  readonly kind: 'exec'
  readonly id: string
  readonly containerId: string
  readonly argv: readonly string[]
  readonly stdio: readonly [number, number, number] | undefined
}
/** To pid 1 of a container or to an exec's process. False when it is gone. */
export interface SignalRequest { readonly kind: 'signal'; readonly id: string; readonly signal: number }

export type Request = SandboxRequest | RemoveSandboxRequest | StartRequest | ExecRequest | SignalRequest

/** A process that runs, or why it does not: `message` in runc's words, with the exit status that such a container gets. */
export type Started =
  | { readonly pid: number; readonly terminal: number | undefined }
  | { readonly message: string; readonly exitCode: number; readonly terminal: number | undefined }

export interface Results { sandbox: void; removeSandbox: void; start: Started; exec: Started; signal: boolean }

/** `id` of a start or an exec; after its last byte of output was written, before it was read. */
export interface ExitEvent { readonly kind: 'exit'; readonly id: string; readonly exitCode: number }
