import assert from 'node:assert/strict'
import { test } from 'node:test'
import { unpack } from '../../answer.ts'
import { records, silence } from '../../plugin.ts'
import { ask, chainOf, optionsOf } from '../../testing.ts'
import { plugin } from './plugin.ts'

const rules = 'acl {\n  allow net 10.0.0.1\n  block type TXT AAAA net 10.0.0.0/8 fd00::/8\n  filter net 192.0.2.0/24\n  drop net 198.51.100.7\n}\nacl example.org {\n  block\n}'
const { serve } = chainOf(plugin, rules, { next: () => records({ rcode: 9 }) })

for (const [address, name, type, expected] of [
  ['10.0.0.1', 'a.net', 'TXT', 9], ['10.0.0.2', 'a.net', 'TXT', 5], ['10.0.0.2', 'a.net', 'A', 9], ['fd00::1', 'a.net', 'AAAA', 5], ['::1', 'a.net', 'AAAA', 9],
  ['192.0.2.9', 'a.net', 'A', 0], ['198.51.100.7', 'a.net', 'A', 'nothing'], ['203.0.113.1', 'x.Example.org', 'A', 5], ['203.0.113.1', 'example.com', 'A', 9],
] as const) {
  test(`acl: ${address} asks ${type} of ${name}: ${expected}`, async () => {
    const query = ask(name, type, { origin: { address } })
    const answer = await serve(query)
    assert.equal(answer === silence ? 'nothing' : unpack(answer, query).rcode, expected)
  })
}

test('acl: mistakes', () => {
  for (const [lines, message] of [['acl {\n  deny\n}', /:3 .*unknown property 'deny'/], ['acl {\n  block type X\n}', /QTYPE/], ['acl {\n  block net 10.0.0.0/33\n}', /illegal CIDR/], ['acl {\n  block 10.0.0.1\n}', /expect 'type' or 'net'/]] as const) {
    assert.throws(() => optionsOf(plugin, lines), message)
  }
})
