// One pod's worker: looks, asks actions.ts or termination.ts what to do, starts it, reports the
// status, and looks again after every change. It holds what is remembered of the pod; all effects
// are PodHands' (apply.ts), so that this file is state and order only.
import type { Container as ContainerSpec, Pod, PodStatus } from '#api/core/v1.ts'
import { equal } from '#lib/equal.ts'
import type { Clock } from '#lib/clock.ts'
import type { Log } from '#lib/log.ts'
import type { Container, PodSandbox } from '../runtime/cri.ts'
import { podActions, type Kill, type PodActions } from './actions.ts'
import { nextBackoff } from './backoff.ts'
import { drain, type Drain, type Offer } from './endpoints.ts'
import { deadline, latest, lostContainers, stopReason, type ContainerMemory, type PodSnapshot, type ProbeView } from './snapshot.ts'
import { podStatus } from './status.ts'
import { graceSeconds, terminationActions } from './termination.ts'

/** The effects of one pod. Each reports its own events. */
export interface PodHands {
  sandbox(): PodSandbox | undefined
  /** Everything that the runtime knows of this pod, oldest first. */
  containers(): Container[]
  /** Config maps, secrets and tokens fetched, volumes on disk; resolves to when a token must be renewed. Throws when something is missing. */
  mountVolumes(pod: Pod): Promise<number | undefined>
  createSandbox(pod: Pod, attempt: number): Promise<void>
  stopSandbox(id: string): Promise<void>
  /** Resolves when it runs and postStart is over; throws an Error with a `reason`. */
  start(pod: Pod, spec: ContainerSpec, attempt: number, signal: AbortSignal): Promise<void>
  stop(pod: Pod, kill: Kill, graceSeconds: number): Promise<void>
  /** Cuts a stop under way short. */
  hasten(containerId: string, graceSeconds: number): void
  terminationMessage(pod: Pod, container: Container): Promise<string | undefined>
  /** Keeps the probes of exactly these running containers going. */
  probe(pod: Pod, running: readonly Container[]): ReadonlyMap<string, ProbeView>
  offer(pod: Pod): Offer
  backOff(pod: Pod, spec: ContainerSpec, reason: string): void
  report(status: PodStatus): void
  /** Resolves when what was reported is in the API. */
  flush(): Promise<void>
  /** The final status is in the API: deletes the pod object there. */
  finish(pod: Pod): Promise<void>
  /** Forgets all that is left of the pod on this node. */
  cleanUp(): Promise<void>
  readonly hostIps: readonly string[]
  /** The status that was reported last. */
  reported(): PodStatus | undefined
}

export interface WorkerOptions { readonly hands: PodHands; readonly clock: Clock; readonly log: Log; done(): void }

const retryVolumesMs = 500, maxRetryVolumesMs = 122_000 // upstream's exponentialbackoff for volumes
const maxLooksAtOnce = 100

export class PodWorker {
  #pod: Pod
  readonly #hands: PodHands
  readonly #options: WorkerOptions
  readonly #memory = new Map<string, ContainerMemory>()
  /** What ended containers left to say; '' until it is read. */
  readonly #messages = new Map<string, string>()
  readonly #startedAt: number
  /** What ran before this agent did: after a crash of everything only the API remembers it. */
  readonly #lost: readonly Container[]
  readonly #aborts = new Map<string, AbortController>()
  readonly #announced = new Map<string, string>()
  #scheduled = false
  #looks = 0
  #lookedAt = 0
  #ended = false
  #gone = false
  #volumes: { readonly state: 'due' | 'mounting' | 'ready'; readonly once: boolean; readonly failures: number; readonly dueAt?: number } = { state: 'due', once: false, failures: 0 }
  #sandboxBusy = false
  #sandboxFailedAt: number | undefined
  #drain: Drain | undefined
  #drained = false
  #stoppingSince: number | undefined
  #finishing = false
  #wake: AbortController | undefined

