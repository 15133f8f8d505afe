// dns64: RFC 6147's rules and RFC 6052's examples.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CorefileError } from '../../corefile/errors.ts'
import { records, type Answer } from '../../plugin.ts'
import { ask, chainOf, name, optionsOf, show } from '../../testing.ts'
import { address, addressBytes, cname, showAddress, soa } from '../../wire/rdata.ts'
import { rcodes, types } from '../../wire/types.ts'
import { embed, plugin } from './plugin.ts'

test('RFC 6052 2.4', () => {
  for (const [prefix, expected] of [['2001:db8::/32', '2001:db8:c000:221::'], ['2001:db8:100::/40', '2001:db8:1c0:2:21::'], ['2001:db8:122::/48', '2001:db8:122:c000:2:2100::'], ['2001:db8:122:300::/56', '2001:db8:122:3c0:0:221::'], ['2001:db8:122:344::/64', '2001:db8:122:344:c0:2:2100:0'], ['2001:db8:122:344::/96', '2001:db8:122:344::c000:221'], ['64:ff9b::/96', '64:ff9b::c000:221']] as const) {
    assert.equal(showAddress(embed(optionsOf(plugin, `dns64 ${prefix}`), addressBytes('192.0.2.33')!)), expected)
  }
})

const no6 = (minimum: number) => records({ authority: [soa(name('org'), 60, { mname: name('.'), rname: name('.'), serial: 1, refresh: 0, retry: 0, expire: 0, minimum })] })
const four = (owner: string) => [cname(name(owner), 90, name('b.org')), address(name('b.org'), 90, '192.0.2.33')]
const shown = async (lines: string, six: Answer, a: Answer = records({ answer: four('a.org') }), { family = 6 as 4 | 6, type = 'AAAA' } = {}) => {
  const query = ask('a.org', type, { origin: { family } })
  const { serve } = chainOf(plugin, lines, { next: query => Promise.resolve(query.type === types.A ? a : six) })
  return show(await serve(query), query).split('\n').map(line => line.split('\t').slice(1).join(' ') || line).join(' | ')
}
const made = (ttl: number) => `NOERROR | ;answer | 90 IN CNAME b.org. | ${ttl} IN AAAA 64:ff9b::c000:221`

test('made when there is no AAAA, for as long as there is none', async () => {
  assert.equal(await shown('dns64', no6(30)), made(30))
  assert.equal(await shown('dns64', no6(300)), made(60))
  assert.equal(await shown('dns64', records({})), made(90))
  assert.equal(await shown('dns64', records({ rcode: rcodes.SERVFAIL })), made(90))
  assert.equal(await shown('dns64', records({ answer: [address(name('a.org'), 60, '::ffff:192.0.2.1')] })), made(90))
})
test('left alone', async () => {
  assert.equal(await shown('dns64', records({ rcode: rcodes.NXDOMAIN })), 'NXDOMAIN')
  assert.equal(await shown('dns64', records({ answer: [address(name('a.org'), 60, '2001:db8::1')] })), 'NOERROR | ;answer | 60 IN AAAA 2001:db8::1')
  assert.equal(await shown('dns64', records({}), records({})), 'NOERROR')
  assert.equal(await shown('dns64', records({}), undefined, { family: 4 }), 'NOERROR')
  assert.equal(await shown('dns64', records({}), undefined, { type: 'MX' }), 'NOERROR')
})
test('translate_all and allow_ipv4', async () => {
  assert.equal(await shown('dns64 {\n translate_all\n}', records({ answer: [address(name('a.org'), 60, '2001:db8::1')] })), made(90))
  assert.equal(await shown('dns64 {\n allow_ipv4\n}', records({}), undefined, { family: 4 }), made(90))
})
for (const [lines, message] of [['dns64 10.0.0.0/8', /no IPv6 prefix/], ['dns64 64:ff9b::/95', /^Corefile:2 .*length must be one of/], ['dns64 {\n all\n}', /unknown property 'all'/]] as const) {
  test(`refused: ${lines.replaceAll('\n', ' ')}`, () => assert.throws(() => optionsOf(plugin, lines), error => error instanceof CorefileError && message.test(error.message) || assert.fail(String(error))))
}
