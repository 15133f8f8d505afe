// The table of packets in this mode, with real sockets in network namespaces. Needs root and a kernel
// with IPVS: where this machine's has none, test/ipvs-vm/ runs it in a virtual machine.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { Family } from '#net/ip.ts'
import type { DataPlane } from '../dataplane.ts'
import { addressOf, expectationIn, familyOf, network, packets, podPort, type Expectation, type PacketRow } from '../packets.ts'
import { makeNetwork, type Namespace, type Network } from '../testing/apply.ts'
import { cannotTry, cannotTrySctp, cleanUp, heldText, ipvsCase, makePlane, Peer } from './testing/apply.ts'

const manifests = [...new Set(packets.map(row => row.manifest))].filter(name => name !== 'sctp')

const cannot = await cannotTry(), noSctp = cannot ?? await cannotTrySctp()

describe('the table of packets', { skip: cannot ?? false }, () => {
  let real: Network, heldBefore: string
  const planes = new Map<Family, DataPlane>()
  before(async () => {
    real = await makeNetwork({ ports: [podPort, podPort + 1] })
    const netns = real.machines.node.path
    heldBefore = await heldText(netns)
    for (const family of [4, 6] as const) planes.set(family, await makePlane({ family, netns }))
  })
  after(() => real.close())

  // The planes go from manifest to manifest, as a proxy does when Services change: an emulated machine takes long to start them.
  for (const manifest of manifests) {
    test(manifest, async t => {
      for (const family of [4, 6] as const) {
        const rows = packets.filter(row => row.manifest === manifest && familyOf(row) === family)
        if (rows.length === 0) continue
        const { ports, node } = ipvsCase(manifest, family)
        await planes.get(family)!.apply(ports, node)
        assert.equal((await planes.get(family)!.apply(ports, node)).sync, 'none')
        // One after the other: the rotation of a virtual server is everybody's.
        for (const row of rows) await t.test(row.text, () => check(row, real.machines[row.from]))
      }
    })
  }

  // No other mode can be tried so on kernels without SCTP.
  for (const row of packets.filter(row => row.protocol === 'sctp')) {
    test(row.text, { skip: noSctp ?? false }, async t => {
      const { ports, node } = ipvsCase(row.manifest, 4), [endpoint] = row.expect.endpoints
      await planes.get(4)!.apply(ports, node)
      const { port, address } = row, server = await Peer.start(real.machines[endpoint!.pod].path, 'serve', { protocol: 'sctp', address: addressOf(endpoint!.pod, 4), port: endpoint!.port, name: endpoint!.pod })
      const client = await Peer.start(real.machines[row.from].path, 'talk', { protocol: 'sctp', address, port })
      t.after(() => Promise.all([server.close(), client.close()]))
      assert.equal(await client.say('hello'), `${endpoint!.pod}: hello`)
    })
  }

  test('cleanup leaves nothing', async () => {
    const netns = real.machines.node.path
    for (const plane of planes.values()) { assert.equal(await plane.checkFlushed(), false); await plane.stop() }
    await cleanUp(netns)
    assert.equal(await heldText(netns), heldBefore)
    await cleanUp(netns)
  })
})

async function check(row: PacketRow, from: Namespace): Promise<void> {
  const expect = expectationIn(row, 'ipvs'), { verdict, endpoints: { length: wanted }, sticky } = expect
  const answers: string[] = [], errors: string[] = []
  const timeoutMs = verdict === 'endpoint' || verdict === 'REJECT' ? 5000 : 600
  for (let i = 0; i < (verdict === 'endpoint' ? 2 * wanted : 1); i++) {
    const { answer, error } = await from.ask({ do: 'send', protocol: row.protocol as 'tcp' | 'udp', address: row.address, port: row.port, timeoutMs })
    if (answer !== undefined) answers.push(answer)
    else { errors.push(error!); break }
  }
  if (verdict !== 'endpoint') {
    assert.deepEqual(answers, [], 'nobody may answer')
    if (verdict === 'REJECT') assert.deepEqual(errors, ['ECONNREFUSED'])
    if (verdict === 'DROP') assert.deepEqual(errors, ['timeout'])
    return
  }
  assert.deepEqual(errors, [])
  const pods = answers.map(answer => answer.split(' ')[0]!)
  if (sticky) assert.equal(new Set(pods).size, 1, `one client, one endpoint: ${pods.join(', ')}`)
  else {
    assert.equal(new Set(pods.slice(0, wanted)).size, wanted, `each in its turn: ${pods.join(', ')}`)
    assert.deepEqual(pods.slice(wanted), pods.slice(0, wanted), 'and again in the same order')
  }
  for (const text of new Set(answers)) checkAnswer(text, row, expect)
}

/** `pod-a 10.244.1.1`: who answered, and from which address it saw the request come. */
function checkAnswer(text: string, row: PacketRow, expect: Expectation): void {
  const [pod, source] = text.split(' ')
  const endpoint = expect.endpoints.find(one => one.pod === pod)
  assert.ok(endpoint, `${pod} is not among the endpoints`)
  if (endpoint.masquerade) assert.ok(network.node.addresses.includes(source!), `masqueraded requests come from the node, not from ${source}`)
  else assert.equal(source, addressOf(row.from, familyOf(row)), 'the source must be kept')
}
