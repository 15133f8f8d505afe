// The table of packets, traced through the rules that the manifests give, in each mode that has rules
// to trace (held by the fakes of iptables and nft).
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { FakeIptables } from '#host/iptables.fake.ts'
import { FakeNft } from '#host/nft.fake.ts'
import { silent } from '#lib/log.ts'
import { parseYamlDocuments } from '#lib/yaml.ts'
import { IptablesApplier } from './iptables/apply.ts'
import { iptablesOptions } from './iptables/options.ts'
import { jumps, rules } from './iptables/rules.ts'
import { parseTables, trace as traceIptables } from './iptables/trace.ts'
import { Metrics } from './metrics.ts'
import { NftablesPlane } from './nftables/apply.ts'
import { parseTable } from './nftables/parse.ts'
import { trace as traceNftables } from './nftables/trace.ts'
import { addressOf, expectationIn, familyOf, manifestState, network, packets, type Expectation, type PacketRow } from './packets.ts'
import type { Outcome, Packet } from './trace/outcome.ts'

type Follow = (packet: Packet) => Outcome[]
const options = { nodeAddresses: network.node.addresses }

function stateOf(row: PacketRow) {
  const file = join(import.meta.dirname, 'testdata', `${row.manifest}.in.yaml`)
  return manifestState(parseYamlDocuments(readFileSync(file, 'utf8'), file), familyOf(row))
}

/** `again` makes rules that remember where the packet went, as its first connection would. */
interface Tracer { readonly follow: Follow; readonly again: (outcome: Outcome) => Promise<Follow> }

async function iptablesTracer(row: PacketRow): Promise<Tracer> {
  const state = stateOf(row), iptables = new FakeIptables(familyOf(row))
  await new IptablesApplier(iptables, { jumps: jumps(state.options), log: silent }).apply(rules(state.ports, iptablesOptions(state.options, true)))
  const tables = parseTables(await iptables.save('nat') + await iptables.save('filter'))
  return {
    follow: packet => traceIptables(tables, packet, options),
    again: async outcome => {
      const list = /--set --name (\S+)/.exec(outcome.rules.join('\n'))![1]!
      return packet => traceIptables(tables, packet, { ...options, recent: [list] })
    },
  }
}

async function nftablesTracer(row: PacketRow): Promise<Tracer> {
  const state = stateOf(row), nft = new FakeNft(), family = familyOf(row), table = `${family === 6 ? 'ip6' : 'ip'} kube-proxy`
  await new NftablesPlane(nft, { family, metrics: new Metrics(), labels: {}, log: silent }).apply(state.ports, state.options)
  const follow = async (): Promise<Follow> => { const listed = parseTable((await nft.list(table))!); return packet => traceNftables(listed, packet, options) }
  return {
    follow: await follow(),
    again: async outcome => {
      const set = /update @(\S+)/.exec(outcome.rules.join('\n'))![1]!
      await nft.apply(`flush set ${table} ${set}\nadd element ${table} ${set} { ${sourceOf(row)} }\n`)
      const remembering = await follow()
      await nft.apply(`flush set ${table} ${set}\n`)
      return remembering
    },
  }
}

const wanted = (row: PacketRow, { verdict, endpoints }: Expectation): string[] => verdict !== 'endpoint' ? [verdict]
  : endpoints.map(({ pod, port, masquerade }) => `${addressOf(pod, familyOf(row))}:${port}${masquerade ? '*' : ''} ${(1 / endpoints.length).toFixed(6)}`).sort()
const found = (outcomes: Outcome[]): string[] => outcomes.map(({ verdict, endpoint, masquerade, probability }) =>
  endpoint ? `${endpoint.replace(/[[\]]/g, '')}${masquerade ? '*' : ''} ${probability.toFixed(6)}` : verdict).sort()
const sourceOf = (row: PacketRow) => /^127\.|^::1$/.test(row.address) ? row.address : addressOf(row.from, familyOf(row))

for (const [mode, tracer] of [['iptables', iptablesTracer], ['nftables', nftablesTracer]] as const) {
  for (const row of packets) {
    test(`${mode}: ${row.text}`, async () => {
      const { follow, again } = await tracer(row), expect = expectationIn(row, mode), { inputInterface } = network[row.from]
      const packet: Packet = { source: sourceOf(row), destination: row.address, protocol: row.protocol, port: row.port, ...inputInterface && { inputInterface } }
      const outcomes = follow(packet)
      assert.deepEqual(found(outcomes), wanted(row, expect), outcomes.map(one => `${one.verdict} ${one.endpoint}\n  ${one.rules.join('\n  ')}`).join('\n'))
      if (!expect.sticky) return
      for (const outcome of outcomes) {
        const second = (await again(outcome))(packet)
        assert.deepEqual(second.map(one => [one.endpoint, one.probability]), [[outcome.endpoint, 1]])
      }
    })
  }
}
