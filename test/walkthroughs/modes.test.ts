// The walk-through's "modes": edit the ConfigMap kube-proxy, delete its pods, and the same Services
// carry the same packets; nothing of the old mode is left in the kernel.
import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { loadableModes } from '#proxy/modes.ts'
import { eventually, manifest, startCluster, type TestCluster } from '../cluster.ts'

let cluster: TestCluster
let pods: { name: string; ip: string; node: string }[]
before(async () => {
  cluster = await startCluster()
  await cluster.kubectl(['create', 'ns', 'dev'])
  await cluster.kubectl(['create', '-f', manifest('b01-deployment')])
  pods = await cluster.readyPods('app=nginx-pod', 3, 'dev')
  for (const pod of pods) await cluster.kubectl(['exec', pod.name, '-n', 'dev', '--', 'sh', '-c', `echo ${pod.ip} > /usr/share/nginx/html/index.html`])
}, { timeout: 120_000 })
after(async () => { await cluster?.remove() })

const nodeIps = ['192.168.109.100', '192.168.109.101', '192.168.109.102']

async function switchTo(mode: string): Promise<void> {
  const config = JSON.parse((await cluster.kubectl(['-n', 'kube-system', 'get', 'cm', 'kube-proxy', '-o', 'json'])).stdout) as { data: Record<string, string> }
  config.data['config.conf'] = config.data['config.conf']!.replace(/^mode:.*$/m, `mode: ${mode}`)
  await cluster.kubectl(['-n', 'kube-system', 'replace', '-f', '-'], { input: JSON.stringify(config) })
  await cluster.kubectl(['-n', 'kube-system', 'delete', 'pod', '-l', 'k8s-app=kube-proxy'])
  await cluster.readyPods('k8s-app=kube-proxy', 3, 'kube-system')
}

/** The marks that may be there in each mode: ebpf has nftables' rules beside it, for traffic from outside. */
const expected: Record<string, string[]> = { iptables: ['iptables'], userspace: ['userspace'], nftables: ['nftables'], ebpf: ['nftables'] }
// ipvs has a kernel of its own to be tested in: test/ipvs-vm.
const modes = loadableModes.filter(mode => mode in expected && mode !== 'iptables' && (mode !== 'ebpf' || process.getuid!() === 0))

/** What the modes put into the kernel. */
const marks: Record<string, (dump: { iptables: string; nft: string }) => boolean> = {
  iptables: ({ iptables }) => /KUBE-SVC-/.test(iptables),
  userspace: ({ iptables }) => /KUBE-PORTALS-/.test(iptables),
  nftables: ({ nft }) => /table ip kube-proxy\b/.test(nft),
}
async function kernelOf(node: string): Promise<{ iptables: string; nft: string }> {
  const [iptables, nft] = await Promise.all([cluster.shell(node, ['iptables-save']), cluster.shell(node, ['nft', 'list', 'tables'])])
  return { iptables: iptables.stdout, nft: nft.stdout }
}

for (const mode of ['iptables', ...modes, 'iptables']) suite(`mode ${mode}`, () => {
  test('the switch: the new mode\'s rules are there and nobody else\'s', async () => {
    await switchTo(mode)
    await cluster.kubectl(['create', '-f', manifest('b02-service-clusterip')])
    const ip = await cluster.jsonpath(['service', 'service-clusterip', '-n', 'dev'], '{.spec.clusterIP}')
    await eventually(() => cluster.curl('k8s-node02', ip))
    const dump = await kernelOf('k8s-node02')
    assert.deepEqual(Object.keys(marks).filter(name => marks[name]!(dump)), expected[mode])
  })

  test('b02: the ClusterIP reaches all three pods, from nodes and pods', async () => {
    const ip = await cluster.jsonpath(['service', 'service-clusterip', '-n', 'dev'], '{.spec.clusterIP}')
    const ips = pods.map(pod => pod.ip).sort()
    for (const node of ['k8s-master01', 'k8s-node01']) {
      const seen = await cluster.curls(node, ip, 30)
      assert.deepEqual([...new Set(seen)].sort(), ips)
      if (mode === 'userspace') assert.deepEqual(seen.slice(0, 3).toSorted(), ips, 'strict rotation, as the source prints')
    }
    const fromPod = await cluster.kubectl(['exec', pods[0]!.name, '-n', 'dev', '--', 'sh', '-c', `for i in $(seq 30); do curl -s --max-time 3 ${ip}; done`])
    assert.deepEqual([...new Set(fromPod.stdout.trim().split('\n'))].sort(), ips)
  })

  test('b02 with affinity: each client stays on one pod', async () => {
    await cluster.kubectl(['apply', '-f', manifest('b02-service-clusterip-affinity')])
    const ip = await cluster.jsonpath(['service', 'service-clusterip', '-n', 'dev'], '{.spec.clusterIP}')
    await eventually(async () => assert.equal(new Set(await cluster.curls('k8s-node01', ip, 12)).size, 1))
    assert.equal(await cluster.jsonpath(['service', 'service-clusterip', '-n', 'dev'], '{.spec.sessionAffinityConfig.clientIP.timeoutSeconds}'), '10800')
    await cluster.kubectl(['delete', 'service', 'service-clusterip', '-n', 'dev'])
  })

  test('b04: the NodePort answers on every node from outside', async () => {
    await cluster.kubectl(['create', '-f', manifest('b04-service-nodeport')])
    await eventually(() => cluster.curl('client', `${nodeIps[0]}:30003`))
    for (const ip of nodeIps) assert.deepEqual([...new Set(await cluster.curls('client', `${ip}:30003`, 24))].sort(), pods.map(pod => pod.ip).sort(), ip)
    await cluster.kubectl(['delete', 'service', 'service-nodeport', '-n', 'dev'])
  })

  test('a Service without endpoints refuses at once', async () => {
    await cluster.kubectl(['create', 'service', 'clusterip', 'empty', '--tcp=80:80'])
    const ip = await cluster.jsonpath(['service', 'empty'], '{.spec.clusterIP}')
    await eventually(async () => assert.equal((await cluster.shell('k8s-node01', ['curl', '-s', '--max-time', '2', ip])).code, 7))
    await cluster.kubectl(['delete', 'service', 'empty'])
  })
})
