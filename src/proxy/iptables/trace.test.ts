import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseTables, trace } from './trace.ts'

const text = (rules: string) => `*nat\n:PREROUTING ACCEPT [0:0]\n:POSTROUTING ACCEPT [0:0]\n:A - [0:0]\n:B - [0:0]\n${rules}\nCOMMIT\n*filter\n:FORWARD ACCEPT [0:0]\nCOMMIT\n`
const packet = { source: '10.0.0.1', destination: '10.96.0.1', protocol: 'tcp', port: 80, inputInterface: 'eth0' } as const
const follow = (rules: string) => trace(parseTables(text(rules)), packet, { nodeAddresses: [] }).map(({ verdict, endpoint, probability }) => `${verdict} ${endpoint ?? ''} ${probability}`)

test('probabilities multiply down the chains and add up over equal ends', () => {
  assert.deepEqual(follow(['-A PREROUTING -j A', '-A A -m statistic --mode random --probability 0.50000000000 -j B', '-A A -p tcp -j DNAT --to-destination 10.0.0.9:1',
    '-A B -m statistic --mode random --probability 0.50000000000 -j RETURN', '-A B -p tcp -j DNAT --to-destination 10.0.0.8:1'].join('\n')),
  ['endpoint 10.0.0.8:1 0.25', 'endpoint 10.0.0.9:1 0.75'])
})

for (const rule of ['-A A -m length --length 40 -j DROP', '-A A -p tcp -m tcp --sport 1 -j DROP', '-A A -j LOG', '-A A -j NFQUEUE --queue-num 1', '-A A -j MARK --set-mark 1',
  '-A A -m addrtype --dst-type BROADCAST -j DROP', '-A A -o eth1 -j DROP', '-A A -j DNAT --to-destination 10.0.0.1']) {
  test(`a rule that is not known is an error: ${rule}`, () => assert.throws(() => follow(`-A PREROUTING -j A\n${rule}`), /does not know|has no chain/))
}