  constructor(pod: Pod, options: WorkerOptions) {
    this.#pod = pod
    this.#options = options
    this.#hands = options.hands
    const now = options.clock.now()
    this.#startedAt = pod.status?.startTime ? Date.parse(pod.status.startTime) : now
    const known = new Set(this.#hands.containers().map(({ id }) => id))
    this.#lost = lostContainers(pod, now).filter(({ id }) => !known.has(id))
  }

  get pod(): Pod { return this.#pod }
  /** As reported last. */
  get status(): PodStatus | undefined { return this.#hands.reported() ?? this.#pod.status }

  /** Resolves when the status as of now is in the API. */
  async reported(): Promise<void> {
    await Promise.resolve() // the look that is already scheduled comes first
    await this.#hands.flush()
  }

  update(pod: Pod): void {
    const before = this.#pod
    this.#pod = pod
    if (graceOf(pod) < graceOf(before)) this.#hasten(graceOf(pod))
    // Volumes of the downward API show labels and annotations as they are.
    if (!equal(pod.metadata.labels, before.metadata.labels) || !equal(pod.metadata.annotations, before.metadata.annotations)) this.objectsChanged()
    else this.poke()
  }

  /** The pod object is gone from the API (deleted by force, or by us). */
  remove(): void {
    this.#gone = true
    if (!this.#pod.metadata.deletionTimestamp)
      this.#pod = { ...this.#pod, metadata: { ...this.#pod.metadata, deletionTimestamp: new Date(this.#options.clock.now()).toISOString(), deletionGracePeriodSeconds: 1 } }
    this.#hasten(1)
    this.poke()
  }

  /** Something that this pod refers to has changed: volumes follow, failed starts are worth another try. */
  objectsChanged(): void {
    for (const [name, memory] of this.#memory) if (memory.failure?.reason === 'CreateContainerConfigError') this.#remember(name, { failure: undefined })
    this.#volumes = { state: 'due', once: this.#volumes.once, failures: 0 }
    this.poke()
  }

  /** Looks again soon; many calls at once make one look. */
  poke(): void {
    if (this.#scheduled || this.#ended) return
    this.#scheduled = true
    const look = () => {
      this.#scheduled = false
      try { this.#sync() } catch (error) { this.#options.log.error('pod sync failed', error, { pod: this.#pod.metadata.name }) }
    }
    // Actions that end at once and change nothing would spin here for ever and starve all other pods.
    const now = this.#options.clock.now()
    this.#looks = now === this.#lookedAt ? this.#looks + 1 : 0
    this.#lookedAt = now
    if (this.#looks < maxLooksAtOnce) queueMicrotask(look)
    else void this.#options.clock.sleep(100).then(look)
  }

  /** Ends the worker without touching what runs. */
  end(): void {
    this.#ended = true
    this.#wake?.abort()
    this.#hands.probe(this.#pod, [])
    for (const abort of this.#aborts.values()) abort.abort()
  }

  #sync(): void {
    if (this.#ended) return
    const now = this.#options.clock.now()
    const stopping = stopReason({ pod: this.#pod, startedAt: this.#startedAt, now }) !== undefined
    const drainWake = stopping ? this.#awaitProxies(now) : undefined
    const volumesWake = stopping ? undefined : this.#mountVolumes(now)
    if (stopping) for (const abort of this.#aborts.values()) abort.abort()
    const snapshot = this.#snapshot(now)
    const actions = stopping ? terminationActions(snapshot, this.#stoppingSince) : podActions(snapshot)
    this.#perform(snapshot, actions, stopping)
    if (!this.#gone) this.#hands.report(podStatus(snapshot, actions, { hostIps: this.#hands.hostIps, previous: this.#previousStatus() }))
    if (stopping && actions.stopped) this.#finish()
    const end = deadline(snapshot)
    this.#sleepUntil([actions.wakeAt, volumesWake, drainWake, end !== undefined && end > now ? end : undefined])
  }

  #snapshot(now: number): PodSnapshot {
    const containers = [...this.#lost, ...this.#hands.containers()].map(container => this.#withMessage(container))
    const probed = containers.filter(({ state, name }) => state === 'running' && this.#memory.get(name)?.busy !== 'stopping')
    return {
      pod: this.#pod, now, sandbox: this.#hands.sandbox(), containers, memory: this.#memory, probes: this.#hands.probe(this.#pod, probed),
      startedAt: this.#startedAt, volumesReady: this.#volumes.once, sandboxBusy: this.#sandboxBusy, drained: this.#drained,
      ...(this.#sandboxFailedAt !== undefined && { sandboxFailedAt: this.#sandboxFailedAt }),
    }
  }

  #withMessage(container: Container): Container {
    if (container.state !== 'exited' || container.sandboxId === '') return container
    const message = this.#messages.get(container.id)
    if (message === undefined) {
      this.#messages.set(container.id, '')
      void this.#hands.terminationMessage(this.#pod, container).then(text => {
        if (text) { this.#messages.set(container.id, text); this.poke() }
      })
    }
    return message ? { ...container, message } : container
  }

  /** Our own status, with the conditions of other writers (readiness gates, the scheduler) as they are now. */
  #previousStatus(): PodStatus | undefined {
    const own = this.#hands.reported()
    if (!own) return this.#pod.status
    const foreign = (this.#pod.status?.conditions ?? []).filter(({ type }) => !ownConditions.has(type))
    return { ...own, conditions: [...(own.conditions ?? []).filter(({ type }) => ownConditions.has(type)), ...foreign] }
  }

  /** Notes whether the proxies have had their time to forget a deleted pod; returns when to ask again. */
  #awaitProxies(now: number): number | undefined {
    if (this.#gone || this.#stoppingSince !== undefined || !this.#pod.metadata.deletionTimestamp) { this.#drained = true; return undefined }
    const next = drain(this.#pod, this.#hands.offer(this.#pod), this.#drain, now)
    this.#drain = next.drain
    this.#drained = next.done
    return next.done ? undefined : next.wakeAt
  }

  /** Starts to put volumes in place when that is due; returns when it is. */
  #mountVolumes(now: number): number | undefined {
    const { state, failures, dueAt } = this.#volumes
    if (state === 'mounting') return undefined
    if (dueAt === undefined ? state === 'ready' : now < dueAt) return dueAt
    const mounting = this.#volumes = { ...this.#volumes, state: 'mounting' as const }
    this.#hands.mountVolumes(this.#pod).then(refreshAt => {
      // A change that came meanwhile makes it due again.
      if (this.#volumes === mounting) this.#volumes = { state: 'ready', once: true, failures: 0, ...(refreshAt !== undefined && { dueAt: refreshAt }) }
      else this.#volumes = { ...this.#volumes, once: true }
    }, error => {
      this.#options.log.warn('volumes not ready', { pod: this.#pod.metadata.name, err: (error as Error).message })
      const wait = Math.min(retryVolumesMs * 2 ** failures, maxRetryVolumesMs)
      if (this.#volumes === mounting) this.#volumes = { state: 'due', once: mounting.once, failures: failures + 1, dueAt: this.#options.clock.now() + wait }
    }).finally(() => this.poke())
    return undefined
  }

  #perform(snapshot: PodSnapshot, actions: PodActions, stopping: boolean): void {
    if (actions.createSandbox) this.#createSandbox(actions.createSandbox.attempt)
    else if (actions.stopSandbox) this.#stopSandbox(actions.stopSandbox)
    if (stopping && actions.kill.length) this.#stoppingSince ??= snapshot.now
    for (const kill of actions.kill) this.#kill(kill, kill.graceSeconds ?? graceSeconds(snapshot))
    for (const [name, { reason = '' }] of actions.waiting) this.#announce(name, reason)
    // One start at a time, in order: a container's postStart ends before the next one starts (upstream).
    const next = this.#aborts.size === 0 ? actions.start[0] : undefined
    if (next !== undefined) this.#start(snapshot, next)
  }

  #createSandbox(attempt: number): void {
    this.#sandboxBusy = true
    this.#hands.createSandbox(this.#pod, attempt).then(
      () => { this.#sandboxFailedAt = undefined },
      () => { this.#sandboxFailedAt = this.#options.clock.now() },
    ).finally(() => { this.#sandboxBusy = false; this.poke() })
  }

  #stopSandbox(id: string): void {
    this.#sandboxBusy = true
    this.#hands.stopSandbox(id)
      .catch(error => this.#options.log.error('sandbox not stopped', error, { pod: this.#pod.metadata.name }))
      .finally(() => { this.#sandboxBusy = false; this.poke() })
  }

  #start(snapshot: PodSnapshot, name: string): void {
    const spec = specOf(this.#pod, name)!
    const last = latest(snapshot, name)
    const now = snapshot.now
    if (last) this.#remember(name, { restart: nextBackoff(this.#memory.get(name)?.restart, last.finishedAt ?? last.createdAt, now) })
    this.#remember(name, { busy: 'starting', image: spec.image })
    const abort = new AbortController()
    this.#aborts.set(name, abort)
    this.#hands.start(this.#pod, spec, last ? last.attempt + 1 : 0, abort.signal).then(
      () => { this.#remember(name, { failure: undefined, pull: undefined }); this.#announced.delete(name) },
      error => { if (!abort.signal.aborted) this.#failed(name, error as Error & { reason?: string }) },
    ).finally(() => {
      this.#aborts.delete(name)
      if (this.#memory.get(name)?.busy === 'starting') this.#remember(name, { busy: undefined })
      this.poke()
    })
  }

  #failed(name: string, error: Error & { reason?: string }): void {
    const at = this.#options.clock.now()
    const reason = error.reason ?? 'CreateContainerError'
    const pull = nextBackoff(this.#memory.get(name)?.pull, at, at)
    this.#remember(name, { failure: { reason, message: error.message, at }, ...(isPull(reason) && { pull }) })
    if (!error.reason) this.#options.log.error('container not started', error, { pod: this.#pod.metadata.name, container: name })
  }

  #kill(kill: Kill, grace: number): void {
    const { name } = kill.container
    this.#remember(name, { busy: 'stopping' })
    this.#hands.stop(this.#pod, kill, grace)
      .catch(error => this.#options.log.error('container not stopped', error, { pod: this.#pod.metadata.name, container: name }))
      .finally(() => { this.#remember(name, { busy: undefined }); this.poke() })
  }

  #hasten(grace: number): void {
    for (const container of this.#hands.containers())
      if (container.state === 'running' && this.#memory.get(container.name)?.busy === 'stopping') this.#hands.hasten(container.id, grace)
  }

  /** BackOff is one event for each time that a container begins to wait. */
  #announce(name: string, reason: string): void {
    if (reason !== 'CrashLoopBackOff' && reason !== 'ImagePullBackOff') return
    const spec = specOf(this.#pod, name)!
    const last = this.#memory.get(name)
    const episode = `${reason} ${reason === 'CrashLoopBackOff' ? last?.restart?.updatedAt : last?.failure?.at}`
    if (this.#announced.get(name) === episode) return
    this.#announced.set(name, episode)
    this.#hands.backOff(this.#pod, spec, reason)
  }

  #remember(name: string, change: { [K in keyof ContainerMemory]: ContainerMemory[K] | undefined }): void {
    this.#memory.set(name, { ...this.#memory.get(name), ...change } as ContainerMemory)
  }

  /** Ends a pod that has stopped: first in the API, and when it is gone there, here. */
  #finish(): void {
    if (this.#finishing || !this.#pod.metadata.deletionTimestamp) return
    this.#finishing = true
    const gone = this.#gone
    const pod = this.#pod
    void (gone ? this.#hands.cleanUp() : this.#hands.finish(pod)).then(() => {
      this.#finishing = false
      if (gone) { this.end(); this.#options.done() } else if (this.#gone) this.poke()
    }, async error => {
      this.#options.log.error('pod not taken down, will retry', error, { pod: pod.metadata.name })
      await this.#options.clock.sleep(1_000)
      this.#finishing = false
      this.poke()
    })
  }

  #sleepUntil(times: readonly (number | undefined)[]): void {
    this.#wake?.abort()
    this.#wake = undefined
    const at = Math.min(...times.filter(time => time !== undefined))
    if (this.#ended || at === Infinity) return
    const wake = this.#wake = new AbortController()
    this.#options.clock.sleep(Math.max(1, at - this.#options.clock.now()), wake.signal).then(() => this.poke(), () => {})
  }
}

const ownConditions = new Set(['PodReadyToStartContainers', 'Initialized', 'Ready', 'ContainersReady', 'PodScheduled'])
const isPull = (reason: string) => reason === 'ErrImagePull' || reason === 'RegistryUnavailable'
const graceOf = (pod: Pod) => pod.metadata.deletionTimestamp ? pod.metadata.deletionGracePeriodSeconds ?? 30 : Infinity
const specOf = (pod: Pod, name: string): ContainerSpec | undefined =>
  [...pod.spec.initContainers ?? [], ...pod.spec.containers].find(spec => spec.name === name)
