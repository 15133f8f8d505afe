// What to do next for a pod that should run: upstream's computePodActions as a pure function. It is
// asked again after every change; it never waits and keeps nothing. Stopping is in termination.ts.
import type { Container as ContainerSpec, ContainerStateWaiting, Pod } from '#api/core/v1.ts'
import type { Container } from '../runtime/cri.ts'
import { duration, retryAt } from './backoff.ts'
import { current, isSidecar, latest, type ContainerMemory, type PodSnapshot, type StartFailure } from './snapshot.ts'

export interface Kill {
  readonly container: Container
  /** Event `Killing`. */
  readonly message: string
  /** Seconds; undefined means the pod's own grace period. */
  readonly graceSeconds?: number
}
export interface PodActions {
  /** Make a sandbox, counting `attempt`. */
  readonly createSandbox?: { readonly attempt: number }
  /** Take the sandbox down; nothing will run in it again. */
  readonly stopSandbox?: string
  /** Names, in the order in which they must start. */
  readonly start: readonly string[]
  readonly kill: readonly Kill[]
  /** Containers that are held back, and why (status.state.waiting). */
  readonly waiting: ReadonlyMap<string, ContainerStateWaiting>
  /** When to ask again although nothing changed, in milliseconds since 1970. */
  readonly wakeAt?: number
  /** Everything has been stopped; the pod may be forgotten or deleted. */
  readonly stopped?: boolean
}

/** A failed start is tried again after this, when nothing that it needs changes before. */
const retryStartMs = 10_000
/** How long ErrImagePull shows before it becomes ImagePullBackOff (upstream: until the next sync). */
const errImagePullMs = 2_000
const retrySandboxMs = 2_000

export function podActions(snapshot: PodSnapshot): PodActions {
  if (snapshot.sandboxBusy) return idle
  if (!snapshot.sandbox || snapshot.sandbox.state !== 'ready') return sandboxActions(snapshot)
  const plan = new Plan(snapshot)
  const initialized = planInitContainers(plan)
  if (initialized) planContainers(plan)
  return plan.actions()
}

const idle: PodActions = { start: [], kill: [], waiting: new Map() }

function sandboxActions(snapshot: PodSnapshot): PodActions {
  const { pod, sandbox, now } = snapshot
  const wanted = pod.spec.containers.some(spec => shouldRun(snapshot, spec))
  const initFailed = pod.spec.restartPolicy === 'Never' && (pod.spec.initContainers ?? []).some(spec => !isSidecar(spec) && failed(latest(snapshot, spec.name)))
  if (!wanted || initFailed) return { ...idle, stopped: true }
  if (!snapshot.volumesReady) return idle
  if (snapshot.sandboxFailedAt !== undefined && now < snapshot.sandboxFailedAt + retrySandboxMs)
    return { ...idle, wakeAt: snapshot.sandboxFailedAt + retrySandboxMs }
  // A dead sandbox takes its containers with it before the next one is made.
  const alive = snapshot.containers.filter(container => container.state === 'running')
  if (alive.length) return { ...idle, kill: alive.filter(({ name }) => !snapshot.memory.get(name)?.busy).map(container => ({ container, message: 'Pod sandbox changed, it will be killed and re-created.', graceSeconds: 1 })) }
  return { ...idle, createSandbox: { attempt: sandbox ? sandbox.config.attempt + 1 : 0 } }
}

const failed = (container: Container | undefined) => container?.state === 'exited' && container.exitCode !== 0

/** Upstream's ShouldContainerBeRestarted: absent, or ended in a way that the restart policy repeats. */
function shouldRun({ pod, containers }: PodSnapshot, spec: ContainerSpec): boolean {
  const container = containers.findLast(({ name }) => name === spec.name)
  if (!container || container.state !== 'exited') return true
  return restarts(pod, spec, container)
}

function restarts(pod: Pod, spec: ContainerSpec, container: Container): boolean {
  const policy = spec.restartPolicy ?? pod.spec.restartPolicy ?? 'Always'
  return policy === 'Always' || (policy === 'OnFailure' && container.exitCode !== 0)
}

/** Gathers the decisions of one round. */
class Plan {
  readonly snapshot: PodSnapshot
  readonly start: string[] = []
  readonly kill: Kill[] = []
  readonly waiting = new Map<string, ContainerStateWaiting>()
  wakeAt: number | undefined
  stopSandbox: string | undefined

  constructor(snapshot: PodSnapshot) { this.snapshot = snapshot }

  wake(at: number) { this.wakeAt = Math.min(this.wakeAt ?? Infinity, at) }

  /** Starts a container now, or says why it has to wait. */
  tryStart(spec: ContainerSpec) {
    const memory = this.snapshot.memory.get(spec.name)
    if (memory?.busy) { if (memory.failure) this.waiting.set(spec.name, { reason: memory.failure.reason, message: memory.failure.message }); return }
    const hold = holdBack(this.snapshot, spec)
    if (hold) this.waiting.set(spec.name, hold.waiting)
    if (hold && hold.until > this.snapshot.now) this.wake(hold.until)
    else this.start.push(spec.name)
  }

  killContainer(container: Container, message: string, graceSeconds?: number) {
    if (this.snapshot.memory.get(container.name)?.busy === 'stopping') return
    this.kill.push({ container, message, ...(graceSeconds !== undefined && { graceSeconds }) })
  }

  /** A failed probe's own grace period goes before the pod's (KEP-2238). */
  killUnhealthy(spec: ContainerSpec, container: Container, failed: 'liveness' | 'startup', words: string) {
    const again = isSidecar(spec) || (this.snapshot.pod.spec.restartPolicy ?? 'Always') !== 'Never'
    const probe = failed === 'liveness' ? spec.livenessProbe : spec.startupProbe
    this.killContainer(container, `${words} ${spec.name} failed ${failed} probe${again ? ', will be restarted' : ''}`, probe?.terminationGracePeriodSeconds)
  }

