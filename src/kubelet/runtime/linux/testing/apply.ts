// Two nodes on a fabric and an image of the machine's own programs, for the tests of this folder. They
// call it inside namespaces of their own (isolated.ts).
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { sweepCgroups } from '#host/cgroup.ts'
import type { Way } from '#host/isolated.ts'
import { applyIp } from '#host/ip.ts'
import { createNetns, netnsPath } from '#host/netns.ts'
import { silent } from '#lib/log.ts'
import type { ImageStore, RootFs } from '../../../images/store.ts'
import { applyNodeNetwork } from '../../../network/apply.ts'
import type { Container, ContainerConfig, PodSandbox, PodSandboxConfig, Runtime } from '../../cri.ts'
import { createRuntime } from '../apply.ts'

export const nodes = [{ name: 'n1', ip: '192.168.109.100', podCidr: '10.244.0.0/24' }, { name: 'n2', ip: '192.168.109.101', podCidr: '10.244.1.0/24' }]
const clusterCidr = '10.244.0.0/16'

/** An image of the machine's own programs, as the built-in ones are. Its stop signal is SIGTERM. */
export function testImages(directory: string, extraLayers: () => readonly string[] = () => []): ImageStore {
  const layer = join(directory, 'layer')
  for (const each of ['etc', 'tmp', 'root', 'proc', 'dev', 'sys', 'run', 'var', 'usr/share/site', 'data']) mkdirSync(join(layer, each), { recursive: true })
  const link = (to: string, name: string) => { rmSync(join(layer, name), { force: true }); symlinkSync(to, join(layer, name)) }
  for (const each of ['bin', 'sbin', 'lib', 'lib64']) link(`usr/${each}`, each)
  writeFileSync(join(layer, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\nweb:x:33:33:web:/var/www:/bin/sh\n')
  writeFileSync(join(layer, 'etc/group'), 'root:x:0:\nweb:x:33:\nextra:x:44:web\n')
  writeFileSync(join(layer, 'usr/share/site/index.html'), 'welcome\n')
  writeFileSync(join(layer, 'etc/plain'), 'not a program\n')
  const config = { entrypoint: ['sleep'], cmd: ['1000'], env: ['IMAGE=yes'], workingDir: '', user: '', stopSignal: 'SIGTERM', exposedPorts: [] }
  const rootfs: RootFs = { lowerDirs: [layer], usrFromHost: true, binds: [], config }
  const known = { id: 'sha256:test', tags: ['test:1'], digests: [], sizeBytes: 0 }
  return { imageStatus: async () => known, pullImage: async () => known, listImages: async () => [known], rootfs: async () => ({ ...rootfs, lowerDirs: [...extraLayers(), layer] }), loadArchive: async () => [], removeImage: async () => false }
}

const security = { privileged: false, supplementalGroups: [], readonlyRootFilesystem: false, addCapabilities: [], dropCapabilities: [], noNewPrivileges: false }
export type Security = Partial<ContainerConfig['security']>
export interface ContainerWish extends Partial<Omit<ContainerConfig, 'security'>> { readonly security?: Security; readonly script?: string }
export interface Where { readonly node?: number; readonly sandbox?: Partial<PodSandboxConfig>; readonly box?: PodSandbox }

export interface Pod {
  readonly runtime: Runtime
  readonly box: PodSandbox
  readonly id: string
  readonly ip: string
  readonly log: string
  /** Output of a shell script in the container; with `exit N` after it when N is not 0. */
  sh(script: string): Promise<string>
  /** The container as it has ended, and what it wrote: log lines without their times. */
  end(): Promise<Container & { readonly text: string }>
}

export class Machine {
  readonly directory: string
  readonly runtimes: Runtime[] = []
  /** On top of the image's own. */
  extraLayers: readonly string[] = []
  readonly #way: Way
  #count = 0
  constructor(way: Way, directory = mkdtempSync(join(tmpdir(), 'fairway-runtime-'))) { this.#way = way; this.directory = directory }

  async start(): Promise<void> {
    for (const { name } of nodes) createNetns(name)
    const links = nodes.map(({ name }) => ({ name: `f-${name}`, kind: 'veth' as const, peer: { name: 'eth0', netns: name }, master: 'fabric' }))
    await applyIp({ links: [{ name: 'fabric', kind: 'bridge', addresses: ['192.168.109.1/24'] }, ...links] }, undefined)
    for (const { name, ip, podCidr } of nodes) {
      const netns = netnsPath(name)
      await applyIp({ links: [{ name: 'lo', kind: 'existing' }, { name: 'eth0', kind: 'existing', addresses: [`${ip}/24`] }], routes: [{ to: 'default', via: '192.168.109.1' }] }, netns)
      await applyNodeNetwork({ netns, nodeIp: ip, podCidr, clusterCidr }, nodes.map(peer => ({ nodeIp: peer.ip, podCidr: peer.podCidr })))
      this.runtimes.push(await this.runtime(name))
    }
  }

  /** A runtime of that node; a second one sweeps what the first has left. */
  runtime(name: string): Promise<Runtime> {
    const { ip, podCidr } = nodes.find(node => node.name === name)!
    return createRuntime({ nodeName: name, netns: netnsPath(name), nodeIp: ip, podCidr, root: join(this.directory, name), sandboxRoot: join(this.directory, 'sandboxes', name), images: testImages(this.directory, () => this.extraLayers), log: silent, unprivileged: this.#way === 'user', cgroup: basename(this.directory) })
  }

  async stop(): Promise<void> {
    for (const runtime of this.runtimes) await Promise.all(runtime.listPodSandboxes().map(sandbox => runtime.removePodSandbox(sandbox.id)))
    await sweepCgroups(basename(this.directory))
    rmSync(this.directory, { recursive: true, force: true })
  }

  sandboxConfig(more: Partial<PodSandboxConfig> = {}): PodSandboxConfig {
    const name = `pod-${++this.#count}`
    return { namespace: 'default', name, uid: name, attempt: 0, hostname: name, labels: {}, hostNetwork: false, hostPid: false, resolvConf: 'nameserver 10.96.0.10\n', hosts: `127.0.0.1 localhost\n$POD_IP ${name}\n`, sysctls: {}, portMappings: [], ...more }
  }
  containerConfig({ script, ...more }: ContainerWish = {}): ContainerConfig {
    const command = script === undefined ? [] : ['sh', '-c', script]
    return {
      name: 'c', attempt: 0, imageId: 'sha256:test', command, args: [], workingDir: '', env: [], mounts: [], stdin: false, tty: false,
      logPath: join(this.directory, 'logs', String(++this.#count), '0.log'), resources: {}, ...more, security: { ...security, ...more.security },
    }
  }

  /** A started container, in a new pod unless told. */
  async pod(wish: ContainerWish = {}, { node = 0, sandbox, box }: Where = {}): Promise<Pod> {
    const runtime = this.runtimes[node]!
    const into = box ?? await runtime.runPodSandbox(this.sandboxConfig(sandbox))
    const { id, logPath } = await runtime.createContainer(into.id, this.containerConfig(wish))
    await runtime.startContainer(id)
    return {
      runtime, box: into, id, ip: into.ips[0]!, log: logPath,
      async sh(script) {
        const { exitCode, output } = await runtime.execSync(id, ['sh', '-c', script], 10_000)
        return exitCode === 0 ? output : `${output}exit ${exitCode}\n`
      },
      async end() {
        const record = await ended(runtime, id)
        return { ...record, text: readFileSync(logPath, 'utf8').replace(/^\S+ /gm, '') }
      },
    }
  }
  /** What a script wrote until its end. */
  run = async (script: string, wish: ContainerWish = {}, where: Where = {}): Promise<Container & { readonly text: string }> =>
    (await this.pod({ ...wish, script }, where)).end()
}

function ended(runtime: Runtime, id: string): Promise<Container> {
  const { promise, resolve } = Promise.withResolvers<Container>()
  const look = () => { const found = runtime.listContainers().find(each => each.id === id); if (found?.state === 'exited') resolve(found) }
  runtime.onEvent(look)
  look()
  return promise
}
