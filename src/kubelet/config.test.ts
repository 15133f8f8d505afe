import assert from 'node:assert/strict'
import { test } from 'node:test'
import { UserError } from '#lib/errors.ts'
import { configFile, parseConfig } from './config.ts'

const good = { dataDir: '/d', server: 'https://192.168.109.1:6443', pkiDir: '/d/pki', clusterDns: ['10.96.0.10'], clusterDomain: 'cluster.local', clusterCidr: '10.244.0.0/16',
  nodes: [{ name: 'n', internalIp: '192.168.109.100', podCidr: '10.244.0.0/24', taints: [{ key: 'k', effect: 'NoSchedule' }] }] }

test('a good one', () => {
  const config = parseConfig(JSON.stringify(good), 'f')
  assert.equal(config.unprivileged, false)
  assert.deepEqual(config.nodes[0]!.labels, {})
})
for (const [what, text, message] of [
  ['no JSON', '{', /^f: /],
  ['an unknown key', JSON.stringify({ ...good, colour: 1 }), /^f: unknown key "colour": the keys are dataDir, /],
  ['an unknown key of a node', JSON.stringify({ ...good, nodes: [{ ...good.nodes[0], ip: 'x' }] }), /^f: nodes\[0\]: unknown key "ip"/],
  ['a missing key', JSON.stringify({ ...good, server: undefined }), /^f: server is missing$/],
  ['a wrong type', JSON.stringify({ ...good, clusterDns: 'x' }), /^f: clusterDns is not valid$/],
  ['no nodes', JSON.stringify({ ...good, nodes: [] }), /^f: nodes is not valid$/],
] as const) test(what, () => assert.throws(() => parseConfig(text, 'f'), error => error instanceof UserError && message.test(error.message)))

test('the flag', () => {
  assert.equal(configFile(['--config', 'x']), 'x')
  assert.equal(configFile(['--config=x']), 'x')
  for (const argv of [[], ['--config'], ['--colour', 'x'], ['--config', 'x', 'y']]) assert.throws(() => configFile(argv), UserError)
})
