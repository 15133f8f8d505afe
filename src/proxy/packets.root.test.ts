// The table of packets with real sockets: network namespaces, real iptables of both implementations,
// connections over TCP and UDP. Needs root; touches nothing outside its own namespaces.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test, type TestContext } from 'node:test'
import { iptables } from '#host/iptables.ts'
import { run } from '#host/run.ts'
import { silent } from '#lib/log.ts'
import { parseYamlDocuments } from '#lib/yaml.ts'
import { cleanupTables, IptablesApplier } from './iptables/apply.ts'
import { iptablesOptions } from './iptables/options.ts'
import { jumps, rules } from './iptables/rules.ts'
import { addressOf, familyOf, manifestState, network, packets, podPort, type PacketRow } from './packets.ts'
import { makeNetwork, type Namespace, type Network } from './testing/apply.ts'

const isRoot = process.getuid?.() === 0
const manifests = [...new Set(packets.map(row => row.manifest))].filter(name => name !== 'sctp') // this needs no module that a machine may lack

for (const flavour of ['nft', 'legacy'] as const) {
  describe(`iptables-${flavour}`, { skip: !isRoot && 'needs root' }, () => {
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

    async function withRules(t: TestContext, { documents, family, rows }: { documents: unknown[]; family: 4 | 6; rows: readonly PacketRow[] }): Promise<void> {
      const command = `ip${family === 6 ? '6' : ''}tables-${flavour}`
      try { await run([command, '-t', 'nat', '-S'], { netns: real.machines.node.path }) } catch { return t.skip(`${command} does not work here`) }
      const { ports, options } = manifestState(documents, family)
      const tool = iptables(family, command, { netns: real.machines.node.path })
      await new IptablesApplier(tool, { jumps: jumps(options), log: silent }).apply(rules(ports, iptablesOptions(options, true)))
      try { await Promise.all(rows.map(row => t.test(row.text, () => check(row, real.machines[row.from])))) } finally { await cleanupTables(tool, jumps(options)) }
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
