import { PassThrough } from 'node:stream'
import type { Container, ContainerConfig, PodSandbox, Runtime } from '#kubelet/runtime/cri.ts'

export function smallFake() {
  let n = 0
  const sandboxes = new Map<string, PodSandbox>(), containers = new Map<string, Container & { config: ContainerConfig }>()
  const listeners: any[] = []
  const emit = (sandboxId: string, containerId?: string) => { for (const l of listeners) l({ sandboxId, podUid: sandboxes.get(sandboxId)!.config.uid, containerId }) }
  const exit = (id: string, exitCode: number) => {
    const c = containers.get(id)!
    if (c.state !== 'running') return
    containers.set(id, { ...c, state: 'exited', exitCode, finishedAt: Date.now(), reason: exitCode ? 'Error' : 'Completed' }); emit(c.sandboxId, id)
  }
  const runtime: Runtime = {
    imageStatus: async ref => ref.includes('missing') ? undefined : { id: `id-${ref}`, tags: [ref], digests: [], sizeBytes: 1 },
    pullImage: async ref => { if (ref.includes('missing')) throw Object.assign(new Error('nowhere'), { reason: 'ErrImagePull' }); return { id: `id-${ref}`, tags: [ref], digests: [], sizeBytes: 1 } },
    listImages: async () => [],
    async runPodSandbox(config) { const id = `s${n++}`; const s: PodSandbox = { id, config, state: 'ready', ips: [`10.244.0.${n + 1}`], createdAt: Date.now() }; sandboxes.set(id, s); return s },
    async stopPodSandbox(id) { for (const c of containers.values()) if (c.sandboxId === id) exit(c.id, 137); sandboxes.set(id, { ...sandboxes.get(id)!, state: 'notready' }); emit(id) },
    async removePodSandbox(id) { sandboxes.delete(id); for (const c of [...containers.values()]) if (c.sandboxId === id) containers.delete(c.id) },
    listPodSandboxes: () => [...sandboxes.values()],
    async createContainer(sandboxId, config) { const id = `c${n++}`; const c = { id, sandboxId, name: config.name, attempt: config.attempt, imageId: config.imageId, image: config.imageId.slice(3), state: 'created' as const, createdAt: Date.now(), logPath: config.logPath, config }; containers.set(id, c); return c },
    async startContainer(id) { const c = containers.get(id)!; containers.set(id, { ...c, state: 'running', startedAt: Date.now() }); emit(c.sandboxId, id) },
    async stopContainer(id) { exit(id, 143) },
    async removeContainer(id) { containers.delete(id) },
    listContainers: () => [...containers.values()],
    async exec() { return { stdin: new PassThrough(), stdout: new PassThrough(), stderr: new PassThrough(), resize() {}, kill() {}, exitCode: Promise.resolve(0) } },
    async attach() { throw new Error('no') },
    async execSync() { return { exitCode: 0, output: '' } },
    async dial() { throw new Error('connection refused') },
    onEvent(l) { listeners.push(l) },
  }
  return { runtime, exit, containers, sandboxes }
}
