// file: a zone with everything in it, asked about everything; broken files; reload.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { CorefileError } from '../../corefile/errors.ts'
import { records } from '../../plugin.ts'
import { ask, chainOf, name, optionsOf, show, testEnv } from '../../testing.ts'
import { address } from '../../wire/rdata.ts'
import { plugin } from './plugin.ts'
import { canonical } from './zone.ts'
import { readZoneFile, ZoneFileError } from './zonefile.ts'

const folder = mkdtempSync(join(tmpdir(), 'fairway-file-'))
after(() => rmSync(folder, { recursive: true }))
const zone = `$TTL 1h
$ORIGIN example.org.
@   IN SOA ns1 hostmaster ( 7 ; serial
        2h 30m 1w 5m )
    NS  ns1
    NS  ns.other.net.
    MX  10 mail
ns1 60 A 192.0.2.1
mail IN 60 A 192.0.2.2
     60 AAAA 2001:db8::2
www  CNAME mail
far  CNAME target.net.
loop1 CNAME loop2
loop2 CNAME loop1
a.b.deep TXT "one; two" three
*.wild A 192.0.2.3
*.wild MX 5 mail
x.wild TXT x
sub  NS ns.sub
     NS ns1
ns.sub A 192.0.2.4
sub  DS 1 13 2 0102030405060708090001020304050607080900010203040506070809000102
old  DNAME new.example.org.
h.new A 192.0.2.5
_http._tcp SRV 0 1 80 mail
`
writeFileSync(join(folder, 'db'), zone)
const soa = ';authority\nexample.org.\t300\tIN\tSOA\tns1.example.org. hostmaster.example.org. 7 7200 1800 604800 300'

function start(lines: string, env = testEnv({ lookup: query => records({ answer: [address(query.asked, 9, '192.0.2.99')] }) })) {
  const { serve, instance } = chainOf(plugin, lines, { env, next: () => records({ rcode: 5 }) })
  instance.start?.()
  return { env, instance, shown: async (text: string, type = 'A', dnssec = false) => { const query = ask(text, type, { dnssec }); return show(await serve(query), query) } }
}

