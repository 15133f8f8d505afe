// The hands of one pod's worker: what a decision does to the runtime, the disk and the API. Decisions
// are in actions.ts and termination.ts, their order in worker.ts.
import { rm } from 'node:fs/promises'
import type { TokenRequest } from '#api/authentication/v1.ts'
import type { Container as ContainerSpec, Pod, PodStatus, Service } from '#api/core/v1.ts'
import { resources } from '#api/resources.ts'
import type { Client } from '#client/client.ts'
import type { EventRecorder } from '#client/events.ts'
import type { Clock } from '#lib/clock.ts'
import { isConflict, isNotFound } from '#lib/errors.ts'
import type { Log } from '#lib/log.ts'
import { podLogFolder } from '../containers/config.ts'
import { podRoot, removeContainer, startContainer, stopContainer, terminationMessage, type ContainerDeps } from '../containers/apply.ts'
import type { ObjectCache } from '../objects/apply.ts'
import { attemptProbe } from '../probes/apply.ts'
import { hasProbes, Prober } from '../probes/prober.ts'
import { timeoutMs, type ProbeKind } from '../probes/machine.ts'
import type { Container, PodSandbox, Runtime } from '../runtime/cri.ts'
import { applyVolume, removePodFiles } from '../volumes/apply.ts'
import { refreshAt, tokenWishes, VolumeError, volumePlan, type TokenWish, type VolumeContext } from '../volumes/plan.ts'
import type { Offer } from './endpoints.ts'
import { sandboxConfig, type SandboxSettings } from './sandbox.ts'
import type { ProbeView } from './snapshot.ts'
import { StatusWriter } from './status-writer.ts'
import type { Kill } from './actions.ts'
import type { PodHands } from './worker.ts'

/** What all pods of a node share. */
export interface NodeContext {
  readonly client: Client
  readonly runtime: Runtime
  readonly clock: Clock
  readonly log: Log
  readonly signal: AbortSignal
  readonly recorder: EventRecorder
  readonly objects: ObjectCache
  services(): Promise<readonly Service[]>
  offer(pod: Pod): Offer
  readonly sandboxSettings: SandboxSettings
  readonly hostIps: readonly string[]
  readonly allocatable: Readonly<Record<string, string>>
  /** `<dataDir>/nodes/<node>` */
  readonly root: string
}

interface Token { readonly token: string; readonly refreshAt: number }

export class PodApply implements PodHands {
  readonly #node: NodeContext
  readonly #uid: string
  readonly #pod: Pod
  readonly #poke: () => void
  readonly #writer: StatusWriter
  readonly #deps: ContainerDeps
  readonly #probers = new Map<string, { prober: Prober; abort: AbortController }>()
  readonly #tokens = new Map<string, Token>()
  #volumes: ReadonlyMap<string, string> = new Map()
  #reported: PodStatus | undefined
  #deleting = false

  constructor(pod: Pod, node: NodeContext, poke: () => void) {
    this.#node = node
    this.#pod = pod
    this.#uid = pod.metadata.uid!
    this.#poke = poke
    this.#writer = new StatusWriter(pod, node)
    this.#deps = { runtime: node.runtime, clock: node.clock, objects: node.objects, services: node.services, hostIps: node.hostIps,
      allocatable: node.allocatable, root: node.root, event: (about, spec, type, reason, message) => this.#event(about, spec, type, reason, message) }
  }

