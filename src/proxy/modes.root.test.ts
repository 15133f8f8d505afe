// Switching modes on a node that carries traffic: the new mode's rules first, then the old one's go; no
// request fails, an open connection stays open, and nothing of the old mode or of others is touched.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { findIptables } from '#host/iptables.ts'
import { findNft } from '#host/nft.ts'
import { silent } from '#lib/log.ts'
import { parseYamlDocuments } from '#lib/yaml.ts'
import { proxyConfig } from './config.ts'
import { Metrics } from './metrics.ts'
import { cleanUpModes, createPlanes } from './modes.ts'
import { manifestState, podPort } from './packets.ts'
import { makeNetwork, type Network } from './testing/apply.ts'

const skip = process.getuid?.() !== 0 ? 'needs root' : await findNft() && await findIptables(4) ? false : 'nft or iptables does not work here'
let network: Network
before(async () => { if (!skip) network = await makeNetwork({ ports: [podPort] }) })
after(() => network?.close())

const file = join(import.meta.dirname, 'testdata/nodeport.in.yaml')
const { ports, options } = manifestState(parseYamlDocuments(readFileSync(file, 'utf8'), file), 4)
const contextOf = (mode: string) => ({ config: proxyConfig(new Map([['mode', mode]]), new Map()), nodeName: 'n', log: silent, metrics: new Metrics(), netns: network.machines.node.path, fallback: false })

/** Every rule of the node, but for the names and tables that iptables-nft leaves empty. */
const ruleset = async () => (await network.machines.node.run(['nft', '-s', 'list', 'ruleset'])).stdout
async function start(mode: string) {
  const { planes } = await createPlanes(contextOf(mode))
  for (const plane of planes) if (plane.family === 4) await plane.apply(ports, options)
  assert.ok(await cleanUpModes({ ...contextOf(mode), inForce: mode as 'iptables' }))
  return async () => { await Promise.all(planes.map(plane => plane.stop())) }
}

test('iptables and nftables, there and back, under requests', { skip }, async () => {
  const { node, client } = network.machines
  await node.run(['nft', '-f', '-'], 'table ip other {\n chain c { type filter hook forward priority 5; counter; }\n}\n')
  await node.run(['iptables-nft', '-t', 'nat', '-N', 'CNI-HOSTPORT'])
  let stop = await start('iptables'), running = true
  const failures: string[] = []
  let answered = 0
  const requests = (async () => {
    while (running) {
      const { answer, error } = await client.ask({ do: 'send', protocol: 'tcp', address: '192.168.109.101', port: 30007, timeoutMs: 3000 })
      if (answer) answered++
      else failures.push(error!)
    }
  })()
  for (const mode of ['nftables', 'iptables', 'nftables', 'iptables']) {
    await stop()
    stop = await start(mode)
    const rules = await ruleset()
    assert.equal(rules.includes('table ip kube-proxy'), mode === 'nftables', mode)
    assert.equal(rules.includes('KUBE-SERVICES'), mode === 'iptables', mode)
    assert.ok(rules.includes('table ip other') && rules.includes('CNI-HOSTPORT'))
    await new Promise(resolve => setTimeout(resolve, 200))
  }
  running = false
  await requests
  assert.deepEqual(failures, [])
  assert.ok(answered > 20)
  await stop()
  assert.ok(await cleanUpModes({ ...contextOf('iptables'), inForce: undefined }))
  assert.doesNotMatch(await ruleset(), /KUBE-|kube-proxy/)
  assert.match(await ruleset(), /table ip other[^]*CNI-HOSTPORT|CNI-HOSTPORT[^]*table ip other/)
})
