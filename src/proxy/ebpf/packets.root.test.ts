// The table of packets in ebpf mode, with real sockets. What sockets do not translate meets packet
// rules, as always in this mode. Needs root; programs run for the test's own processes only.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { silent } from '#lib/log.ts'
import { parseYamlDocuments } from '#lib/yaml.ts'
import { proxyConfig } from '../config.ts'
import type { NodeOptions } from '../dataplane.ts'
import { Metrics } from '../metrics.ts'
import * as nftables from '../nftables/apply.ts'
import { addressOf, familyOf, manifestState, network, nodeName, packets, podPort, type PacketRow } from '../packets.ts'
import type { ProxiedPort } from '../state.ts'
import { makeNetwork, type Namespace, type Network } from '../testing/apply.ts'
import { EbpfPlane } from './apply.ts'
import { SocketPlane } from './sockets/apply.ts'
import { cannotTry, makeGroup, type TestGroup } from './testing/apply.ts'

const config = proxyConfig(new Map(), new Map())
const manifests = [...new Set(packets.map(row => row.manifest))].filter(name => name !== 'sctp')

describe('the table of packets', { skip: cannotTry() ?? false }, () => {
  let real: Network, group: TestGroup
  before(async () => {
    real = await makeNetwork({ ports: [podPort, podPort + 1] })
    group = makeGroup()
    group.join(...Object.values(real.machines))
  })
  after(async () => { await real.close(); await group.close() })

  for (const manifest of manifests) {
    test(manifest, async t => {
      const file = join(import.meta.dirname, '../testdata', `${manifest}.in.yaml`)
      const documents = parseYamlDocuments(readFileSync(file, 'utf8'), file)
      for (const family of [4, 6] as const) {
        const rows = packets.filter(row => row.manifest === manifest && familyOf(row) === family)
        if (rows.length === 0) continue
        const { ports, options } = manifestState(documents, family)
        await withRules(ports, options, () => Promise.all(rows.map(row => t.test(row.text, () => check(row, real.machines[row.from], options)))))
      }
    })
  }

  async function withRules(ports: readonly ProxiedPort[], options: NodeOptions, work: () => Promise<unknown>): Promise<void> {
    const { family } = options, netns = real.machines.node.path, context = { family, config, nodeName, log: silent, metrics: new Metrics(), labels: {}, netns }
    const plane = new SocketPlane({ family, cgroup: group.fd, log: silent, netns, candidates: () => Object.values(real.machines).map(({ path }) => path) })
    const beside = await nftables.create(context)
    if ('refused' in beside) throw new Error(beside.refused)
    const both = new EbpfPlane({ plane, close: () => plane.close() }, beside)
    try {
      assert.equal((await both.apply(ports, options)).sync, 'full')
      assert.equal((await both.apply(ports, options)).sync, 'none')
      assert.equal(await both.checkFlushed(), false)
      await work()
    } finally {
      await both.stop()
      await nftables.cleanup({ log: silent, inForce: undefined, config, netns })
    }
  }
})

async function check(row: PacketRow, from: Namespace, { masqueradeAll }: NodeOptions): Promise<void> {
  const answers = new Map<string, number>(), errors = new Map<string, number>()
  const { verdict, endpoints: { length: wanted } } = row.expect
  const timeoutMs = verdict === 'endpoint' || verdict === 'REJECT' ? 3000 : 400
  for (let i = 0; i < (verdict === 'endpoint' ? 20 * wanted : 1); i++) {
    const { answer, error } = await from.ask({ do: 'send', protocol: row.protocol as 'tcp' | 'udp', address: row.address, port: row.port, timeoutMs })
    const counts = answer === undefined ? errors : answers, key = answer ?? error!
    counts.set(key, (counts.get(key) ?? 0) + 1)
    if (error) break
  }
  if (verdict !== 'endpoint') {
    assert.deepEqual([...answers], [], 'nobody may answer')
    if (verdict === 'REJECT') assert.deepEqual([...errors.keys()], ['ECONNREFUSED'])
    if (verdict === 'DROP') assert.deepEqual([...errors.keys()], ['timeout'])
    return
  }
  assert.deepEqual([...errors], [])
  assert.equal(answers.size, row.expect.sticky ? 1 : wanted, [...answers.keys()].join(', '))
  for (const text of answers.keys()) {
    const [pod, source] = text.split(' ')
    const endpoint = row.expect.endpoints.find(one => one.pod === pod)
    assert.ok(endpoint, `${pod} is not among the endpoints`)
    // A socket of this node talks to the endpoint directly: nothing to masquerade, also where it is its own pod.
    const packetRules = row.from === 'client' || masqueradeAll
    if (row.from === 'node' || (endpoint.masquerade && packetRules)) assert.ok(network.node.addresses.includes(source!), `comes from the node, not from ${source}`)
    else assert.equal(source, addressOf(row.from, familyOf(row)), 'the source must be kept')
  }
}
