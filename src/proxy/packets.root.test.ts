// The table of packets with real sockets: network namespaces, real iptables of both implementations
// and real nftables, connections over TCP and UDP. Needs root; touches nothing outside its own namespaces.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test, type TestContext } from 'node:test'
import { iptables } from '#host/iptables.ts'
import { findNft } from '#host/nft.ts'
import { run } from '#host/run.ts'
import { silent } from '#lib/log.ts'
import { parseYamlDocuments } from '#lib/yaml.ts'
import type { NodeOptions } from './dataplane.ts'
import { cleanupTables, IptablesApplier } from './iptables/apply.ts'
import { iptablesOptions } from './iptables/options.ts'
import { jumps, rules } from './iptables/rules.ts'
import { Metrics } from './metrics.ts'
import type { Mode } from './mode.ts'
import { NftablesPlane } from './nftables/apply.ts'
import { addressOf, expectationIn, familyOf, manifestState, network, packets, podPort, type PacketRow } from './packets.ts'
import type { ProxiedPort } from './state.ts'
import { makeNetwork, type Namespace, type Network } from './testing/apply.ts'

const isRoot = process.getuid?.() === 0
const manifests = [...new Set(packets.map(row => row.manifest))].filter(name => name !== 'sctp') // this needs no module that a machine may lack

type Family = 4 | 6
interface Run {
  readonly mode: Mode
  /** Writes the rules in a namespace and gives back what removes them; undefined where this machine lacks the tool. */
  readonly apply: (netns: string, ports: readonly ProxiedPort[], options: NodeOptions) => Promise<(() => Promise<void>) | undefined>
}

const iptablesRun = (flavour: string): Run => ({ mode: 'iptables', apply: async (netns, ports, options) => {
  const command = `ip${options.family === 6 ? '6' : ''}tables-${flavour}`
  try { await run([command, '-t', 'nat', '-S'], { netns }) } catch { return undefined }
  const tool = iptables(options.family, command, { netns })
  await new IptablesApplier(tool, { jumps: jumps(options), log: silent }).apply(rules(ports, iptablesOptions(options, true)))
  return () => cleanupTables(tool, jumps(options))
} })
const nftablesRun: Run = { mode: 'nftables', apply: async (netns, ports, options) => {
  const tool = await findNft(netns)
  if (!tool) return undefined
  await new NftablesPlane(tool, { family: options.family, metrics: new Metrics(), labels: {}, log: silent }).apply(ports, options)
  return () => tool.apply(`delete table ip${options.family === 6 ? '6' : ''} kube-proxy\n`)
} }

for (const [name, { mode, apply }] of Object.entries({ 'iptables-nft': iptablesRun('nft'), 'iptables-legacy': iptablesRun('legacy'), nftables: nftablesRun })) {
  describe(name, { skip: !isRoot && 'needs root' }, () => {
    let real: Network
    before(async () => { real = await makeNetwork({ ports: [podPort, podPort + 1] }) })
    after(() => real.close())

    for (const manifest of manifests) {
      test(manifest, async t => {
        const file = join(import.meta.dirname, 'testdata', `${manifest}.in.yaml`)
        const documents = parseYamlDocuments(readFileSync(file, 'utf8'), file)
        for (const family of [4, 6] as const) {
          const rows = packets.filter(row => row.manifest === manifest && familyOf(row) === family)
          if (rows.length > 0) await withRules(t, { documents, family, rows })
        }
      })
    }

    async function withRules(t: TestContext, { documents, family, rows }: { documents: unknown[]; family: Family; rows: readonly PacketRow[] }): Promise<void> {
      const { ports, options } = manifestState(documents, family)
      const remove = await apply(real.machines.node.path, ports, options)
      if (!remove) return t.skip(`${name} does not work here`)
      try { await Promise.all(rows.map(row => t.test(row.text, () => check({ ...row, expect: expectationIn(row, mode) }, real.machines[row.from])))) } finally { await remove() }
    }
  })
}

async function check(row: PacketRow, from: Namespace): Promise<void> {
  const answers = new Map<string, number>(), errors = new Map<string, number>()
  const { verdict, endpoints: { length: wanted } } = row.expect
  // A refusal that arrives while connect() still holds the socket takes effect at the second SYN, after 1 s.
  const timeoutMs = verdict === 'endpoint' || verdict === 'REJECT' ? 3000 : 400
  // With n equally likely endpoints 20 n tries miss one with a chance below 1 in 10^8.
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
  if (row.expect.sticky) assert.equal(answers.size, 1, `one client, one endpoint: ${[...answers.keys()].join(', ')}`)
  else assert.equal(answers.size, wanted, [...answers.keys()].join(', '))
  for (const text of answers.keys()) checkAnswer(text, row)
}

/** `pod-a 10.244.1.1`: who answered, and from which address it saw the request come. */
function checkAnswer(text: string, row: PacketRow): void {
  const [pod, source] = text.split(' ')
  const endpoint = row.expect.endpoints.find(one => one.pod === pod)
  assert.ok(endpoint, `${pod} is not among the endpoints`)
  const node = network.node.addresses.includes(source!)
  if (endpoint.masquerade) assert.ok(node, `masqueraded requests come from the node, not from ${source}`)
  else assert.equal(source, addressOf(row.from, familyOf(row)), 'the source must be kept')
}
