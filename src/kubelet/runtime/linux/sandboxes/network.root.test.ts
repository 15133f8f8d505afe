// Pods on two nodes and what reaches what, in namespaces of this test's own.
import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { isolated } from '#host/isolated.ts'
import { netnsPath } from '#host/netns.ts'
import { run } from '#host/run.ts'
import { Machine } from '../testing/apply.ts'

/** Tells each caller its address. */
const server = (port: number) => `exec perl -MIO::Socket::INET -e '$s=IO::Socket::INET->new(Listen=>5,LocalPort=>${port},ReuseAddr=>1) or die "no $!"; while($c=$s->accept){print $c "you are ".$c->peerhost."\\n"; close $c}'`
const get = (ip: string, port: number) => `perl -MIO::Socket::INET -e 'for(1..50){$s=IO::Socket::INET->new(PeerAddr=>"${ip}:${port}",Timeout=>2) and last; select undef,undef,undef,0.05} print <$s>'`

isolated(import.meta.url, ['root', 'user'], way => {
  const machine = new Machine(way)
  before(() => machine.start())
  after(() => machine.stop())

  test('pods reach each other on one node and across nodes, with their own addresses', async () => {
    const [a, b, c] = await Promise.all([machine.pod({ script: server(80) }), machine.pod(), machine.pod({}, { node: 1 })])
    assert.equal(await b.sh(get(a.ip, 80)), `you are ${b.ip}\n`)
    assert.equal(await c.sh(get(a.ip, 80)), `you are ${c.ip}\n`)
    assert.equal(await a.sh(get('127.0.0.1', 80)), 'you are 127.0.0.1\n')
    const socket = await a.runtime.dial(a.box.id, '127.0.0.1', 80)
    assert.equal(String((await socket.toArray())[0]), 'you are 127.0.0.1\n')
    await assert.rejects(a.runtime.dial(a.box.id, '127.0.0.1', 81), /ECONNREFUSED/)
  })

  test('a pod reaches itself through a translated address (hairpin)', async () => {
    const a = await machine.pod({ script: server(80) })
    await run(['nft', '-f', '-'], { netns: netnsPath('n1'), input: `table ip service {
      chain pre { type nat hook prerouting priority -100; ip daddr 10.96.0.1 dnat to ${a.ip}
      }
      chain post { type nat hook postrouting priority 100; ip saddr ${a.ip} ip daddr ${a.ip} masquerade
      }
    }` })
    assert.equal(await a.sh(get('10.96.0.1', 80)), 'you are 10.244.0.1\n')
    await run(['nft', 'delete', 'table', 'ip', 'service'], { netns: netnsPath('n1') })
  })

  test('what leaves the cluster has the address of the node', async () => {
    const [outside, pod] = await Promise.all([machine.pod({ script: server(7000) }, { node: 1, sandbox: { hostNetwork: true } }), machine.pod()])
    assert.equal(outside.ip, '192.168.109.101')
    assert.equal(await pod.sh(get(outside.ip, 7000)), 'you are 192.168.109.100\n')
  })

  test('a hostPort is open on the node, for other nodes, the node itself and the pods, until the pod goes', async () => {
    const a = await machine.pod({ script: server(80) }, { sandbox: { portMappings: [{ hostIp: '', hostPort: 8080, containerPort: 80, protocol: 'TCP' }] } })
    const [local, remote] = await Promise.all([machine.pod({}, { sandbox: { hostNetwork: true } }), machine.pod({}, { node: 1, sandbox: { hostNetwork: true } })])
    assert.equal(await remote.sh(get('192.168.109.100', 8080)), 'you are 192.168.109.101\n')
    assert.match(await local.sh(get('192.168.109.100', 8080)), /^you are 192.168.109.100\n/)
    assert.equal(await local.sh(get('127.0.0.1', 8080)), 'you are 10.244.0.1\n')
    assert.equal(await a.sh(get('192.168.109.100', 8080)), 'you are 10.244.0.1\n')
    await a.runtime.removePodSandbox(a.box.id)
    await assert.rejects(remote.runtime.dial(remote.box.id, '192.168.109.100', 8080), /ECONNREFUSED/)
  })

  test('containers of a pod share network, names and /dev/shm, not processes or files', async () => {
    const a = await machine.pod({ script: `echo one > /dev/shm/x; echo two > /tmp/x; ${server(80)}` })
    const b = await machine.pod({}, { box: a.box })
    assert.equal(await b.sh(get('127.0.0.1', 80)), 'you are 127.0.0.1\n')
    assert.equal(await b.sh('cat /dev/shm/x; hostname; test -e /tmp/x'), `one\n${a.box.config.hostname}\nexit 1\n`)
    assert.equal(await b.sh('cat /proc/1/comm'), 'sleep\n')
  })

  test('many pods at once, and nothing of them is left', async () => {
    const [runtime] = machine.runtimes
    const before = readdirSync('/run/netns').length
    const boxes = await Promise.all(Array.from({ length: 40 }, () => runtime!.runPodSandbox(machine.sandboxConfig())))
    assert.equal(new Set(boxes.map(box => box.ips[0])).size, 40)
    await Promise.all(boxes.map(box => runtime!.removePodSandbox(box.id)))
    assert.equal(readdirSync('/run/netns').length, before)
    await sleep(1300)
    const { stdout } = await run(['ip', '-json', 'link', 'show', 'type', 'veth'], { netns: netnsPath('n1') })
    const veths = (JSON.parse(stdout) as { ifname: string }[]).filter(link => link.ifname.startsWith('veth'))
    const own = runtime!.listPodSandboxes().filter(box => !box.config.hostNetwork)
    assert.equal(veths.length, own.length)
    const next = await runtime!.runPodSandbox(machine.sandboxConfig())
    assert.ok(!boxes.some(box => box.ips[0] === next.ips[0]), 'an address rests before it is given again')
  })

  test('sysctls are the pod\'s own', async () => {
    const a = await machine.pod({}, { sandbox: { sysctls: { 'net.ipv4.ip_local_port_range': '40000 41000' } } })
    assert.equal(await a.sh('cat /proc/sys/net/ipv4/ip_local_port_range /proc/sys/net/ipv4/ip_unprivileged_port_start'), '40000\t41000\n0\n')
  })
})