const cases: Record<string, [text: string, type: string, expected: string]> = {
  'an address in the asker\'s case': ['MAIL.example.org', 'A', 'NOERROR\n;answer\nMAIL.example.org.\t60\tIN\tA\t192.0.2.2'],
  'no such type': ['ns1.example.org', 'AAAA', `NOERROR\n${soa}`],
  'no such name': ['nope.example.org', 'A', `NXDOMAIN\n${soa}`],
  'a name between': ['b.deep.example.org', 'A', `NOERROR\n${soa}`],
  'texts': ['a.b.deep.example.org', 'TXT', 'NOERROR\n;answer\na.b.deep.example.org.\t3600\tIN\tTXT\t"one; two" "three"'],
  'a CNAME': ['www.example.org', 'AAAA', 'NOERROR\n;answer\nwww.example.org.\t3600\tIN\tCNAME\tmail.example.org.\nmail.example.org.\t60\tIN\tAAAA\t2001:db8::2'],
  'a CNAME to no such type': ['www.example.org', 'TXT', `NOERROR\n;answer\nwww.example.org.\t3600\tIN\tCNAME\tmail.example.org.\n${soa}`],
  'a CNAME itself': ['www.example.org', 'CNAME', 'NOERROR\n;answer\nwww.example.org.\t3600\tIN\tCNAME\tmail.example.org.'],
  'a CNAME that leads out': ['far.example.org', 'A', 'NOERROR\n;answer\nfar.example.org.\t3600\tIN\tCNAME\ttarget.net.\ntarget.net.\t9\tIN\tA\t192.0.2.99'],
  'a circle': ['loop1.example.org', 'A', 'SERVFAIL'],
  'a wildcard': ['any.thing.wild.example.org', 'A', 'NOERROR\n;answer\nany.thing.wild.example.org.\t3600\tIN\tA\t192.0.2.3'],
  'a wildcard without the type': ['q.wild.example.org', 'AAAA', `NOERROR\n${soa}`],
  'a wildcard gives way': ['x.wild.example.org', 'A', `NOERROR\n${soa}`],
  'also above': ['y.x.wild.example.org', 'A', `NXDOMAIN\n${soa}`],
  'MX with addresses': ['q.wild.example.org', 'MX', 'NOERROR\n;answer\nq.wild.example.org.\t3600\tIN\tMX\t5 mail.example.org.\n;additional\nmail.example.org.\t60\tIN\tA\t192.0.2.2\nmail.example.org.\t60\tIN\tAAAA\t2001:db8::2'],
  'SRV with addresses': ['_http._tcp.example.org', 'SRV', 'NOERROR\n;answer\n_http._tcp.example.org.\t3600\tIN\tSRV\t0 1 80 mail.example.org.\n;additional\nmail.example.org.\t60\tIN\tA\t192.0.2.2\nmail.example.org.\t60\tIN\tAAAA\t2001:db8::2'],
  'a delegation': ['host.sub.example.org', 'A', 'NOERROR\n;authority\nsub.example.org.\t3600\tIN\tNS\tns.sub.example.org.\nsub.example.org.\t3600\tIN\tNS\tns1.example.org.\n;additional\nns.sub.example.org.\t3600\tIN\tA\t192.0.2.4\nns1.example.org.\t60\tIN\tA\t192.0.2.1'],
  'glue is no answer': ['ns.sub.example.org', 'AAAA', 'NOERROR\n;authority\nsub.example.org.\t3600\tIN\tNS\tns.sub.example.org.\nsub.example.org.\t3600\tIN\tNS\tns1.example.org.\n;additional\nns.sub.example.org.\t3600\tIN\tA\t192.0.2.4\nns1.example.org.\t60\tIN\tA\t192.0.2.1'],
  'DS is the parent\'s': ['sub.example.org', 'DS', 'NOERROR\n;answer\nsub.example.org.\t3600\tIN\tDS\t1 13 2 0102030405060708090001020304050607080900010203040506070809000102'],
  'a DNAME': ['h.old.example.org', 'A', 'NOERROR\n;answer\nold.example.org.\t3600\tIN\tDNAME\tnew.example.org.\nh.old.example.org.\t3600\tIN\tCNAME\th.new.example.org.\nh.new.example.org.\t3600\tIN\tA\t192.0.2.5'],
  'the SOA': ['example.org', 'SOA', 'NOERROR\n;answer\nexample.org.\t3600\tIN\tSOA\tns1.example.org. hostmaster.example.org. 7 7200 1800 604800 300'],
  'another zone': ['example.com', 'A', 'REFUSED'],
}
const served = start(`file ${folder}/db example.org {\n reload 10s\n}`)
for (const [what, [text, type, expected]] of Object.entries(cases)) test(`file: ${what}`, async () => assert.equal(await served.shown(text, type), expected))

