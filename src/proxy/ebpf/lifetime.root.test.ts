// ebpf mode as the proxy makes it: attached at the root of the machine's control groups, gone with its
// process, refused where the kernel does not allow it.
import assert from 'node:assert/strict'
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { closeSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { attachedPrograms, openCgroupRoot } from '#host/bpf.ts'
import { run } from '#host/run.ts'
import { cleanup as cleanUpNftables } from '../nftables/apply.ts'
import { proxyConfig } from '../config.ts'
import { silent } from '#lib/log.ts'
import { podPort } from '../packets.ts'
import { makeNetwork, type Network } from '../testing/apply.ts'
import { hooks } from './programs.ts'
import { cannotTry, Client } from './testing/apply.ts'

const holder = [process.execPath, '--disable-warning=ExperimentalWarning', join(import.meta.dirname, 'testing/hold/main.ts')]
const service = { address: '10.96.9.9', port: 80 }

describe('the life of a proxy', { skip: cannotTry() ?? false }, () => {
  let real: Network, node: Client, client: Client
  before(async () => {
    real = await makeNetwork({ ports: [podPort] })
    node = new Client(real.machines.node.path)
    client = new Client(real.machines.client.path)
  })
  after(async () => { await Promise.all([node.close(), client.close(), real.close()]) })

  async function hold(): Promise<ChildProcess> {
    const child = spawn(holder[0]!, [...holder.slice(1), real.machines.node.path, `10.244.1.2:${podPort}`], { stdio: ['ignore', 'pipe', 'inherit'] })
    const said = await Promise.race([once(child.stdout!, 'data'), once(child, 'exit')])
    assert.equal(String(said[0]).trim(), 'ready')
    return child
  }
  /** How the Service is reached: by a program the peer's name is the Service's and conntrack knows nothing; by packet rules it does. */
  const way = async () => {
    const { answer, error } = await node.ask({ do: 'tcp', ...service })
    const { stdout } = await run(['conntrack', '-L', '-d', service.address], { netns: real.machines.node.path }).catch(() => ({ stdout: '' }))
    await run(['conntrack', '-F'], { netns: real.machines.node.path }).catch(() => {})
    return error ?? `${answer!.split(' ')[0]} by ${stdout.includes(`dst=${service.address}`) ? 'packet rules' : 'a program'}`
  }
  const attached = () => {
    const root = openCgroupRoot()!
    try { return hooks.map(hook => attachedPrograms(root, hook)).join() } finally { closeSync(root) }
  }

  for (const [signal, what] of [['SIGTERM', 'told to end'], ['SIGKILL', 'killed']] as const) {
    test(`${what}: programs go with it, the rules beside stay, a new one takes over`, async () => {
      const before = attached()
      const first = await hold()
      assert.equal(await way(), 'pod-a by a program')
      assert.match((await client.ask({ do: 'tcp', ...service })).answer!, /^pod-a/) // from outside
      first.kill(signal)
      await once(first, 'exit')
      assert.equal(attached(), before)
      assert.equal(await way(), 'pod-a by packet rules')
      const second = await hold()
      assert.equal(await way(), 'pod-a by a program')
      second.kill('SIGKILL')
      await once(second, 'exit')
      await cleanUpNftables({ log: silent, inForce: undefined, config: proxyConfig(new Map(), new Map()), netns: real.machines.node.path })
      assert.match(await way(), /^E/)
    })
  }

  test('refused in one sentence where the kernel does not allow it', async () => {
    const { stdout } = await run(['unshare', '--user', '--map-root-user', '--net', ...holder, '', ''])
    assert.equal(stdout.trim(), 'the kernel lets only the machine\'s own root load eBPF, and this is a user namespace: start the cluster as root')
    const without = await run(['unshare', '--net', 'setpriv', '--bounding-set', '-all,+net_admin,+sys_ptrace', '--inh-caps', '-all', ...holder, '', ''])
    assert.match(without.stdout, /^the kernel does not let this process load eBPF \(bpf \w+ \w+: EPERM\): run as root/)
  })
})
