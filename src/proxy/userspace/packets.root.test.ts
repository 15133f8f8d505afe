// The table of packets in this mode, with real sockets in network namespaces. What differs from other
// modes: endpoints see the proxy's address as the source, and the rotation is strict.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test, type TestContext } from 'node:test'
import { run } from '#host/run.ts'
import { parseYamlDocuments } from '#lib/yaml.ts'
import { familyOf, manifestState, network, packets, podPort, type PacketRow } from '../packets.ts'
import { makeNetwork, type Namespace, type Network } from '../testing/apply.ts'
import { ProxyProcess } from './testing/apply.ts'

const isRoot = process.getuid?.() === 0
const manifests = [...new Set(packets.map(row => row.manifest))]

for (const flavour of ['nft', 'legacy'] as const) {
  describe(`userspace over iptables-${flavour}`, { skip: !isRoot && 'needs root' }, () => {
    let real: Network
    before(async () => { real = await makeNetwork({ ports: [podPort, podPort + 1] }) })
    after(() => real.close())

    for (const manifest of manifests) {
      test(manifest, { skip: manifest === 'sctp' && 'Node has no SCTP sockets: this mode does not proxy it' }, async t => {
        const file = join(import.meta.dirname, '../testdata', `${manifest}.in.yaml`)
        const documents = parseYamlDocuments(readFileSync(file, 'utf8'), file)
        for (const family of [4, 6] as const) {
          const rows = packets.filter(row => row.manifest === manifest && familyOf(row) === family)
          if (rows.length > 0) await withProxy(t, { documents, family, rows })
        }
      })
    }

    async function withProxy(t: TestContext, { documents, family, rows }: { documents: unknown[]; family: 4 | 6; rows: readonly PacketRow[] }): Promise<void> {
      const command = `ip${family === 6 ? '6' : ''}tables-${flavour}`, netns = real.machines.node.path
      try { await run([command, '-t', 'nat', '-S'], { netns }) } catch { return t.skip(`${command} does not work here`) }
      const { ports, options } = manifestState(documents, family)
      const proxy = await ProxyProcess.start({ netns, family, command })
      try {
        await proxy.apply(ports, options)
        for (const row of rows) await t.test(row.text, () => check(row, real.machines[row.from]))
      } finally { await proxy.stop() }
      assert.doesNotMatch((await run([`${command}-save`], { netns })).stdout, /KUBE/)
    }
  })
}

async function check(row: PacketRow, from: Namespace): Promise<void> {
  const { verdict, endpoints: { length: wanted }, sticky } = row.expect
  const answers: string[] = [], errors: string[] = []
  const timeoutMs = verdict === 'endpoint' || verdict === 'REJECT' ? 3000 : 400
  for (let i = 0; i < (verdict === 'endpoint' ? 2 * wanted : 1); i++) {
    const { answer, error } = await from.ask({ do: 'send', protocol: row.protocol as 'tcp' | 'udp', address: row.address, port: row.port, timeoutMs })
    if (answer !== undefined) answers.push(answer)
    else errors.push(error!)
  }
  if (verdict !== 'endpoint') {
    assert.deepEqual(answers, [], 'nobody may answer')
    if (verdict === 'REJECT') assert.deepEqual(errors, ['ECONNREFUSED'])
    if (verdict === 'DROP') assert.deepEqual(errors, ['timeout'])
    return
  }
  assert.deepEqual(errors, [])
  const pods = answers.map(answer => answer.split(' ')[0]!), sources = new Set(answers.map(answer => answer.split(' ')[1]!))
  assert.ok(pods.every(pod => row.expect.endpoints.some(endpoint => endpoint.pod === pod)), pods.join(', '))
  if (sticky) assert.equal(new Set(pods).size, 1, pods.join(', '))
  else {
    assert.equal(new Set(pods.slice(0, wanted)).size, wanted, `each in its turn: ${pods.join(', ')}`)
    assert.deepEqual(pods.slice(wanted), pods.slice(0, wanted), 'and again in the same order')
  }
  for (const source of sources) assert.ok(network.node.addresses.includes(source), `the proxy connects from the node, not from ${source}`)
}