test('fallthrough', async () => assert.equal(await start(`file ${folder}/db example.org {\n fallthrough\n}`).shown('nope.example.org'), 'REFUSED'))
test('several zones from one file', async () => {
  writeFileSync(join(folder, 'many'), '@ 60 SOA ns h 1 2 3 4 5\n@ 60 A 192.0.2.1\n')
  const { shown } = start(`file ${folder}/many a.org b.org`)
  for (const zone of ['a.org', 'b.org']) assert.equal(await shown(zone), `NOERROR\n;answer\n${zone}.\t60\tIN\tA\t192.0.2.1`)
})
test('a new serial is taken, a broken file is not', async () => {
  const file = join(folder, 'changes'), content = (serial: number, address: string) => `@ 60 SOA ns h ${serial} 2 3 4 5\n@ 60 A ${address}\n`
  writeFileSync(file, content(1, '192.0.2.1'))
  const told: string[] = []
  const { shown, env, instance } = start(`file ${file} a.org`, testEnv({ peer: () => ({ name: 'transfer', notify: (zone: string) => { told.push(zone) } } as never) }))
  const steps = [[content(1, '192.0.2.2'), '192.0.2.1'], [content(2, '192.0.2.2x'), '192.0.2.1'], [content(3, '192.0.2.33'), '192.0.2.33']] as const
  for (const [text, expected] of steps) {
    writeFileSync(file, `${text}; ${text.length + expected.length}${'x'.repeat(told.length)}`)
    env.advance(60_000)
    assert.equal((await shown('a.org')).split('\t').at(-1), expected)
  }
  assert.deepEqual(told, [name('a.org'), name('a.org')])
  assert.ok(env.logged.some(line => /not taken/.test(line)))
  instance.stop!()
})
test('a signed zone: signatures and NSEC to those who ask', async () => {
  const rrsig = (type: string) => `RRSIG ${type} 13 2 60 20301231000000 20200101000000 1 s.org. AAAA`
  writeFileSync(join(folder, 'signed'), `$ORIGIN s.org.
@ 60 SOA ns h 1 2 3 4 5
@ 60 ${rrsig('SOA')}
@ 60 DNSKEY 257 3 13 AAAA
@ 60 NSEC b.s.org. SOA RRSIG DNSKEY NSEC
@ 60 ${rrsig('NSEC')}
b 60 A 192.0.2.1
b 60 ${rrsig('A')}
b 60 NSEC s.org. A RRSIG NSEC
b 60 ${rrsig('NSEC')}
`)
  const { shown } = start(`file ${folder}/signed s.org`)
  const types = async (text: string, type = 'A', dnssec = true) => (await shown(text, type, dnssec)).split('\n').filter(line => line.includes('\t')).map(line => { const [owner, , , type, data] = line.split('\t'); return `${owner} ${type}${type === 'RRSIG' ? ` ${data!.split(' ')[0]}` : ''}` })
  assert.deepEqual(await types('b.s.org', 'A', false), ['b.s.org. A'])
  assert.deepEqual(await types('b.s.org'), ['b.s.org. A', 'b.s.org. RRSIG A'])
  assert.deepEqual(await types('b.s.org', 'MX'), ['s.org. SOA', 's.org. RRSIG SOA', 'b.s.org. NSEC', 'b.s.org. RRSIG NSEC'])
  assert.deepEqual(await types('c.s.org'), ['s.org. SOA', 's.org. RRSIG SOA', 'b.s.org. NSEC', 'b.s.org. RRSIG NSEC', 's.org. NSEC', 's.org. RRSIG NSEC'])
})
test('the order of names (RFC 4034 6.1)', () => {
  const names = ['example', 'a.example', 'yljkjljk.a.example', 'z.a.example', 'zabc.a.example', 'z.example', '\\001.z.example', '*.z.example', '\\200.z.example'].map(name)
  assert.deepEqual(names.toReversed().sort(canonical), names)
})

const read = (text: string) => readZoneFile({ text, file: 'db', origin: name('a.org'), include: path => ({ text: path === 'self' ? '$INCLUDE self' : 'inc 5 A 192.0.2.7', file: path }) })
test('$INCLUDE', () => assert.deepEqual(read('$INCLUDE x b.org.\n@ 5 A 192.0.2.1').map(record => record.name), [name('inc.b.org'), name('a.org')]))
for (const [what, text, message] of [
  ['a type', '@ 60 IN AX 1', /^db:1: unknown type 'AX'/], ['data', '\n@ 60 A 1.2.3', /^db:2: the data/], ['a parenthesis', '@ 60 SOA ns h ( 1 2 3 4 5', /^db:1: a '\)' is missing/], ['a quote', '@ 60 TXT "x', /^db:1: a quote/],
  ['no TTL', '@ A 192.0.2.1', /a TTL is missing/], ['no name', ' 60 A 192.0.2.1', /needs a name/], ['$GENERATE', '$GENERATE 1-2 a$ A 192.0.2.$', /\$GENERATE is not supported/], ['endless', '$INCLUDE self', /too many nested/],
] as const) test(`zone file refused: ${what}`, () => assert.throws(() => read(text), error => error instanceof ZoneFileError && message.test(error.message) || assert.fail(String(error))))

test('refused with the place in the Corefile', () => {
  assert.throws(() => start(`file ${folder}/none a.org`), /^CorefileError: Corefile:2 .*cannot read the zone 'a.org.'/)
  writeFileSync(join(folder, 'nosoa'), '@ 60 A 192.0.2.1')
  assert.throws(() => start(`file ${folder}/nosoa a.org`), /there is no SOA record/)
  for (const lines of ['file', 'file x {\n relod 1s\n}']) assert.throws(() => optionsOf(plugin, lines), CorefileError)
})
