// A Runtime in memory that keeps CRI's rules (states, refusals, order of events) without a kernel: for
// the kubelet's own tests. Containers run until told to exit, or end by a script.
import { Duplex, PassThrough, Writable } from 'node:stream'
import type { Clock } from '#lib/clock.ts'
import type { Container, ContainerConfig, ExecSession, Image, ImagePullError, PodSandbox, PodSandboxConfig, Runtime } from './cri.ts'

/** What a test says about programs. All optional: a container runs until `exit`, a command ends with 0 and no output. */
export interface FakeScript {
  /** Exit status of a container right after its start; undefined: it runs on. A string: it cannot be started, with that message. */
  onStart?(container: Container, config: ContainerConfig): number | string | undefined
  /** Answer of exec and execSync; `hang`: no answer until the timeout. */
  onExec?(container: Container, command: readonly string[]): { readonly exitCode: number; readonly output: string } | 'hang'
  /** Seconds that a container takes to end after its stop signal; more than the grace period means SIGKILL. 0 unless told. */
  secondsToStop?(container: Container): number
  /** Whether something listens there. */
  listens?(sandbox: PodSandbox, port: number): boolean
}

export interface FakeRuntime extends Runtime {
  /** Lets a running container end. */
  exit(containerId: string, exitCode: number, reason?: string): void
  /** Images by reference; pulling anything else is ErrImagePull. */
  readonly images: Map<string, Image>
  /** References that were pulled, in order. */
  readonly pulled: string[]
  /** What was asked of it, `startContainer web#0`, in order. */
  readonly calls: string[]
  /** The configuration a container was created with. */
  configOf(containerId: string): ContainerConfig
}

const error = (reason: ImagePullError['reason'], message: string): ImagePullError => Object.assign(new Error(message), { name: 'ImagePullError', reason })

