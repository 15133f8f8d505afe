// What `forward` understands and what it refuses, with the place.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CorefileError } from '../../corefile/errors.ts'
import { optionsOf } from '../../testing.ts'
import { showName } from '../../wire/name.ts'
import { nameservers } from './config.ts'
import { plugin } from './plugin.ts'

const parse = (lines: string) => optionsOf(plugin, lines)

test('upstreams', () => {
  for (const [text, expected] of [
    ['10.0.0.1', { transport: 'dns', host: '10.0.0.1', port: 53 }], ['10.0.0.1:1053', { transport: 'dns', host: '10.0.0.1', port: 1053 }],
    ['dns://10.0.0.1', { transport: 'dns', host: '10.0.0.1', port: 53 }], ['2001:db8::1', { transport: 'dns', host: '2001:db8::1', port: 53 }],
    ['[2001:db8::1]:5353', { transport: 'dns', host: '2001:db8::1', port: 5353 }], ['tls://9.9.9.9', { transport: 'tls', host: '9.9.9.9', port: 853 }],
    ['tls://9.9.9.9%dns.quad9.net:10853', { transport: 'tls', host: '9.9.9.9', port: 10853, serverName: 'dns.quad9.net' }],
  ] as const) assert.deepEqual(parse(`forward . ${text}`)[0]!.to, [expected], text)
  assert.equal((parse('forward . /etc/resolv.conf')[0]!.to[0] as { file: string }).file, '/etc/resolv.conf')
})
test('options', () => {
  const [route] = parse('forward example.org 10.0.0.1 10.0.0.2 {\n except a.example.org b.example.org\n policy round_robin\n expire 20s\n max_fails 3\n health_check 1s no_rec domain probe.org\n max_concurrent 1000\n next NXDOMAIN\n failover SERVFAIL REFUSED\n prefer_udp\n}')
  assert.deepEqual([showName(route!.from), route!.except.map(showName), route!.policy, route!.expire, route!.maxFails, route!.maxConcurrent, [...route!.next], [...route!.failover]],
    ['example.org.', ['a.example.org.', 'b.example.org.'], 'round_robin', 20_000, 3, 1000, [3], [2, 5]])
  assert.deepEqual([route!.health.interval, route!.health.recursion, showName(route!.health.domain)], [1000, false, 'probe.org.'])
})
const wrong: Record<string, [string, RegExp]> = {
  'nothing': ['forward', /^Corefile:2 .*wrong argument count/],
  'no upstream': ['forward .', /^Corefile:2 .*wrong argument count/],
  'a host name': ['forward . dns.example.org', /^Corefile:2 .*not an IP address or file/],
  'https': ['forward . https://9.9.9.9', /^Corefile:2 .*'https:\/\/' upstreams are not supported/],
  'too many': [`forward . ${Array.from({ length: 16 }, (_, i) => `10.0.0.${i}`).join(' ')}`, /more than 15 TOs/],
  'a port': ['forward . 10.0.0.1:70000', /no port 70000/],
  'an option': ['forward . 10.0.0.1 {\n polcy random\n}', /^Corefile:3 .*unknown property 'polcy' \(known: except/],
  'a policy': ['forward . 10.0.0.1 {\n policy best\n}', /^Corefile:3 .*unknown policy 'best'/],
  'a time': ['forward . 10.0.0.1 {\n expire 10\n}', /^Corefile:3 .*not a duration/],
  'failover NOERROR': ['forward . 10.0.0.1 {\n failover NOERROR\n}', /'NOERROR' cannot be used/],
  'two names for TLS': ['forward . tls://1.1.1.1%a.org {\n tls_servername b.org\n}', /leave one out/],
  'four files': ['forward . tls://1.1.1.1 {\n tls a b c d\n}', /wrong argument count/],
}
for (const [what, [lines, message]] of Object.entries(wrong)) test(`refused: ${what}`, () => assert.throws(() => parse(lines), error => error instanceof CorefileError && message.test(error.message) || assert.fail(String(error))))

test('resolv.conf', () => {
  assert.deepEqual(nameservers('# nameserver 1.1.1.1\nnameserver 10.0.0.1\n nameserver\t10.0.0.2 # x\nnameserver fe80::1%eth0\nnameserver nope\nsearch nameserver\noptions ndots:5'), ['10.0.0.1', '10.0.0.2', 'fe80::1'])
})
