// The table of packets, traced through the rules that the manifests give (held by the fake iptables).
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { FakeIptables } from '#host/iptables.fake.ts'
import { silent } from '#lib/log.ts'
import { parseYamlDocuments } from '#lib/yaml.ts'
import { IptablesApplier } from './iptables/apply.ts'
import { iptablesOptions } from './iptables/options.ts'
import { jumps, rules } from './iptables/rules.ts'
import { parseTables, trace, type Outcome, type Tables } from './iptables/trace.ts'
import { addressOf, familyOf, manifestState, network, packets, type PacketRow } from './packets.ts'

async function tables(row: PacketRow): Promise<Tables> {
  const file = join(import.meta.dirname, 'testdata', `${row.manifest}.in.yaml`)
  const { ports, options } = manifestState(parseYamlDocuments(readFileSync(file, 'utf8'), file), familyOf(row))
  const iptables = new FakeIptables(familyOf(row))
  await new IptablesApplier(iptables, { jumps: jumps(options), log: silent }).apply(rules(ports, iptablesOptions(options, true)))
  return parseTables(await iptables.save('nat') + await iptables.save('filter'))
}

const wanted = (row: PacketRow): string[] => row.expect.verdict !== 'endpoint' ? [row.expect.verdict]
  : row.expect.endpoints.map(({ pod, port, masquerade }) => `${addressOf(pod, familyOf(row))}:${port}${masquerade ? '*' : ''} ${(1 / row.expect.endpoints.length).toFixed(6)}`).sort()
const found = (outcomes: Outcome[]): string[] => outcomes.map(({ verdict, endpoint, masquerade, probability }) =>
  endpoint ? `${endpoint.replace(/[[\]]/g, '')}${masquerade ? '*' : ''} ${probability.toFixed(6)}` : verdict).sort()

for (const row of packets) {
  test(row.text, async () => {
    const all = await tables(row)
    const { inputInterface } = network[row.from]
    const source = /^127\.|^::1$/.test(row.address) ? row.address : addressOf(row.from, familyOf(row))
    const packet = { source, destination: row.address, protocol: row.protocol, port: row.port, ...inputInterface && { inputInterface } }
    const outcomes = trace(all, packet, { nodeAddresses: network.node.addresses })
    assert.deepEqual(found(outcomes), wanted(row), outcomes.map(one => `${one.verdict} ${one.endpoint}\n  ${one.rules.join('\n  ')}`).join('\n'))
    if (!row.expect.sticky) return
    for (const outcome of outcomes) {
      const list = /--set --name (\S+)/.exec(outcome.rules.join('\n'))![1]!
      const again = trace(all, packet, { nodeAddresses: network.node.addresses, recent: [list] })
      assert.deepEqual(again.map(one => [one.endpoint, one.probability]), [[outcome.endpoint, 1]])
    }
  })
}
