// Real sandboxes and containers on two nodes, in namespaces of this test's own.
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { applyIp } from '#host/ip.ts'
import { isolated } from '#host/isolated.ts'
import { createNetns, netnsPath } from '#host/netns.ts'
import { silent } from '#lib/log.ts'
import type { ImageStore, RootFs } from '../../images/store.ts'
import { applyNodeNetwork } from '../../network/apply.ts'
import type { ContainerConfig, PodSandboxConfig, Runtime } from '../cri.ts'
import { createRuntime } from './apply.ts'

const nodes = [{ name: 'n1', ip: '192.168.109.100', podCidr: '10.244.0.0/24' }, { name: 'n2', ip: '192.168.109.101', podCidr: '10.244.1.0/24' }]
const clusterCidr = '10.244.0.0/16'

/** An image of the machine's own programs, as the built-in ones are. */
function image(directory: string): ImageStore {
  const layer = join(directory, 'layer')
  for (const each of ['etc', 'tmp', 'root', 'proc', 'dev', 'sys', 'run', 'var', 'usr/share/site', 'data']) mkdirSync(join(layer, each), { recursive: true })
  for (const each of ['bin', 'sbin', 'lib', 'lib64']) symlinkSync(`usr/${each}`, join(layer, each))
  writeFileSync(join(layer, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\nweb:x:33:33:web:/var/www:/bin/sh\n')
  writeFileSync(join(layer, 'etc/group'), 'root:x:0:\nweb:x:33:\nextra:x:44:web\n')
  writeFileSync(join(layer, 'usr/share/site/index.html'), 'welcome\n')
  symlinkSync('/etc/hostile', join(layer, 'data/absolute'))
  symlinkSync('../../../../../../../../tmp', join(layer, 'data/upward'))
  const rootfs: RootFs = { lowerDirs: [layer], usrFromHost: true, binds: [], config: { entrypoint: ['sleep'], cmd: ['1000'], env: ['IMAGE=yes'], workingDir: '', user: '', stopSignal: 'SIGTERM', exposedPorts: [] } }
  const known = { id: 'sha256:test', tags: ['test:1'], digests: [], sizeBytes: 0 }
  return { imageStatus: async () => known, pullImage: async () => known, listImages: async () => [known], rootfs: async () => rootfs, loadArchive: async () => [], removeImage: async () => false }
}

isolated(import.meta.url, ['root', 'user'], way => {
  const directory = mkdtempSync('/tmp/fairway-runtime-')
  const runtimes: Runtime[] = []
  let count = 0

  before(async () => {
    const links = nodes.flatMap(({ name }) => [{ name: `f-${name}`, kind: 'veth' as const, peer: { name: 'eth0', netns: name }, master: 'fabric' }])
    for (const { name } of nodes) createNetns(name)
    await applyIp({ links: [{ name: 'fabric', kind: 'bridge', addresses: ['192.168.109.1/24'] }, ...links] }, undefined)
    const images = image(directory)
    for (const node of nodes) {
      const netns = netnsPath(node.name)
      await applyIp({ links: [{ name: 'lo', kind: 'existing' }, { name: 'eth0', kind: 'existing', addresses: [`${node.ip}/24`] }], routes: [{ to: 'default', via: '192.168.109.1' }] }, netns)
      await applyNodeNetwork({ netns, nodeIp: node.ip, podCidr: node.podCidr, clusterCidr }, nodes.map(peer => ({ nodeIp: peer.ip, podCidr: peer.podCidr })))
      runtimes.push(await createRuntime({ nodeName: node.name, netns, nodeIp: node.ip, podCidr: node.podCidr, root: join(directory, node.name), sandboxRoot: join(directory, 'sandboxes', node.name), images, log: silent, unprivileged: way === 'user' }))
    }
  })
  after(async () => {
    for (const runtime of runtimes) for (const sandbox of runtime.listPodSandboxes()) await runtime.removePodSandbox(sandbox.id)
  })

  const sandboxConfig = (more: Partial<PodSandboxConfig> = {}): PodSandboxConfig => {
    const name = `pod-${++count}`
    return { namespace: 'default', name, uid: name, attempt: 0, hostname: name, labels: {}, hostNetwork: false, hostPid: false, resolvConf: 'nameserver 10.96.0.10\n', hosts: `127.0.0.1 localhost\n$POD_IP ${name}\n`, sysctls: {}, portMappings: [], ...more }
  }
  const security = { privileged: false, supplementalGroups: [], readonlyRootFilesystem: false, addCapabilities: [], dropCapabilities: [], noNewPrivileges: false }
  const containerConfig = (more: Partial<ContainerConfig> = {}): ContainerConfig => ({
    name: 'c', attempt: 0, imageId: 'sha256:test', command: [], args: [], workingDir: '', env: [], mounts: [], stdin: false, tty: false,
    logPath: join(directory, 'logs', String(++count), '0.log'), security, resources: {}, ...more,
  })
  async function pod(more: Partial<ContainerConfig> = {}, { node = 0, sandbox = {} as Partial<PodSandboxConfig> } = {}) {
    const runtime = runtimes[node]!
    const box = await runtime.runPodSandbox(sandboxConfig(sandbox))
    const container = await runtime.createContainer(box.id, containerConfig(more))
    await runtime.startContainer(container.id)
    return { runtime, box, id: container.id, ip: box.ips[0]!, log: container.logPath, sh: async (script: string) => {
      const { exitCode, output } = await runtime.execSync(container.id, ['sh', '-c', script], 5000)
      return exitCode === 0 ? output : `${output}exit ${exitCode}`
    } }
  }
  const ended = (runtime: Runtime, id: string) => new Promise<ReturnType<Runtime['listContainers']>[number]>(resolve => {
    const look = () => { const found = runtime.listContainers().find(each => each.id === id); if (found?.state === 'exited') resolve(found) }
    runtime.onEvent(look)
    look()
  })
  /** What a container wrote until its end, and the record of it. */
  async function output(more: Partial<ContainerConfig>, where: Parameters<typeof pod>[1] = {}) {
    const { runtime, id, log } = await pod(more, where)
    const end = await ended(runtime, id)
    return { ...end, text: readFileSync(log, 'utf8').replace(/^\S+ /gm, '') }
  }
  const script = (text: string, more: Partial<ContainerConfig> = {}) => ({ command: ['sh', '-c', text], ...more })

  test('a container sees its pod, its image and nothing of the machine', async () => {
    const { text, exitCode, reason } = await output(script('hostname; cat /etc/hostname /etc/resolv.conf; grep pod /etc/hosts; ls /proc | grep -c "^[0-9]"; echo $IMAGE $OWN $HOME; pwd; ls -A /home /work 2>&1 | head -1; cat /usr/share/site/index.html; echo err >&2; cat /proc/1/comm', { env: [['OWN', 'mine']] }))
    const name = text.split('\n')[0]!.slice('stdout F '.length)
    assert.match(text, new RegExp(`stdout F ${name}\nstdout F ${name}\nstdout F nameserver 10.96.0.10\nstdout F 10.244.0.\\d+ ${name}\n`))
    assert.match(text, /stdout F yes mine \/root\nstdout F \/\n/)
    assert.match(text, /stdout F welcome\n/)
    assert.match(text, /stderr F err\n/)
    assert.match(text, /No such file/)
    assert.equal(exitCode, 0)
    assert.equal(reason, 'Completed')
  })

  test('pods reach each other on one node and across nodes, with their own addresses', async () => {
    const serve = (await import('node:process')).execPath
    void serve
    const server = `perl -MIO::Socket::INET -e '$s=IO::Socket::INET->new(Listen=>5,LocalPort=>80,ReuseAddr=>1) or die "no $!"; while($c=$s->accept){print $c "you are ".$c->peerhost."\\n"; close $c}'`
    const [a, b, c] = await Promise.all([pod(script(server)), pod(), pod({}, { node: 1 })])
    const get = (ip: string) => `perl -MIO::Socket::INET -e 'for(1..50){$s=IO::Socket::INET->new(PeerAddr=>"${ip}:80",Timeout=>2) and last; select undef,undef,undef,0.05} print <$s>'`
    assert.equal(await b.sh(get(a.ip)), `you are ${b.ip}\n`)
    assert.equal(await c.sh(get(a.ip)), `you are ${c.ip}\n`)
    const socket = await a.runtime.dial(a.box.id, '127.0.0.1', 80)
    assert.equal(String((await socket.toArray())[0]), 'you are 127.0.0.1\n')
    await assert.rejects(a.runtime.dial(a.box.id, '127.0.0.1', 81), /ECONNREFUSED/)
  })
})