  actions(): PodActions {
    return { start: this.stopSandbox ? [] : this.start, kill: this.kill, waiting: this.waiting,
      ...(this.stopSandbox !== undefined && { stopSandbox: this.stopSandbox }), ...(this.wakeAt !== undefined && { wakeAt: this.wakeAt }) }
  }
}

/** Until when a container that should run must not be started, and what its status says meanwhile. */
export function holdBack(snapshot: PodSnapshot, spec: ContainerSpec): { until: number; waiting: ContainerStateWaiting } | undefined {
  const { pod, now } = snapshot
  const memory = snapshot.memory.get(spec.name)
  const failure = memory?.failure
  const last = latest(snapshot, spec.name)
  // What ran at all, however briefly, waits as any container that ended.
  const ran = failure && last?.state === 'exited' && (failure.reason === 'RunContainerError' || failure.reason === 'PostStartHookError')
  if (memory && failure && !ran) return heldByFailure(spec, failure, memory, now)
  if (last?.state !== 'exited' || !memory?.restart) return undefined
  const until = retryAt(memory.restart, last.finishedAt ?? last.createdAt)
  if (until <= now) return undefined
  return { until, waiting: { reason: 'CrashLoopBackOff', message:
    `back-off ${duration(memory.restart.delayMs)} restarting failed container=${spec.name} pod=${pod.metadata.name}_${pod.metadata.namespace}(${pod.metadata.uid})` } }
}

function heldByFailure(spec: ContainerSpec, failure: StartFailure, memory: ContainerMemory, now: number) {
  if (failure.reason !== 'ErrImagePull' && failure.reason !== 'RegistryUnavailable')
    return { until: failure.at + retryStartMs, waiting: { reason: failure.reason, message: failure.message } }
  const retry = failure.at + (memory.pull?.delayMs ?? retryStartMs)
  if (now < failure.at + errImagePullMs) return { until: failure.at + errImagePullMs, waiting: { reason: failure.reason, message: failure.message } }
  return { until: retry, waiting: { reason: 'ImagePullBackOff', message: `Back-off pulling image "${spec.image}": ${failure.reason}: ${failure.message}` } }
}

/** Plans the init containers and sidecars; true when the main containers may run. */
function planInitContainers(plan: Plan): boolean {
  const { snapshot } = plan
  const { pod } = snapshot
  const specs = pod.spec.initContainers ?? []
  // Upstream: once a main container ran in this sandbox, every init container has done its work.
  const before = pod.spec.containers.some(spec => ['running', 'exited'].includes(current(snapshot, spec.name)?.state ?? ''))
  for (const [index, spec] of specs.entries()) {
    const laterBegun = before || specs.slice(index + 1).some(later => current(snapshot, later.name))
    if (isSidecar(spec) ? !planSidecar(plan, spec, laterBegun) : !before && !planInitContainer(plan, spec)) return false
  }
  return true
}

/** True when the next container may be looked at. */
function planSidecar(plan: Plan, spec: ContainerSpec, laterBegun: boolean): boolean {
  if (plan.snapshot.pod.spec.containers.every(main => ended(plan.snapshot, main))) return true
  const container = current(plan.snapshot, spec.name)
  if (container?.state === 'created') return laterBegun
  if (container?.state !== 'running') { plan.tryStart(spec); return laterBegun }
  const probe = plan.snapshot.probes.get(container.id)
  if (probe?.failed) plan.killUnhealthy(spec, container, probe.failed, 'Init container')
  return laterBegun || probe?.started !== false
}

function planInitContainer(plan: Plan, spec: ContainerSpec): boolean {
  const { snapshot } = plan
  const container = current(snapshot, spec.name)
  if (container?.state === 'exited' && container.exitCode === 0) return true
  if (container?.state === 'running' || container?.state === 'created') return false
  if (failed(container) && snapshot.pod.spec.restartPolicy === 'Never') plan.stopSandbox = snapshot.sandbox!.id
  else plan.tryStart(spec)
  return false
}

/** A main container that has ended for good. */
const ended = (snapshot: PodSnapshot, spec: ContainerSpec) => !shouldRun(snapshot, spec)

function planContainers(plan: Plan): void {
  const { snapshot } = plan
  let keep = 0
  for (const spec of snapshot.pod.spec.containers) {
    const container = latest(snapshot, spec.name)
    const here = current(snapshot, spec.name)
    if (here && here.state !== 'exited') {
      keep++
      const probe = snapshot.probes.get(here.id)
      const image = snapshot.memory.get(spec.name)?.image
      if (here.state === 'running' && image !== undefined && image !== spec.image) plan.killContainer(here, `Container ${spec.name} definition changed, will be restarted`)
      else if (probe?.failed) plan.killUnhealthy(spec, here, probe.failed, 'Container')
    } else if (!container || container.state !== 'exited' || restarts(snapshot.pod, spec, container)) {
      keep++
      plan.tryStart(spec)
    }
  }
  if (keep === 0) stopSidecarsThenSandbox(plan)
}

function stopSidecarsThenSandbox(plan: Plan): void {
  const { snapshot } = plan
  const sidecars = (snapshot.pod.spec.initContainers ?? []).filter(isSidecar).toReversed()
  const running = sidecars.map(spec => current(snapshot, spec.name)).find(container => container?.state === 'running')
  if (running) plan.killContainer(running, `Stopping container ${running.name}`)
  else plan.stopSandbox = snapshot.sandbox!.id
}