  get hostIps(): readonly string[] { return this.#node.hostIps }
  reported(): PodStatus | undefined { return this.#reported }
  report(status: PodStatus): void { this.#reported = status; this.#writer.set(status) }
  flush(): Promise<void> { return this.#writer.flush() }
  offer(pod: Pod): Offer { return this.#node.offer(pod) }

  #sandboxes(): PodSandbox[] {
    return this.#node.runtime.listPodSandboxes().filter(({ config }) => config.uid === this.#uid).toSorted((a, b) => a.config.attempt - b.config.attempt)
  }
  sandbox(): PodSandbox | undefined { return this.#sandboxes().at(-1) }

  containers(): Container[] {
    const own = new Set(this.#sandboxes().map(({ id }) => id))
    return this.#node.runtime.listContainers().filter(({ sandboxId }) => own.has(sandboxId)).toSorted((a, b) => a.attempt - b.attempt)
  }

  async mountVolumes(pod: Pod): Promise<number | undefined> {
    await this.#node.objects.register(pod)
    const wishes = tokenWishes(pod)
    const places = new Map<string, string>()
    try {
      const tokens = new Map(await Promise.all(wishes.map(async wish => [wish, await this.#token(pod, wish)] as const)))
      const ips = this.sandbox()?.ips ?? []
      const context: VolumeContext = { objects: this.#node.objects, podIps: ips, hostIps: this.#node.hostIps, allocatable: this.#node.allocatable,
        token: wish => [...tokens].find(([{ volume, path }]) => volume === wish.volume && path === wish.path)![1].token }
      const fsGroup = pod.spec.securityContext?.fsGroup
      for (const volume of pod.spec.volumes ?? []) {
        const plan = volumePlan(pod, volume, context)
        places.set(volume.name, await applyVolume(podRoot(this.#node.root, this.#uid), plan, { now: this.#node.clock.now(), ...(fsGroup !== undefined && { fsGroup }) }))
      }
      this.#volumes = places
      return tokens.size ? Math.min(...[...tokens.values()].map(token => token.refreshAt)) : undefined
    } catch (error) {
      const name = error instanceof VolumeError ? error.volume : pod.spec.volumes?.find(({ name }) => !places.has(name))?.name ?? ''
      this.#event(pod, undefined, 'Warning', 'FailedMount', `MountVolume.SetUp failed for volume "${name}" : ${(error as Error).message}`)
      throw error
    }
  }

  async #token(pod: Pod, wish: TokenWish): Promise<Token> {
    const key = `${wish.audience} ${wish.expirationSeconds}`
    const now = this.#node.clock.now()
    const known = this.#tokens.get(key)
    if (known && now < known.refreshAt) return known
    const account = pod.spec.serviceAccountName || 'default'
    const answer = await this.#node.client.create<TokenRequest>(resources.serviceaccounts, pod.metadata.namespace, {
      apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', metadata: {},
      spec: { ...(wish.audience && { audiences: [wish.audience] }), expirationSeconds: wish.expirationSeconds,
        boundObjectRef: { kind: 'Pod', apiVersion: 'v1', name: pod.metadata.name, uid: this.#uid } },
    }, { name: account, subresource: 'token' })
    const token = { token: answer.status!.token!, refreshAt: refreshAt(now, Date.parse(answer.status!.expirationTimestamp!)) }
    this.#tokens.set(key, token)
    return token
  }

  async createSandbox(pod: Pod, attempt: number): Promise<void> {
    const old = this.#sandboxes()
    try {
      const { config, warnings } = sandboxConfig(pod, attempt, this.#node.sandboxSettings)
      for (const warning of warnings) this.#event(pod, undefined, 'Warning', 'DNSConfigForming', warning)
      await this.#node.runtime.runPodSandbox(config)
    } catch (error) {
      this.#event(pod, undefined, 'Warning', 'FailedCreatePodSandBox', `Failed to create pod sandbox: ${(error as Error).message}`)
      throw error
    }
    // The one before keeps its dead containers for lastState; older ones go.
    if (old.length > 1) await Promise.all(old.slice(0, -1).map(({ id }) => this.#node.runtime.removePodSandbox(id)))
  }

  async stopSandbox(id: string): Promise<void> { await this.#node.runtime.stopPodSandbox(id) }

  async start(pod: Pod, spec: ContainerSpec, attempt: number, signal: AbortSignal): Promise<void> {
    const sandbox = this.sandbox()
    if (!sandbox) throw new Error('the sandbox is gone')
    const init = pod.spec.initContainers?.some(({ name }) => name === spec.name) ?? false
    await startContainer(this.#deps, { pod, spec, init, attempt, sandbox, volumes: this.#volumes, signal })
    // MaxPerPodContainer 1: the one before stays for `logs --previous`.
    const old = this.containers().filter(container => container.name === spec.name && container.attempt < attempt - 1)
    await Promise.all(old.map(container => removeContainer(this.#deps, pod, container)))
  }

  async stop(pod: Pod, { container, message }: Kill, graceSeconds: number): Promise<void> {
    const spec = specOf(pod, container.name)
    await stopContainer(this.#deps, { pod, spec, sandbox: this.sandbox(), container, message, graceSeconds })
  }

  hasten(containerId: string, graceSeconds: number): void {
    void this.#node.runtime.stopContainer(containerId, graceSeconds).catch(error => this.#node.log.error('container not stopped', error))
  }

  async terminationMessage(pod: Pod, container: Container): Promise<string | undefined> {
    const spec = specOf(pod, container.name)
    return spec && terminationMessage(this.#deps, pod, spec, container)
  }

  probe(pod: Pod, running: readonly Container[]): ReadonlyMap<string, ProbeView> {
    this.#deleting = pod.metadata.deletionTimestamp !== undefined
    const wanted = new Map(running.map(container => [container.id, container]))
    for (const [id, { abort }] of this.#probers) if (!wanted.has(id)) { abort.abort(); this.#probers.delete(id) }
    for (const container of running) {
      const spec = specOf(pod, container.name)
      if (spec && hasProbes(spec) && !this.#probers.has(container.id)) this.#startProber(pod, spec, container)
    }
    return new Map([...this.#probers].map(([id, { prober }]) => [id, prober.view]))
  }

  #startProber(pod: Pod, spec: ContainerSpec, container: Container): void {
    const abort = new AbortController()
    const sandbox = this.#sandboxes().find(({ id }) => id === container.sandboxId)
    const podIp = (pod.spec.hostNetwork ? this.#node.hostIps : sandbox?.ips ?? [])[0] ?? ''
    const target = { runtime: this.#node.runtime, sandboxId: container.sandboxId, containerId: container.id, podIp, container: spec }
    const prober = new Prober({
      spec, startedAt: container.startedAt ?? container.createdAt, clock: this.#node.clock, signal: abort.signal,
      attempt: probe => attemptProbe(probe, target, timeoutMs(probe)),
      changed: this.#poke,
      unhealthy: (kind, output) => this.#unhealthy(pod, spec, kind, output),
    })
    this.#probers.set(container.id, { prober, abort })
    void prober.run()
  }

  #unhealthy(pod: Pod, spec: ContainerSpec, kind: ProbeKind, output: string): void {
    if (this.#deleting && kind !== 'readiness') return
    this.#event(pod, spec, 'Warning', 'Unhealthy', `${kind[0]!.toUpperCase()}${kind.slice(1)} probe failed: ${output}`)
  }

  backOff(pod: Pod, spec: ContainerSpec, reason: string): void {
    if (reason === 'ImagePullBackOff') {
      this.#event(pod, spec, 'Normal', 'BackOff', `Back-off pulling image "${spec.image}"`)
      this.#event(pod, spec, 'Warning', 'Failed', 'Error: ImagePullBackOff')
    } else this.#event(pod, spec, 'Warning', 'BackOff', `Back-off restarting failed container ${spec.name} in pod ${pod.metadata.name}_${pod.metadata.namespace}(${this.#uid})`)
  }

  #event(pod: Pod, spec: ContainerSpec | undefined, type: 'Normal' | 'Warning', reason: string, message: string): void {
    const { namespace, name, uid, resourceVersion } = pod.metadata
    const list = pod.spec.initContainers?.some(init => init.name === spec?.name) ? 'initContainers' : 'containers'
    this.#node.recorder.event({ apiVersion: 'v1', kind: 'Pod', namespace, name, uid, resourceVersion, ...(spec && { fieldPath: `spec.${list}{${spec.name}}` }) }, type, reason, message)
  }

  async finish(pod: Pod): Promise<void> {
    await this.#writer.flush()
    try {
      await this.#node.client.delete(resources.pods, pod.metadata.namespace, pod.metadata.name, { gracePeriodSeconds: 0, preconditions: { uid: this.#uid } })
    } catch (error) { if (!isNotFound(error) && !isConflict(error)) throw error }
  }

  async cleanUp(): Promise<void> {
    this.probe(this.#pod, [])
    this.#node.objects.unregister(this.#uid)
    for (const { id } of this.#sandboxes()) { await this.#node.runtime.stopPodSandbox(id); await this.#node.runtime.removePodSandbox(id) }
    await removePodFiles(podRoot(this.#node.root, this.#uid))
    await rm(podLogFolder(`${this.#node.root}/log/pods`, this.#pod), { recursive: true, force: true })
  }
}

const specOf = (pod: Pod, name: string): ContainerSpec | undefined =>
  [...pod.spec.initContainers ?? [], ...pod.spec.containers].find(spec => spec.name === name)
