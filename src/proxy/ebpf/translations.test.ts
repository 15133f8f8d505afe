import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { parseYamlDocuments } from '#lib/yaml.ts'
import { manifestState } from '../packets.ts'
import { nodeAddresses, translations } from './translations.ts'

const state = (manifest: string) => {
  const file = join(import.meta.dirname, '../testdata', `${manifest}.in.yaml`)
  return manifestState(parseYamlDocuments(readFileSync(file, 'utf8'), file), 4)
}
const address = ({ ip, port }: { ip: string; port: number }) => `${ip}:${port}`
const lines = (manifest: string) => {
  const { ports, options } = state(manifest)
  return ports.flatMap(port => translations(port, options)).map(({ protocol, frontends, endpoints, affinitySeconds }) =>
    `${protocol} ${frontends.map(address).join(' ')} -> ${endpoints.map(address).join(' ') || 'refused'}${affinitySeconds ? ` ${affinitySeconds}s` : ''}`)
}

// What stands here sockets translate; everything else of a manifest is for packet rules.
const cases: Record<string, string[]> = {
  'no-endpoints': ['TCP 10.96.0.40:80 203.0.113.4:80 198.51.100.4:80 :30040 -> refused', 'UDP 10.96.0.40:53 203.0.113.4:53 198.51.100.4:53 :30041 -> refused'],
  sctp: [],
  settings: [], // masqueradeAll
  'not-proxied': [],
}
for (const [manifest, expected] of Object.entries(cases)) test(manifest, () => assert.deepEqual(lines(manifest), expected))

test('policy Local: inside, the pods here; what has none is not translated; outside addresses lead anywhere', () => {
  const found = lines('internal-local')
  assert.ok(found.includes('TCP 10.96.0.60:80 -> 10.244.1.3:9376'), found.join('\n'))
  assert.deepEqual(found.filter(line => line.startsWith('TCP 10.96.0.61:80')), [])
  assert.ok(found.some(line => /^TCP :30061 -> .*10\.244\.2\.2:9376/.test(line)), found.join('\n'))
})

test('load balancers with source ranges are for packet rules', () => {
  for (const line of lines('loadbalancer')) assert.doesNotMatch(line, /198\.51\.100\.7[02]:/)
})

test('addresses that serve NodePorts: the loopback for the node alone, and only where asked for', () => {
  const { options } = state('nodeport')
  assert.deepEqual([...nodeAddresses(options, ['127.0.0.1', '::1', '192.168.109.101', 'fd00::1'])], [['192.168.109.101', 3], ['127.0.0.0', 1]])
  assert.deepEqual([...nodeAddresses({ ...options, localhostNodePorts: false }, ['127.0.0.1', '192.168.109.101'])], [['192.168.109.101', 3]])
  assert.deepEqual([...nodeAddresses({ ...options, nodePortAddresses: ['192.168.109.111'] }, ['127.0.0.1', '192.168.109.101'])], [['192.168.109.111', 3]])
  assert.deepEqual([...nodeAddresses({ ...options, family: 6 }, ['127.0.0.1', '::1', 'fd00::1'])], [['fd00::1', 3]])
})
