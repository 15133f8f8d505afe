// How long a pod's sandbox and its container take: `node bench/sandbox.ts` as root or an ordinary user.
// Prints milliseconds, one after the other and many at once, in namespaces of its own.
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const user = process.getuid!() !== 0
if (!process.env.FAIRWAY_BENCH) {
  const argv = ['unshare', ...(user ? ['--user', '--map-root-user'] : []), '--net', '--mount', '--pid', '--ipc', '--uts', '--fork', '--kill-child', '--propagation', 'private',
    'sh', '-c', 'mount -t proc proc /proc && mount -t tmpfs tmpfs /run && mkdir /run/netns && mount --bind /run/netns /run/netns && mount --make-shared /run/netns && exec "$0" --disable-warning=ExperimentalWarning "$1"',
    process.execPath, import.meta.filename]
  process.exit(spawnSync(argv[0]!, argv.slice(1), { stdio: 'inherit', env: { ...process.env, FAIRWAY_BENCH: user ? 'user' : 'root' } }).status ?? 1)
}

const { createNetns, netnsPath } = await import('#host/netns.ts')
const { applyNodeNetwork } = await import('#kubelet/network/apply.ts')
const { createRuntime } = await import('#kubelet/runtime/linux/apply.ts')
const { silent } = await import('#lib/log.ts')

const directory = mkdtempSync(join(process.env.TMPDIR ?? '/tmp', 'fairway-bench-')), layer = join(directory, 'layer')
for (const each of ['etc', 'tmp', 'root', 'proc', 'dev', 'sys', 'usr']) mkdirSync(join(layer, each), { recursive: true })
for (const each of ['bin', 'sbin', 'lib', 'lib64']) symlinkSync(`usr/${each}`, join(layer, each))
writeFileSync(join(layer, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\n')
const config = { entrypoint: ['sleep', '1000'], cmd: [], env: [], workingDir: '', user: '', stopSignal: 'SIGKILL', exposedPorts: [] }
const image = { id: 'bench', tags: ['bench'], digests: [], sizeBytes: 0 }
const images = { imageStatus: async () => image, pullImage: async () => image, listImages: async () => [image], rootfs: async () => ({ lowerDirs: [layer], usrFromHost: true, binds: [], config }), loadArchive: async () => [], removeImage: async () => false }

createNetns('node')
const node = { netns: netnsPath('node'), nodeIp: '192.168.109.100', podCidr: '10.244.0.0/24', clusterCidr: '10.244.0.0/16' }
await applyNodeNetwork(node, [])
const runtime = await createRuntime({ ...node, nodeName: 'node', root: join(directory, 'node'), sandboxRoot: join(directory, 'sandboxes'), images, log: silent, unprivileged: process.env.FAIRWAY_BENCH === 'user' })

let count = 0
const times: Record<string, number[]> = { sandbox: [], create: [], start: [], exec: [], remove: [] }
async function timed<T>(what: string, work: () => Promise<T>): Promise<T> {
  const before = performance.now()
  const result = await work()
  times[what]!.push(performance.now() - before)
  return result
}
async function pod(): Promise<{ sandbox: string; container: string }> {
  const name = `pod-${++count}`
  const { id } = await timed('sandbox', () => runtime.runPodSandbox({ namespace: 'default', name, uid: name, attempt: 0, hostname: name, labels: {}, hostNetwork: false, hostPid: false, resolvConf: '', hosts: '', sysctls: {}, portMappings: [] }))
  const security = { privileged: false, supplementalGroups: [], readonlyRootFilesystem: false, addCapabilities: [], dropCapabilities: [], noNewPrivileges: false }
  const container = await timed('create', () => runtime.createContainer(id, { name: 'c', attempt: 0, imageId: 'bench', command: [], args: [], workingDir: '', env: [], mounts: [], stdin: false, tty: false, logPath: join(directory, 'logs', name, '0.log'), security, resources: {} }))
  await timed('start', () => runtime.startContainer(container.id))
  return { sandbox: id, container: container.id }
}

for (let i = 0; i < 30; i++) {
  const { sandbox, container } = await pod()
  await timed('exec', () => runtime.execSync(container, ['true'], 5000))
  await timed('remove', () => runtime.removePodSandbox(sandbox))
}
const sorted = (list: number[]) => list.toSorted((a, b) => a - b)
for (const [what, list] of Object.entries(times)) console.log(`${what.padEnd(8)} median ${sorted(list)[list.length >> 1]!.toFixed(1)} ms, worst ${sorted(list).at(-1)!.toFixed(1)} ms`)

const before = performance.now(), cpu = process.cpuUsage()
const pods = await Promise.all(Array.from({ length: 100 }, pod))
const { user: userTime, system } = process.cpuUsage(cpu)
console.log(`100 pods at once: ${(performance.now() - before).toFixed(0)} ms until all run (CPU ${((userTime + system) / 1000).toFixed(0)} ms)`)
const removing = performance.now()
await Promise.all(pods.map(each => runtime.removePodSandbox(each.sandbox)))
console.log(`100 pods removed: ${(performance.now() - removing).toFixed(0)} ms`)
rmSync(directory, { recursive: true, force: true })
process.exit(0)
