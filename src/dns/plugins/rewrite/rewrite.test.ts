// rewrite: what the next plugin is asked, and what the asker gets back.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { pack } from '../../answer.ts'
import { CorefileError } from '../../corefile/errors.ts'
import { records } from '../../plugin.ts'
import type { Query } from '../../query.ts'
import { ask, chainOf, name, optionsOf, show } from '../../testing.ts'
import { fold, showName } from '../../wire/name.ts'
import { address, cname, srv } from '../../wire/rdata.ts'
import { rcodes } from '../../wire/types.ts'
import { plugin } from './plugin.ts'

/** The name and type that the next plugin sees, and the owners it answers with as the asker sees them. */
async function run(lines: string, text: string, { type = 'A', packed = false } = {}): Promise<[string, string]> {
  let seen = ''
  const { serve } = chainOf(plugin, lines, { next: query => {
    seen = `${showName(query.name)} ${query.typeName}`
    const answer = records({ answer: [address(query.asked, 60, '192.0.2.1')] })
    return packed ? pack(answer, { name: query.asked, type: query.type }) : answer
  } })
  const query = ask(text, type)
  const shown = show(await serve(query), query)
  return [seen, shown.split('\n').slice(2).map(line => line.split('\t').slice(0, 2).join(' ')).join(', ')]
}

const cases: Record<string, [lines: string, asked: string, seen: string, owner: string]> = {
  'exact': ['rewrite name a.org b.net', 'A.org', 'b.net. A', 'A.org. 60'],
  'exact, said so': ['rewrite name exact a.org b.net', 'a.org', 'b.net. A', 'a.org. 60'],
  'another name': ['rewrite name a.org b.net', 'x.a.org', 'x.a.org. A', 'x.a.org. 60'],
  'prefix': ['rewrite name prefix db- pg-', 'DB-1.org', 'pg-1.org. A', 'DB-1.org. 60'],
  'suffix': ['rewrite name suffix .a.org .b.net.', 'x.A.org', 'x.b.net. A', 'x.A.org. 60'],
  'substring': ['rewrite name substring service.us-west-1.example.org service.us-west-1.consul', 'ftp.service.us-west-1.example.org', 'ftp.service.us-west-1.consul. A', 'ftp.service.us-west-1.example.org. 60'],
  'regex': ['rewrite name regex (.*)-(us-west-1)\\.example\\.org {1}.service.{2}.consul', 'ftp-us-west-1.example.org', 'ftp.service.us-west-1.consul. A', 'ftp-us-west-1.example.org. 60'],
  'regex with an answer': ['rewrite stop {\n name regex (.*)-(us-west-1)\\.coredns\\.rocks {1}.service.{2}.consul\n answer name (.*)\\.service\\.(us-west-1)\\.consul {1}-{2}.coredns.rocks\n}', 'ftp-us-west-1.coredns.rocks', 'ftp.service.us-west-1.consul. A', 'ftp-us-west-1.coredns.rocks. 60'],
  'the first that fits': ['rewrite name a.org b.net\nrewrite name b.net c.net\nrewrite name a.org d.net', 'a.org', 'b.net. A', 'a.org. 60'],
  'continue': ['rewrite continue name a.org b.net\nrewrite name b.net c.net', 'a.org', 'c.net. A', 'a.org. 60'],
  'type': ['rewrite type A AAAA', 'a.org', 'a.org. AAAA', 'a.org. 60'],
  'ttl': ['rewrite ttl suffix a.org 15', 'x.a.org', 'x.a.org. A', 'x.a.org. 15'],
  'ttl at least': ['rewrite ttl a.org 120-', 'a.org', 'a.org. A', 'a.org. 120'],
  'ttl at most': ['rewrite ttl regex .* -30', 'a.org', 'a.org. A', 'a.org. 30'],
  'ttl of others': ['rewrite ttl a.org 15', 'b.org', 'b.org. A', 'b.org. 60'],
  'ttl and name': ['rewrite continue ttl a.org 15\nrewrite name a.org b.net', 'a.org', 'b.net. A', 'a.org. 15'],
}
for (const [what, [lines, asked, seen, owner]] of Object.entries(cases)) {
  test(`rewrite: ${what}`, async () => { for (const packed of [false, true]) assert.deepEqual(await run(lines, asked, { packed }), [seen, owner]) })
}

