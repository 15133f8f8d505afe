// hosts: lines, files that change, and names that have none.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { CorefileError } from '../../corefile/errors.ts'
import { records } from '../../plugin.ts'
import { ask, chainOf, optionsOf, show, testEnv } from '../../testing.ts'
import { plugin } from './plugin.ts'

const folder = mkdtempSync(join(tmpdir(), 'fairway-hosts-'))
after(() => rmSync(folder, { recursive: true }))
const env = testEnv()
const asks = (lines: string) => {
  const { serve, instance } = chainOf(plugin, lines, { env, next: () => records({ rcode: 5 }) })
  return { instance, shown: async (text: string, type = 'A') => { const query = ask(text, type); return show(await serve(query), query).replaceAll('\n;answer', '') } }
}
const inline = `hosts ${folder}/none example.org {\n 192.0.2.1 a.example.org A.example.org b.example.org # x\n 192.0.2.2 a.example.org\n 2001:db8::1 a.example.org\n 192.0.2.9 *.wild.example.org\n ttl 60\n fallthrough b.org x.example.org\n}`

test('names, addresses and what there is not', async () => {
  const { shown } = asks(inline)
  for (const [text, type, expected] of [
    ['A.Example.org', 'A', 'NOERROR\nA.Example.org.\t60\tIN\tA\t192.0.2.1\nA.Example.org.\t60\tIN\tA\t192.0.2.2'], ['a.example.org', 'AAAA', 'NOERROR\na.example.org.\t60\tIN\tAAAA\t2001:db8::1'],
    ['b.example.org', 'AAAA', 'NOERROR'], ['a.example.org', 'MX', 'NOERROR'], ['n.example.org', 'A', 'SERVFAIL'], ['n.x.example.org', 'A', 'REFUSED'], ['a.example.com', 'A', 'REFUSED'],
    ['one.wild.example.org', 'A', 'NOERROR\none.wild.example.org.\t60\tIN\tA\t192.0.2.9'], ['two.one.wild.example.org', 'A', 'SERVFAIL'],
    ['1.2.0.192.in-addr.arpa', 'PTR', 'NOERROR\n1.2.0.192.in-addr.arpa.\t60\tIN\tPTR\ta.example.org.\n1.2.0.192.in-addr.arpa.\t60\tIN\tPTR\tb.example.org.'], ['3.2.0.192.in-addr.arpa', 'PTR', 'REFUSED'], ['9.2.0.192.in-addr.arpa', 'PTR', 'REFUSED'],
    [`${'1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2'}.ip6.arpa`, 'PTR', `NOERROR\n1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa.\t60\tIN\tPTR\ta.example.org.`],
  ] as const) assert.equal(await shown(text, type), expected, `${text} ${type}`)
})
test('no_reverse, fallthrough_unsupported', async () => {
  assert.equal(await asks(`hosts ${folder}/none {\n 192.0.2.1 a.org\n no_reverse\n}`).shown('1.2.0.192.in-addr.arpa', 'PTR'), 'REFUSED')
  const { shown } = asks(`hosts ${folder}/none {\n 192.0.2.1 a.org\n fallthrough\n fallthrough_unsupported\n}`)
  assert.deepEqual([await shown('a.org', 'MX'), await shown('a.org', 'AAAA')], ['REFUSED', 'NOERROR'])
})
test('a file that changes, goes and comes again', async () => {
  const file = join(folder, 'hosts')
  writeFileSync(file, '127.0.0.1 localhost\n192.0.2.1 a.org\nnonsense\n::1 %\n')
  const { instance, shown } = asks(`hosts ${file} {\n 192.0.2.5 inline.org\n ttl 10\n}`)
  const until = async (text: string, expected: string) => {
    for (let n = 0; n < 100; n++) {
      env.advance(5000)
      await new Promise(resolve => setTimeout(resolve, 10))
      if (await shown(text) === expected) return
    }
    assert.equal(await shown(text), expected)
  }
  await instance.start!()
  assert.equal(await shown('a.org'), 'NOERROR\na.org.\t10\tIN\tA\t192.0.2.1')
  writeFileSync(file, '192.0.2.22 a.org b.org\n')
  await until('a.org', 'NOERROR\na.org.\t10\tIN\tA\t192.0.2.22')
  rmSync(file)
  await until('a.org', 'SERVFAIL')
  assert.equal(await shown('inline.org'), 'NOERROR\ninline.org.\t10\tIN\tA\t192.0.2.5')
  writeFileSync(file, '192.0.2.33 a.org\n')
  await until('a.org', 'NOERROR\na.org.\t10\tIN\tA\t192.0.2.33')
  await instance.stop!()
})
const wrong: Record<string, [string, RegExp]> = {
  'an option': ['hosts {\n reverse\n}', /^Corefile:3 .*unknown property 'reverse'/], 'a line': ['hosts {\n 192.0.2.1\n}', /name is missing/], 'a ttl': ['hosts {\n ttl 0\n}', /whole number/],
  'unsupported alone': ['hosts {\n fallthrough_unsupported\n}', /needs fallthrough/], 'twice': ['hosts\nhosts', /only once/],
}
for (const [what, [lines, message]] of Object.entries(wrong)) test(`refused: ${what}`, () => assert.throws(() => optionsOf(plugin, lines), error => error instanceof CorefileError && message.test(error.message) || assert.fail(String(error))))
