// transfer: through a whole server over TCP, with a zone of many messages; who may; and NOTIFY.
import assert from 'node:assert/strict'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { CorefileError } from '../../corefile/errors.ts'
import { framed, Frames } from '../../listeners/frames.ts'
import { Query } from '../../query.ts'
import { ask, chainOf, name, optionsOf, testEnv } from '../../testing.ts'
import { testServer } from '../../testing/server.ts'
import { decode, encode, type Message } from '../../wire/message.ts'
import { soa } from '../../wire/rdata.ts'
import { opcodes, rcodes, types } from '../../wire/types.ts'
import { plugin } from './plugin.ts'

const folder = mkdtempSync(join(tmpdir(), 'fairway-transfer-'))
const toClose: (() => unknown)[] = [() => rmSync(folder, { recursive: true })]
after(async () => { for (const close of toClose.reverse()) await close() })
const count = 3000
writeFileSync(join(folder, 'db'), `$TTL 60\n@ SOA ns h 7 2 3 4 5\n${Array.from({ length: count }, (_, i) => `n${i} A 192.0.${i >> 8}.${i & 255}\n`).join('')}big TXT "${'x'.repeat(250)}"\n`)

async function start(to: string): Promise<{ port: number; fetch: (message: Buffer) => Promise<Message[]> }> {
  const { server, port } = await testServer(`example.org {\n bind 127.0.0.1\n file ${folder}/db\n transfer {\n to ${to}\n }\n}`)
  toClose.push(() => server.stop())
  /** All messages up to the second SOA, or the first that is no part of a transfer. */
  const fetch = async (message: Buffer) => {
    const socket = connect(port, '127.0.0.1'), frames = new Frames(), all: Message[] = []
    socket.write(framed(message))
    const ended = () => all[0]!.rcode !== 0 || all.flatMap(({ answer }) => answer).filter(({ type }) => type === types.SOA).length >= (message.readUInt16BE(8) ? 1 : 2)
    while (all.length === 0 || !ended()) {
      const [piece] = await once(socket, 'data', { signal: AbortSignal.timeout(5000) }) as [Buffer]
      all.push(...frames.add(piece).map(decode))
    }
    socket.destroy()
    return all
  }
  return { port, fetch }
}
const axfr = Query.make(name('example.org'), types.AXFR).message
const ixfr = (serial: number) => encode({ id: 1, flags: 0, opcode: 0, rcode: 0, questions: [{ name: name('example.org'), type: types.IXFR, class: 1 }], answer: [], authority: [soa(name('example.org'), 0, { mname: name('.'), rname: name('.'), serial, refresh: 0, retry: 0, expire: 0, minimum: 0 })], additional: [] })

test('AXFR: everything once, between two SOAs, in several messages', async () => {
  const { fetch } = await start('*')
  const all = await fetch(axfr), answers = all.flatMap(({ answer }) => answer)
  assert.ok(all.length > 3, `${all.length} messages`)
  assert.ok(all.every(({ questions }) => questions.length === 1))
  assert.deepEqual([answers[0]!.type, answers.at(-1)!.type, answers.length], [types.SOA, types.SOA, count + 3])
  assert.equal(new Set(answers.map(({ name }) => name)).size, count + 2)
})
test('IXFR: the SOA alone for who is up to date, else everything', async () => {
  const { fetch } = await start('127.0.0.0/8')
  assert.deepEqual((await fetch(ixfr(7))).flatMap(({ answer }) => answer).map(({ type }) => type), [types.SOA])
  assert.ok((await fetch(ixfr(6)))[0]!.answer.length > 1)
})
test('others are refused; over UDP there is no transfer', async () => {
  const { fetch } = await start('192.0.2.1 192.0.2.0/24')
  assert.equal((await fetch(axfr))[0]!.rcode, rcodes.REFUSED)
  const holder = { name: 'file', transfer: () => [[soa(name('example.org'), 1, { mname: name('.'), rname: name('.'), serial: 1, refresh: 0, retry: 0, expire: 0, minimum: 0 })]] }
  const { serve } = chainOf(plugin, 'transfer {\n to *\n}', { env: testEnv({ peers: () => [holder] }) })
  assert.equal((await serve(ask('example.org', 'AXFR'))).rcode, rcodes.FORMERR)
  const none = chainOf(plugin, 'transfer {\n to *\n}').serve
  assert.equal((await none(ask('example.org', 'AXFR'))).rcode, rcodes.SERVFAIL) // the end of the chain
})
test('NOTIFY: secondaries are told until they answer', async () => {
  const secondary = createSocket('udp4')
  secondary.bind(0, '127.0.0.1')
  await once(secondary, 'listening')
  toClose.push(() => secondary.close())
  const got: Message[] = []
  secondary.on('message', (message, peer) => {
    got.push(decode(message))
    if (got.length < 2) return
    const reply = Buffer.from(message)
    reply[2]! |= 0x80
    secondary.send(reply, peer.port, peer.address)
  })
  await start(`127.0.0.1:${secondary.address().port}`)
  while (got.length < 2) await once(secondary, 'message', { signal: AbortSignal.timeout(5000) })
  await new Promise(resolve => setTimeout(resolve, 1200))
  assert.deepEqual(got.map(({ opcode, questions }) => [opcode, questions[0]!.name, questions[0]!.type]), [[opcodes.NOTIFY, name('example.org'), types.SOA], [opcodes.NOTIFY, name('example.org'), types.SOA]])
  assert.equal(got[0]!.id, got[1]!.id)
})
for (const [lines, message] of [['transfer', /'to' is required/], ['transfer {\n to x\n}', /^Corefile:3 .*'x' is no/], ['transfer {\n from *\n}', /unknown property 'from'/]] as const) {
  test(`refused: ${lines.replaceAll('\n', ' ')}`, () => assert.throws(() => optionsOf(plugin, lines), error => error instanceof CorefileError && message.test(error.message) || assert.fail(String(error))))
}