test('values, and what auto undoes', async () => {
  const chain = (lines: string) => chainOf(plugin, lines, { next: query => records({ answer: [cname(query.asked, 60, name('y.b.net')), srv(name('y.b.net'), 60, { priority: 1, weight: 2, port: 3, target: name('z.b.net') })] }) }).serve
  const query = ask('x.a.org')
  const shown = async (lines: string) => show(await chain(lines)(query), query).split('\n').slice(2)
  assert.deepEqual(await shown('rewrite name suffix a.org b.net answer auto'), ['x.a.org.\t60\tIN\tCNAME\ty.a.org.', 'y.a.org.\t60\tIN\tSRV\t1 2 3 z.a.org.'])
  assert.deepEqual(await shown('rewrite name suffix a.org b.net'), ['x.a.org.\t60\tIN\tCNAME\ty.b.net.', 'y.b.net.\t60\tIN\tSRV\t1 2 3 z.b.net.'])
  assert.deepEqual(await shown('rewrite name suffix a.org b.net answer name (.*)\\.b\\.net {1}.a.org answer value z\\.b\\.net zz.org'), ['x.a.org.\t60\tIN\tCNAME\ty.b.net.', 'y.a.org.\t60\tIN\tSRV\t1 2 3 zz.org.'])
})
test('rcode and class', async () => {
  const rcode = chainOf(plugin, 'rewrite rcode suffix a.org NXDOMAIN SERVFAIL', { next: () => records({ rcode: rcodes.NXDOMAIN }) }).serve
  assert.deepEqual([(await rcode(ask('x.a.org'))).rcode, (await rcode(ask('x.b.org'))).rcode], [rcodes.SERVFAIL, rcodes.NXDOMAIN])
  let seen = 0
  await chainOf(plugin, 'rewrite class IN CH', { next: query => { seen = query.class; return records({}) } }).serve(ask('a.org'))
  assert.equal(seen, 3)
})
test('options of EDNS0', async () => {
  const options = async (lines: string, query: Query = ask('a.org', 'A', { origin: { address: '192.0.2.77', port: 4660 } })) => {
    let seen: string[] | undefined
    await chainOf(plugin, lines, { next: query => { seen = query.edns?.options.map(({ code, data }) => `${code}=${data.toString('hex')}`); return records({}) } }).serve(query)
    return seen
  }
  assert.deepEqual(await options('rewrite edns0 local set 0xffee 0x61626364'), ['65518=61626364'])
  assert.deepEqual(await options('rewrite edns0 local set 0xffee abcd'), ['65518=61626364'])
  assert.deepEqual(await options('rewrite edns0 local set 0xffee {client_ip}'), ['65518=c000024d'])
  assert.deepEqual(await options('rewrite edns0 local set 0xffee {client_port}'), ['65518=1234'])
  assert.deepEqual(await options('rewrite edns0 local set 0xffee {qname}'), [`65518=${Buffer.from('a.org.').toString('hex')}`])
  assert.deepEqual(await options('rewrite edns0 local replace 0xffee abcd'), undefined)
  assert.deepEqual(await options('rewrite edns0 subnet set 20 56'), ['8=00011400c00000'])
  assert.deepEqual(await options('rewrite edns0 nsid set'), ['3='])
  assert.deepEqual(await options('rewrite continue edns0 local set 1234 a\nrewrite continue edns0 local append 1234 b\nrewrite continue edns0 local set 1235 c\nrewrite edns0 local unset 1235'), ['1234=61'])
})
test('what becomes no name fails', async () => {
  const { serve } = chainOf(plugin, `rewrite name regex (.*)\\.a\\.org {1}${'.{1}'.repeat(20)}.b.org`)
  assert.match((await serve(ask(`${'x'.repeat(60)}.a.org`))).error!, /no name/)
})
test('names stay folded', () => assert.equal(fold(name('A.b')), name('a.b')))

const wrong: Record<string, [string, RegExp]> = {
  'nothing': ['rewrite', /^Corefile:2 .*few arguments/], 'a field': ['rewrite cname a b', /^Corefile:2 .*invalid rule type 'cname' \(known: type/],
  'a regex': ['rewrite name regex (a b', /^Corefile:2 .*invalid regex pattern/], 'a type': ['rewrite type A NOPE', /'NOPE' is no type/], 'a TTL': ['rewrite ttl a.org 20-10', /no TTL/],
  'auto of a regex': ['rewrite name regex a b answer auto', /cannot be told/], 'too much': ['rewrite type A AAAA MX', /unexpected 'MX'/], 'an option': ['rewrite edns0 cookie set', /invalid option type/],
  'a variable': ['rewrite edns0 local set 0xffee {nope}', /unsupported variable/],
}
for (const [what, [lines, message]] of Object.entries(wrong)) test(`refused: ${what}`, () => assert.throws(() => optionsOf(plugin, lines), error => error instanceof CorefileError && message.test(error.message) || assert.fail(String(error))))
