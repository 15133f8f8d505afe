import assert from 'node:assert/strict'
import { test } from 'node:test'
import { at, contains, formatCidr, formatIp, overlaps, parseCidr, parseIp, size, subnet } from './ip.ts'

test('addresses are read and written back in their shortest form', () => {
  const cases: [text: string, formatted: string][] = [
    ['0.0.0.0', '0.0.0.0'], ['10.96.0.1', '10.96.0.1'], ['255.255.255.255', '255.255.255.255'],
    ['::', '::'], ['::1', '::1'], ['1::', '1::'], ['2001:DB8::FfFf', '2001:db8::ffff'],
    ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'], // the first of two equal runs (RFC 5952 4.2.3)
    ['2001:0:0:1:0:0:0:1', '2001:0:0:1::1'], // the longest run
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'], // one zero group is no run (4.2.2)
    ['1:2:3:4:5:6:7::', '1:2:3:4:5:6:7:0'], ['::2:3:4:5:6:7:8', '0:2:3:4:5:6:7:8'],
    ['::ffff:192.0.2.1', '::ffff:c000:201'], ['::192.0.2.1', '::c000:201'], ['64:ff9b::192.0.2.33', '64:ff9b::c000:221'],
    ['1:2:3:4:5:6:1.2.3.4', '1:2:3:4:5:6:102:304'], ['0001:0002::', '1:2::'],
  ]
  for (const [text, formatted] of cases) {
    const ip = parseIp(text)
    assert.ok(ip, text)
    assert.equal(formatIp(ip), formatted, text)
    assert.deepEqual(parseIp(formatted), ip, text)
  }
})

test('what is no address', () => {
  for (const text of ['', '1', '1.2.3', '1.2.3.4.5', '256.1.1.1', '1.2.3.-4', '010.0.0.1', '1.2.3.4 ', '1.2.3.4/8', 'a.b.c.d', '1..2.3',
    ':', ':::', '1::2::3', '1:2:3:4:5:6:7', '1:2:3:4:5:6:7:8:9', '1:2:3:4:5:6:7:8::', '::1:2:3:4:5:6:7:8', '12345::', 'g::', '::1%eth0', '[::1]',
    '1:2:3:4:5:6:7:1.2.3.4', '::1.2.3', '::1.2.3.4:5', '1.2.3.4::', ':1:2:3:4:5:6:7', '1:2:3:4:5:6:7:', ':1.2.3.4', '1:1.2.3.4', '::1::1.2.3.4', ':::1.2.3.4']) {
    assert.equal(parseIp(text), undefined, text)
  }
})

test('CIDRs clear their host bits', () => {
  const cases: [text: string, formatted: string, addresses: bigint][] = [
    ['10.96.0.0/12', '10.96.0.0/12', 1n << 20n], ['10.97.3.4/12', '10.96.0.0/12', 1n << 20n], ['0.0.0.0/0', '0.0.0.0/0', 1n << 32n],
    ['192.0.2.7/32', '192.0.2.7/32', 1n], ['2001:db8::1/32', '2001:db8::/32', 1n << 96n], ['::/0', '::/0', 1n << 128n], ['::1/128', '::1/128', 1n],
  ]
  for (const [text, formatted, addresses] of cases) {
    const cidr = parseCidr(text)
    assert.ok(cidr, text)
    assert.equal(formatCidr(cidr), formatted)
    assert.equal(size(cidr), addresses)
  }
  for (const text of ['', '10.0.0.0', '10.0.0.0/', '/8', '10.0.0.0/33', '::/129', '10.0.0.0/08', '10.0.0.0/-1', '10.0.0/8', '10.0.0.0/8/8', '10.0.0.0/8 '])
    assert.equal(parseCidr(text), undefined, text)
})

test('what a CIDR contains, overlaps and is cut into', () => {
  const range = parseCidr('10.96.0.0/12')!
  const inside = (text: string) => contains(range, parseIp(text)!)
  assert.deepEqual(['10.95.255.255', '10.96.0.0', '10.111.255.255', '10.112.0.0', '::a60:0'].map(inside), [false, true, true, false, false])
  const pairs: [string, string, boolean][] = [['10.0.0.0/8', '10.96.0.0/12', true], ['10.96.0.0/12', '10.0.0.0/8', true], ['10.96.0.0/12', '10.112.0.0/12', false],
    ['10.244.0.0/16', '10.244.0.0/16', true], ['0.0.0.0/0', '::/0', false]]
  for (const [a, b, expected] of pairs) assert.equal(overlaps(parseCidr(a)!, parseCidr(b)!), expected, `${a} ${b}`)
  assert.equal(formatIp(at(range, 10)), '10.96.0.10')
  assert.equal(formatIp(at(range, size(range) - 1n)), '10.111.255.255')
  assert.equal(formatCidr(subnet(parseCidr('10.244.0.0/16')!, 24, 0)), '10.244.0.0/24')
  assert.equal(formatCidr(subnet(parseCidr('10.244.0.0/16')!, 24, 255)), '10.244.255.0/24')
  assert.equal(formatCidr(subnet(parseCidr('2001:db8::/56')!, 64, 3)), '2001:db8:0:3::/64')
})

test('every IPv6 address survives being written and read', () => {
  const seed = Date.now() % 100_000
  let state = BigInt(seed) + 1n
  for (let i = 0; i < 2000; i++) {
    state = BigInt.asUintN(128, state * 0x2360ed051fc65da44385df649fccf645n + 0x5851f42d4c957f2d14057b7ef767814fn)
    // Half of the groups are zero, so that runs of zeros are common.
    const value = state & BigInt.asUintN(128, -1n) & Array.from({ length: 8 }, (_, g) => (state >> BigInt(g + 3)) & 1n ? 0xffffn << BigInt(16 * g) : 0n).reduce((a, b) => a | b)
    assert.deepEqual(parseIp(formatIp({ family: 6, value })), { family: 6, value }, `seed ${seed}`)
  }
})
