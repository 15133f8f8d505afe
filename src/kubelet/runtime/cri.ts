// The container runtime as the kubelet sees it, in the words of Kubernetes's CRI. Two
// implementations: linux/ (namespaces, mounts, processes) and fake.ts (for the kubelet's own tests).

export interface PodSandboxConfig {
  readonly namespace: string
  readonly name: string
  readonly uid: string
  /** Counts up when a pod's sandbox is made again. */
  readonly attempt: number
  readonly hostname: string
  readonly labels: Readonly<Record<string, string>>
  readonly hostNetwork: boolean
  readonly hostPid: boolean
  /** Text of /etc/resolv.conf and /etc/hosts in every container; hosts may hold `$POD_IP`, replaced once known. */
  readonly resolvConf: string
  readonly hosts: string
  readonly sysctls: Readonly<Record<string, string>>
  /** hostPort mappings, applied in the node's network. */
  readonly portMappings: readonly { readonly hostIp: string; readonly hostPort: number; readonly containerPort: number; readonly protocol: 'TCP' | 'UDP' | 'SCTP' }[]
}

export interface PodSandbox {
  readonly id: string
  readonly config: PodSandboxConfig
  readonly state: 'ready' | 'notready'
  /** The pod's addresses, IPv4 first; the node's own for host network. */
  readonly ips: readonly string[]
  /** Milliseconds since 1970. */
  readonly createdAt: number
}

export interface Mount {
  readonly hostPath: string
  readonly containerPath: string
  readonly readonly: boolean
}

export interface ContainerConfig {
  readonly name: string
  readonly attempt: number
  /** As `pullImage` or `imageStatus` returned it. */
  readonly imageId: string
  /** Empty means the image's own. */
  readonly command: readonly string[]
  readonly args: readonly string[]
  readonly workingDir: string
  readonly env: readonly (readonly [name: string, value: string])[]
  readonly mounts: readonly Mount[]
  readonly stdin: boolean
  readonly tty: boolean
  /** The file that gets CRI log lines: `<RFC3339Nano> stdout F <line>`. */
  readonly logPath: string
  readonly security: {
    readonly privileged: boolean
    readonly runAsUser?: number
    readonly runAsGroup?: number
    readonly supplementalGroups: readonly number[]
    readonly readonlyRootFilesystem: boolean
    readonly addCapabilities: readonly string[]
    readonly dropCapabilities: readonly string[]
    readonly noNewPrivileges: boolean
  }
  readonly resources: { readonly memoryLimitBytes?: number; readonly cpuLimitMilli?: number; readonly cpuRequestMilli?: number; readonly pidsLimit?: number }
}

export interface Container {
  readonly id: string
  readonly sandboxId: string
  readonly name: string
  readonly attempt: number
  readonly imageId: string
  readonly image: string
  readonly state: 'created' | 'running' | 'exited'
  readonly pid?: number
  readonly createdAt: number
  readonly startedAt?: number
  readonly finishedAt?: number
  readonly exitCode?: number
  /** Completed, Error, OOMKilled, ContainerCannotRun */
  readonly reason?: string
  readonly message?: string
  readonly logPath: string
}

/** A running exec or attach. Byte streams; `resize` only with a terminal. */
export interface ExecSession {
  readonly stdin: import('node:stream').Writable | undefined
  readonly stdout: import('node:stream').Readable
  /** Absent with a terminal: all goes to stdout. */
  readonly stderr: import('node:stream').Readable | undefined
  resize(columns: number, rows: number): void
  kill(): void
  readonly exitCode: Promise<number>
}

export interface Image {
  readonly id: string
  readonly tags: readonly string[]
  /** `sha256:...` names with repository, when pulled from a registry. */
  readonly digests: readonly string[]
  readonly sizeBytes: number
  /** For a built-in image: what stands in for the one named, in words for the event `Pulled`. */
  readonly standIn?: string
  readonly user?: string
}

export interface ImagePullError extends Error { readonly reason: 'ErrImagePull' | 'InvalidImageName' | 'ErrImageNeverPull' | 'RegistryUnavailable' }

export interface RegistryAuth { readonly username?: string; readonly password?: string; readonly identityToken?: string }

export interface ImageService {
  /** undefined when the image is not on this node. */
  imageStatus(reference: string): Promise<Image | undefined>
  /** Throws ImagePullError. Tries `auths` in order, anonymously last. */
  pullImage(reference: string, auths: readonly RegistryAuth[]): Promise<Image>
  listImages(): Promise<Image[]>
}

export interface Runtime extends ImageService {
  runPodSandbox(config: PodSandboxConfig): Promise<PodSandbox>
  /** Kills what runs in it and takes its network down; idempotent. */
  stopPodSandbox(id: string): Promise<void>
  removePodSandbox(id: string): Promise<void>
  listPodSandboxes(): PodSandbox[]

  createContainer(sandboxId: string, config: ContainerConfig): Promise<Container>
  startContainer(id: string): Promise<void>
  /** The image's stop signal, then SIGKILL after `graceSeconds`; resolves when it has exited; idempotent. */
  stopContainer(id: string, graceSeconds: number): Promise<void>
  removeContainer(id: string): Promise<void>
  listContainers(): Container[]

  exec(containerId: string, options: { command: readonly string[]; tty: boolean; stdin: boolean }): Promise<ExecSession>
  attach(containerId: string, options: { stdin: boolean }): Promise<ExecSession>
  /** Exit status and output (bounded to 10 KiB) of an exec probe or a lifecycle hook; rejects on timeout. */
  execSync(containerId: string, command: readonly string[], timeoutMs: number): Promise<{ exitCode: number; output: string }>
  /** A TCP connection to a port inside the pod's network (port-forward, HTTP and TCP probes). */
  dial(sandboxId: string, host: string, port: number): Promise<import('node:net').Socket>
  /** Called whenever a container starts or exits, or a sandbox stops. */
  onEvent(listener: (event: { readonly sandboxId: string; readonly podUid: string; readonly containerId?: string }) => void): void
}
