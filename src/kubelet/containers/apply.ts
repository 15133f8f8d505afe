// Starts and stops one container: image, configuration, creation, hooks, with upstream's events. It
// decides nothing about when; pods/worker.ts calls it.
import { chmod, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import type { Container as ContainerSpec, LifecycleHandler, Pod, Service } from '#api/core/v1.ts'
import type { Clock } from '#lib/clock.ts'
import type { Container, Image, ImagePullError, Mount, PodSandbox, Runtime } from '../runtime/cri.ts'
import { httpGet } from '../probes/apply.ts'
import { applySubPath } from '../volumes/apply.ts'
import { containerConfig } from './config.ts'
import { ConfigError, environment, type EnvContext, type ObjectLookup } from './env.ts'
import { expand } from './expansion.ts'
import { registryAuths } from './pull-secrets.ts'

export interface ContainerDeps {
  readonly runtime: Runtime
  readonly clock: Clock
  readonly objects: ObjectLookup
  /** Resolves to all Services once they have been read. */
  services(): Promise<readonly Service[]>
  readonly hostIps: readonly string[]
  readonly allocatable: Readonly<Record<string, string>>
  /** `<dataDir>/nodes/<node>` */
  readonly root: string
  event(pod: Pod, container: ContainerSpec | undefined, type: 'Normal' | 'Warning', reason: string, message: string): void
}

/** Why a container did not start: the reason and message of its waiting state. */
export class StartError extends Error {
  readonly reason: string
  constructor(reason: string, message: string) { super(message); this.reason = reason }
}

export interface StartInput {
  readonly pod: Pod
  readonly spec: ContainerSpec
  readonly init: boolean
  readonly attempt: number
  readonly sandbox: PodSandbox
  /** Where each volume is. */
  readonly volumes: ReadonlyMap<string, string>
  readonly signal: AbortSignal
}

export const podRoot = (root: string, uid: string): string => `${root}/pods/${uid}`
const messageFile = (root: string, uid: string, name: string, attempt: number) => `${podRoot(root, uid)}/containers/${name}/${attempt}`

/** Resolves when the container runs and its postStart hook has ended; throws StartError. */
export async function startContainer(deps: ContainerDeps, input: StartInput): Promise<void> {
  const { pod, spec, signal } = input
  const image = await ensureImage(deps, pod, spec)
  signal.throwIfAborted()
  const config = await configure(deps, input, image).catch(error => {
    deps.event(pod, spec, 'Warning', 'Failed', `Error: ${(error as Error).message}`)
    throw new StartError(error instanceof ConfigError ? 'CreateContainerConfigError' : 'CreateContainerError', (error as Error).message)
  })
  signal.throwIfAborted()
  const container = await deps.runtime.createContainer(input.sandbox.id, config).catch(error => {
    deps.event(pod, spec, 'Warning', 'Failed', `Error: ${(error as Error).message}`)
    throw new StartError('CreateContainerError', (error as Error).message)
  })
  deps.event(pod, spec, 'Normal', 'Created', 'Container created')
  if (signal.aborted) { await deps.runtime.removeContainer(container.id); signal.throwIfAborted() }
  try { await deps.runtime.startContainer(container.id) } catch (error) {
    deps.event(pod, spec, 'Warning', 'Failed', `Error: ${(error as Error).message}`)
    throw new StartError('RunContainerError', (error as Error).message)
  }
  deps.event(pod, spec, 'Normal', 'Started', 'Container started')
  if (spec.lifecycle?.postStart) await postStart(deps, input, container, spec.lifecycle.postStart)
}

async function ensureImage(deps: ContainerDeps, pod: Pod, spec: ContainerSpec): Promise<Image> {
  const name = spec.image ?? ''
  const policy = spec.imagePullPolicy ?? (/:(?!latest$)[^/]+$/.test(name) ? 'IfNotPresent' : 'Always')
  const say = (type: 'Normal' | 'Warning', reason: string, message: string) => deps.event(pod, spec, type, reason, message)
  try {
    const present = policy === 'Always' ? undefined : await deps.runtime.imageStatus(name)
    if (present) { say('Normal', 'Pulled', presentMessage(name, present)); return present }
    if (policy === 'Never') throw Object.assign(new Error(`Container image "${name}" is not present with pull policy of Never`), { reason: 'ErrImageNeverPull' })
    say('Normal', 'Pulling', `Pulling image "${name}"`)
    const began = deps.clock.now()
    const image = await deps.runtime.pullImage(name, registryAuths(name, pullSecrets(deps, pod)))
    const took = `${deps.clock.now() - began}ms`
    say('Normal', 'Pulled', image.standIn ? presentMessage(name, image) : `Successfully pulled image "${name}" in ${took} (${took} including waiting). Image size: ${image.sizeBytes} bytes.`)
    return image
  } catch (error) { throw imageError(name, error as ImagePullError, say) }
}

const presentMessage = (name: string, image: Image) =>
  `Container image "${name}" already present on machine${image.standIn ? `: ${image.standIn}` : ''}`

const pullSecrets = (deps: ContainerDeps, pod: Pod) => (pod.spec.imagePullSecrets ?? [])
  .map(({ name }) => deps.objects.secret(pod.metadata.namespace!, name ?? '')).filter(secret => secret !== undefined)

function imageError(name: string, error: ImagePullError, say: (type: 'Warning', reason: string, message: string) => void): StartError {
  const reason = error.reason ?? 'ErrImagePull'
  if (reason === 'InvalidImageName') say('Warning', 'InspectFailed', `Failed to apply default image tag "${name}": ${error.message}`)
  else if (reason === 'ErrImageNeverPull') say('Warning', 'ErrImageNeverPull', error.message)
  else say('Warning', 'Failed', `Failed to pull image "${name}": ${error.message}`)
  say('Warning', 'Failed', `Error: ${reason}`)
  return new StartError(reason, error.message)
}

async function configure(deps: ContainerDeps, input: StartInput, image: Image) {
  const { pod, spec, attempt, sandbox } = input
  const podIps = pod.spec.hostNetwork ? deps.hostIps : sandbox.ips
  const context: EnvContext = { objects: deps.objects, services: await deps.services(), podIps, hostIps: deps.hostIps, allocatable: deps.allocatable }
  const env = environment(pod, spec, context)
  const mounts = await containerMounts(deps, input, new Map(env))
  const config = containerConfig({ pod, container: spec, attempt, image, env, mounts, logRoot: `${deps.root}/log/pods` })
  await mkdir(config.logPath.slice(0, config.logPath.lastIndexOf('/')), { recursive: true })
  return config
}

async function containerMounts(deps: ContainerDeps, { pod, spec, attempt, volumes }: StartInput, env: ReadonlyMap<string, string>): Promise<Mount[]> {
  const mounts: Mount[] = []
  const root = podRoot(deps.root, pod.metadata.uid!)
  for (const [index, mount] of (spec.volumeMounts ?? []).entries()) {
    const volume = volumes.get(mount.name)
    if (volume === undefined) throw new ConfigError(`cannot find volume "${mount.name}" to mount into container "${spec.name}"`)
    const subPath = mount.subPathExpr ? expand(mount.subPathExpr, name => env.get(name)) : mount.subPath ?? ''
    if (subPath.startsWith('/') || subPath.split('/').includes('..')) throw new ConfigError(`subPath "${subPath}" must be a relative path without ".."`)
    const hostPath = subPath ? await applySubPath(volume, subPath, `${root}/volume-subpaths/${mount.name}/${spec.name}/${index}`)
      .catch(error => { throw new ConfigError(`failed to prepare subPath for volumeMount "${mount.name}" of container "${spec.name}": ${(error as Error).message}`) }) : volume
    mounts.push({ hostPath, containerPath: mount.mountPath, readonly: mount.readOnly === true || isFiles(pod, mount.name) })
  }
  const file = messageFile(deps.root, pod.metadata.uid!, spec.name, attempt)
  await mkdir(file.slice(0, file.lastIndexOf('/')), { recursive: true })
  await writeFile(file, '', { mode: 0o666 })
  await chmod(file, 0o666)
  return [...mounts, { hostPath: file, containerPath: spec.terminationMessagePath ?? '/dev/termination-log', readonly: false }]
}

/** configMap, secret, downwardAPI and projected volumes are read-only whatever the mount says (upstream since 1.10). */
const isFiles = (pod: Pod, name: string) => pod.spec.volumes?.some(volume => volume.name === name && (volume.configMap || volume.secret || volume.downwardAPI || volume.projected)) === true

async function postStart(deps: ContainerDeps, input: StartInput, container: Container, hook: LifecycleHandler): Promise<void> {
  try { await runHook(deps, input, container.id, hook, undefined) } catch {
    deps.event(input.pod, input.spec, 'Warning', 'FailedPostStartHook', 'PostStartHook failed')
    deps.event(input.pod, input.spec, 'Normal', 'Killing', 'FailedPostStartHook')
    await deps.runtime.stopContainer(container.id, input.pod.spec.terminationGracePeriodSeconds ?? 30)
    throw new StartError('PostStartHookError', 'PostStartHook failed')
  }
}

/** Without a timeout a hook may take as long as it wants, as upstream's postStart. */
async function runHook(deps: ContainerDeps, { pod, spec, sandbox }: Pick<StartInput, 'pod' | 'spec' | 'sandbox'>, containerId: string, hook: LifecycleHandler, timeoutMs = 2_147_483_647): Promise<void> {
  if (hook.exec) {
    const { exitCode, output } = await deps.runtime.execSync(containerId, hook.exec.command ?? [], timeoutMs)
    if (exitCode !== 0) throw new Error(`exit status ${exitCode}: ${output}`)
  } else if (hook.httpGet) {
    const podIp = (pod.spec.hostNetwork ? deps.hostIps : sandbox.ips)[0] ?? ''
    await httpGet(hook.httpGet, { runtime: deps.runtime, sandboxId: sandbox.id, containerId, podIp, container: spec }, timeoutMs)
  } else if (hook.sleep) await deps.clock.sleep(Math.min(hook.sleep.seconds * 1000, timeoutMs))
  else throw new Error('invalid handler: the hook has neither exec nor httpGet nor sleep')
}

export interface StopInput {
  readonly pod: Pod
  readonly spec: ContainerSpec | undefined
  readonly sandbox: PodSandbox | undefined
  readonly container: Container
  readonly message: string
  readonly graceSeconds: number
}

/** preStop counts against the grace; what it leaves, at least two seconds, is the container's. */
export async function stopContainer(deps: ContainerDeps, input: StopInput): Promise<void> {
  const { pod, spec, sandbox, container, graceSeconds } = input
  deps.event(pod, spec, 'Normal', 'Killing', input.message)
  const began = deps.clock.now()
  const hook = spec?.lifecycle?.preStop
  if (hook && sandbox && graceSeconds > 0 && container.state === 'running') {
    const done = runHook(deps, { pod, spec: spec!, sandbox }, container.id, hook, graceSeconds * 1000)
      .catch(() => deps.event(pod, spec, 'Warning', 'FailedPreStopHook', 'PreStopHook failed'))
    const over = new AbortController()
    await Promise.race([done, deps.clock.sleep(graceSeconds * 1000, over.signal).catch(() => {})])
    over.abort()
  }
  const left = graceSeconds - Math.floor((deps.clock.now() - began) / 1000)
  await deps.runtime.stopContainer(container.id, Math.max(left, Math.min(2, graceSeconds)))
}

const maxMessage = 4096, maxLogTail = 2048, maxLogLines = 80

/** What an ended container left for its status: its message file, or the end of its log where the policy says so. */
export async function terminationMessage(deps: ContainerDeps, pod: Pod, spec: ContainerSpec, container: Container): Promise<string | undefined> {
  const file = messageFile(deps.root, pod.metadata.uid!, spec.name, container.attempt)
  const text = (await readFile(file).catch(() => Buffer.alloc(0))).subarray(0, maxMessage).toString('utf8')
  if (text || spec.terminationMessagePolicy !== 'FallbackToLogsOnError' || container.exitCode === 0) return text || undefined
  const lines = (await readFile(container.logPath, 'utf8').catch(() => '')).trimEnd().split('\n').slice(-maxLogLines)
  const tail = Buffer.from(lines.map(line => line.split(' ').slice(3).join(' ') + '\n').join(''))
  return tail.subarray(Math.max(0, tail.length - maxLogTail)).toString('utf8') || undefined
}

/** Forgets a dead container of an earlier attempt, its log and its message. */
export async function removeContainer(deps: ContainerDeps, pod: Pod, container: Container): Promise<void> {
  await deps.runtime.removeContainer(container.id)
  await rm(messageFile(deps.root, pod.metadata.uid!, container.name, container.attempt), { force: true })
  await rm(container.logPath, { force: true })
}
