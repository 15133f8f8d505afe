import assert from 'node:assert/strict'
import { test } from 'node:test'
import { failure, records } from '../../plugin.ts'
import { ask, chainOf, name, optionsOf, testEnv } from '../../testing.ts'
import { soa } from '../../wire/rdata.ts'
import { plugin } from './plugin.ts'

const authority = [soa(name('org'), 5, { mname: name('a'), rname: name('b'), serial: 1, refresh: 1, retry: 1, expire: 1, minimum: 1 })]
const answers = { success: records({}), nodata: records({ authority }), nxdomain: records({ rcode: 3, authority }), error: failure('x') }

function logged(lines: string, asked = 'a.example.org'): string[] {
  const env = testEnv()
  const { instance } = chainOf(plugin, lines, { env })
  for (const [label, answer] of Object.entries(answers)) {
    const query = ask(asked, 'AAAA', { dnssec: true, origin: { address: 'fd00::1', port: 7 } })
    query.addMetadata('test/label', () => label)
    instance.observe!(query, answer, { bytes: 50, ms: 1.5 })
  }
  return env.printed
}

test('log: classes', () => {
  const labels = (lines: string) => logged(lines).map(line => line.slice('[INFO] '.length))
  for (const [classes, expected] of [['', ['success', 'nodata', 'nxdomain', 'error']], ['class error', ['error']], ['class denial', ['nodata', 'nxdomain']], ['class success error', ['success', 'error']]] as const) {
    assert.deepEqual(labels(`log . {/test/label} {\n ${classes}\n}`), expected, classes)
  }
})
test('log: formats', () => {
  assert.equal(logged('log')[0], '[INFO] [fd00::1]:7 - 0 "AAAA IN a.example.org. udp 42 true 1232" NOERROR qr,rd 50 0.0015s')
  assert.match(logged('log . {combined}')[0]!, / 0\.0015s "0"$/)
  assert.equal(logged('log . "{name} {nosuch} {/no/label}"')[0], '[INFO] a.example.org. - -')
})
test('log: the first rule with the name decides', () => {
  assert.deepEqual(logged('log example.org "org {rcode}" {\n class error\n}\nlog . "all {rcode}"'), ['[INFO] org SERVFAIL'])
  assert.equal(logged('log example.org', 'a.net').length, 0)
})
test('log: mistakes', () => { for (const lines of ['log {\n class x\n}', 'log {\n class\n}', 'log {\n nosuch\n}', 'log a..b']) assert.throws(() => optionsOf(plugin, lines), /Corefile:/) })
