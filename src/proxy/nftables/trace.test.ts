import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseTable } from './parse.ts'
import { trace } from './trace.ts'

const table = (rules: string, chains = '') => parseTable(`table ip kube-proxy {
\tmap endpoints {
\t\ttypeof ip daddr . meta l4proto . th dport . numgen random mod 65535 : ip daddr . th dport
\t\telements = { 10.96.0.1 . tcp . 80 . 0 : 10.0.0.8 . 1,
\t\t\t     10.96.0.1 . tcp . 80 . 1 : 10.0.0.9 . 1 }
\t}

\tchain nat-prerouting {
\t\ttype nat hook prerouting priority dstnat; policy accept;
\t\t${rules}
\t}
${chains}}
`)
const packet = { source: '10.0.0.1', destination: '10.96.0.1', protocol: 'tcp', port: 80, inputInterface: 'eth0' } as const
const follow = (rules: string, chains?: string) => trace(table(rules, chains), packet, { nodeAddresses: [] }).map(({ verdict, endpoint, probability }) => `${verdict} ${endpoint ?? ''} ${probability}`)
const pick = (count: number) => `dnat ip to ip daddr . meta l4proto . th dport . numgen random mod ${count} map @endpoints`

test('an element that is missing shows as packets that go nowhere', () => {
  assert.deepEqual(follow(pick(2)), ['endpoint 10.0.0.8:1 0.5', 'endpoint 10.0.0.9:1 0.5'])
  assert.deepEqual(follow(pick(4)), ['endpoint 10.0.0.8:1 0.25', 'endpoint 10.0.0.9:1 0.25', 'none  0.5'])
})

test('goto leaves the chain, jump comes back to it', () => {
  const chain = '\tchain nothing {\n\t}\n'
  assert.deepEqual(follow(`goto nothing\n\t\t${pick(1)}`, chain), ['none  1'])
  assert.deepEqual(follow(`jump nothing\n\t\t${pick(1)}`, chain), ['endpoint 10.0.0.8:1 1'])
})

for (const rule of ['ip length 40 drop', 'tcp sport 1 drop', 'log', 'queue to 1', 'meta mark set 0x1', 'oifname "eth1" drop', 'dnat to 10.0.0.1', 'ip daddr @nowhere drop', 'goto nowhere', 'ct state untracked drop', 'jhash ip saddr mod 2 vmap { 0 : drop }']) {
  test(`a rule that is not known is an error: ${rule}`, () => assert.throws(() => follow(rule), /does not know|has no chain/))
}