export function fakeRuntime({ clock, script = {}, images = [] }: { readonly clock: Clock; readonly script?: FakeScript; readonly images?: readonly string[] }): FakeRuntime {
  const sandboxes = new Map<string, PodSandbox>()
  const containers = new Map<string, { view: Container; readonly config: ContainerConfig }>()
  const listeners = new Set<Parameters<Runtime['onEvent']>[0]>()
  const known = new Map(images.map(reference => [reference, imageOf(reference)]))
  const pulled: string[] = [], calls: string[] = []
  let count = 0
  const id = () => (++count).toString(16).padStart(64, '0')
  const emit = (sandboxId: string, containerId?: string) => {
    const event = { sandboxId, podUid: sandboxes.get(sandboxId)?.config.uid ?? '', ...(containerId !== undefined && { containerId }) }
    for (const listener of listeners) listener(event)
  }
  const entry = (containerId: string) => {
    const found = containers.get(containerId)
    if (!found) throw new Error(`container ${containerId} not found`)
    return found
  }
  const running = (containerId: string) => {
    const found = containers.get(containerId)
    if (found?.view.state !== 'running') throw new Error(`container ${containerId} is not running`)
    return found.view
  }
  const called = (verb: string, view: { readonly name: string; readonly attempt: number }) => { calls.push(`${verb} ${view.name}#${view.attempt}`) }
  const of = (sandboxId: string) => [...containers.values()].filter(({ view }) => view.sandboxId === sandboxId)

  function end(containerId: string, exitCode: number, reason = exitCode === 0 ? 'Completed' : 'Error'): void {
    const { view, config } = entry(containerId)
    if (view.state !== 'running') return
    const { pid: _, ...rest } = view
    containers.set(containerId, { config, view: { ...rest, state: 'exited', exitCode, reason, finishedAt: clock.now() } })
    emit(view.sandboxId, containerId)
  }

  return {
    images: known, pulled, calls,
    exit: end,
    configOf: containerId => entry(containerId).config,
    onEvent: listener => { listeners.add(listener) },

    imageStatus: async reference => known.get(reference) ?? [...known.values()].find(image => image.id === reference),
    async pullImage(reference) {
      pulled.push(reference)
      const image = known.get(reference)
      if (!image) throw error('ErrImagePull', `failed to pull and unpack image "${reference}": not found`)
      return image
    },
    listImages: async () => [...known.values()],

    async runPodSandbox(config: PodSandboxConfig) {
      calls.push(`runPodSandbox ${config.name}#${config.attempt}`)
      const sandbox: PodSandbox = { id: id(), config, state: 'ready', ips: [config.hostNetwork ? '192.168.109.100' : `10.244.0.${count + 1}`], createdAt: clock.now() }
      sandboxes.set(sandbox.id, sandbox)
      return sandbox
    },
    async stopPodSandbox(sandboxId) {
      const sandbox = sandboxes.get(sandboxId)
      if (!sandbox || sandbox.state === 'notready') return
      calls.push(`stopPodSandbox ${sandbox.config.name}#${sandbox.config.attempt}`)
      for (const { view } of of(sandboxId)) end(view.id, 137)
      sandboxes.set(sandboxId, { ...sandbox, state: 'notready' })
      emit(sandboxId)
    },
    async removePodSandbox(sandboxId) {
      await this.stopPodSandbox(sandboxId)
      for (const { view } of of(sandboxId)) containers.delete(view.id)
      sandboxes.delete(sandboxId)
    },
    listPodSandboxes: () => [...sandboxes.values()],

    async createContainer(sandboxId, config) {
      if (sandboxes.get(sandboxId)?.state !== 'ready') throw new Error(`sandbox ${sandboxId} is not running`)
      called('createContainer', config)
      const image = [...known.values()].find(each => each.id === config.imageId)
      if (!image) throw new Error(`image ${config.imageId} not found`)
      const view: Container = { id: id(), sandboxId, name: config.name, attempt: config.attempt, imageId: config.imageId, image: image.tags[0]!, state: 'created', createdAt: clock.now(), logPath: config.logPath }
      containers.set(view.id, { view, config })
      return view
    },
    async startContainer(containerId) {
      const { view, config } = entry(containerId)
      if (view.state !== 'created') throw new Error(`container ${containerId} is in state ${view.state}: only a created container can be started`)
      called('startContainer', view)
      const outcome = script.onStart?.(view, config)
      if (typeof outcome === 'string') {
        containers.set(containerId, { config, view: { ...view, state: 'exited', startedAt: clock.now(), finishedAt: clock.now(), exitCode: 128, reason: 'ContainerCannotRun', message: outcome } })
        emit(view.sandboxId, containerId)
        throw new Error(outcome)
      }
      containers.set(containerId, { config, view: { ...view, state: 'running', pid: 1000 + count++, startedAt: clock.now() } })
      emit(view.sandboxId, containerId)
      if (outcome !== undefined) end(containerId, outcome)
    },
    async stopContainer(containerId, graceSeconds) {
      const found = containers.get(containerId)
      if (found?.view.state !== 'running') return
      called('stopContainer', found.view)
      const takes = script.secondsToStop?.(found.view) ?? 0
      if (takes > 0) await clock.sleep(Math.min(takes, graceSeconds) * 1000)
      end(containerId, takes > graceSeconds || graceSeconds <= 0 ? 137 : 143)
    },
    async removeContainer(containerId) {
      const found = containers.get(containerId)
      if (!found) return
      called('removeContainer', found.view)
      end(containerId, 137)
      containers.delete(containerId)
    },
    listContainers: () => [...containers.values()].map(({ view }) => view),

    async exec(containerId, { command, stdin }) {
      const answer = script.onExec?.(running(containerId), command) ?? { exitCode: 0, output: '' }
      return session(answer, stdin)
    },
    async attach(containerId, { stdin }) {
      running(containerId)
      return session('hang', stdin)
    },
    async execSync(containerId, command, timeoutMs) {
      const answer = script.onExec?.(running(containerId), command) ?? { exitCode: 0, output: '' }
      if (answer !== 'hang') return { exitCode: answer.exitCode, output: answer.output.slice(0, 10 << 10) }
      await clock.sleep(timeoutMs)
      throw new Error(`command ${JSON.stringify(command)} timed out: context deadline exceeded: it did not end within ${timeoutMs} ms`)
    },
    async dial(sandboxId, host, port) {
      const sandbox = sandboxes.get(sandboxId)
      if (sandbox?.state !== 'ready') throw new Error(`sandbox ${sandboxId} is not running`)
      if (!script.listens?.(sandbox, port)) throw Object.assign(new Error(`connect ECONNREFUSED ${host}:${port}`), { code: 'ECONNREFUSED' })
      // The kubelet uses it as a stream; what it writes comes back.
      return Duplex.from(new PassThrough()) as unknown as Awaited<ReturnType<Runtime['dial']>>
    },
  }
}

const imageOf = (reference: string): Image => ({ id: `sha256:${reference}`, tags: [reference], digests: [], sizeBytes: 1 })

function session(answer: { readonly exitCode: number; readonly output: string } | 'hang', stdin: boolean): ExecSession {
  const stdout = new PassThrough(), stderr = new PassThrough()
  const { promise, resolve } = Promise.withResolvers<number>()
  const finish = (exitCode: number) => { stdout.end(); stderr.end(); resolve(exitCode) }
  if (answer !== 'hang') { stdout.write(answer.output); finish(answer.exitCode) }
  return { stdin: stdin ? new Writable({ write: (_chunk, _encoding, done) => done() }) : undefined, stdout, stderr, resize() {}, kill: () => finish(137), exitCode: promise }
}
