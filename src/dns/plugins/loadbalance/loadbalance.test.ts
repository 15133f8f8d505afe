import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { pack, render, unpack } from '../../answer.ts'
import { failure, records, type Answer } from '../../plugin.ts'
import { ask, chainOf, name, optionsOf, testEnv } from '../../testing.ts'
import { decode, type Rr } from '../../wire/message.ts'
import { parseRecord, showData } from '../../wire/rdata.ts'
import { typeName } from '../../wire/types.ts'
import { parseWeights } from './config.ts'
import { plugin } from './plugin.ts'

const rr = (line: string): Rr => parseRecord(line)!
const addresses = ['10.0.0.1', '10.0.0.2', '10.0.0.3', '192.168.1.1'].map(ip => rr(`example.org. 30 IN A ${ip}`))
const query = ask('example.org')
const packed = pack(records({ answer: addresses }), { name: name('example.org'), type: 1 })
const last = (answer: Answer) => unpack(answer, query).answer.map(record => showData(record))

/** The answers of many queries, as the addresses sent. */
async function ask100(lines: string, answer: Answer, count = 100): Promise<string[][]> {
  let seed = 1
  const env = testEnv({ random: () => (seed = seed * 48_271 % 0x7fffffff) / 0x7fffffff })
  const { instance, serve } = chainOf(plugin, lines, { env, next: () => answer })
  await instance.start?.()
  const out = Array.from({ length: count }, () => decode(render(query, serve(query) as Answer)).answer.map(record => showData(record)))
  await instance.stop?.()
  return out
}

test('round robin: every address comes first about as often, none is lost', async () => {
  for (const answer of [packed, records({ answer: addresses })]) {
    const all = await ask100('loadbalance', answer, 4000)
    assert.ok(all.every(sent => [...sent].sort().join() === last(packed).sort().join()))
    for (const { data } of addresses) {
      const first = all.filter(sent => sent[0] === [...data].join('.')).length
      assert.ok(first > 850 && first < 1150, `${[...data].join('.')} came first ${first} times of 4000`)
    }
  }
})

test('CNAMEs stand first, and only addresses and MX move', async () => {
  const mixed = records({ answer: [rr('b.example.org. 1 IN A 10.0.0.1'), rr('b.example.org. 1 IN A 10.0.0.2'), rr('example.org. 1 IN CNAME a.example.org.'), rr('b.example.org. 1 IN TXT x'), rr('a.example.org. 1 IN CNAME b.example.org.'), rr('b.example.org. 1 IN MX 1 m1.example.org.'), rr('b.example.org. 1 IN MX 2 m2.example.org.')] })
  const { serve } = chainOf(plugin, 'loadbalance round_robin', { next: () => mixed })
  const sent = unpack(serve(query) as Answer, query).answer
  assert.deepEqual(sent.map(record => typeName(record.type)), ['CNAME', 'CNAME', 'TXT', 'A', 'A', 'MX', 'MX'])
  assert.deepEqual(sent.slice(0, 2).map(record => showData(record)), ['a.example.org.', 'b.example.org.'])
})

test('what is no set of addresses is not touched', () => {
  for (const answer of [failure('x'), pack(records({ answer: addresses.slice(0, 1) }), { name: name('example.org'), type: 1 }), records({})]) {
    const { serve } = chainOf(plugin, 'loadbalance', { next: () => answer })
    assert.equal(serve(query), answer)
  }
})

test('preferred networks first, in either form; limits', async () => {
  for (const answer of [packed, records({ answer: addresses })]) {
    const all = await ask100('loadbalance {\n prefer 192.168.0.0/16 2001:db8::/32\n}', answer)
    assert.ok(all.every(sent => sent[0] === '192.168.1.1' && sent.length === 4))
    assert.ok(new Set(all.map(String)).size > 3)
    assert.ok((await ask100('loadbalance {\n prefer 192.168.1.1/32\n limit_answers 2\n}', answer)).every(sent => sent.length === 2 && sent[0] === '192.168.1.1'))
  }
})

test('weights: how often an address comes first; the file is read again', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'fairway-weights-'))
  const file = join(folder, 'weights')
  try {
    writeFileSync(file, '# comment\nexample.org\n10.0.0.1 10 # most\n10.0.0.2 5\n\nother.org.\n10.0.0.3 255\n')
    const all = await ask100(`loadbalance weighted ${file}`, packed, 3400)
    const first = (ip: string) => all.filter(sent => sent[0] === ip).length / 200
    for (const [ip, weight] of [['10.0.0.1', 10], ['10.0.0.2', 5], ['10.0.0.3', 1], ['192.168.1.1', 1]] as const) assert.ok(Math.abs(first(ip) - weight) < weight * 0.3, `${ip}: ${first(ip)}`)
    assert.ok(all.every(sent => sent.length === 4))

    const env = testEnv({ random: () => 0.98 })
    const { instance, serve } = chainOf(plugin, `loadbalance weighted ${file} {\n reload 10s\n}`, { env, next: () => packed })
    await instance.start!()
    const once = () => last(serve(query) as Answer)[0]
    assert.equal(once(), '192.168.1.1')
    writeFileSync(file, 'example.org\n192.168.1.1 1\n10.0.0.3 255\n')
    for (let n = 0; n < 200 && once() !== '10.0.0.3'; n++) { env.advance(10_000); await turn() }
    assert.equal(once(), '10.0.0.3')
    writeFileSync(file, 'nonsense here\n')
    for (let n = 0; n < 200 && env.logged.length === 0; n++) { env.advance(10_000); await turn() }
    assert.match(env.logged[0]!, /the weights stay as they were .*line 1/)
    assert.equal(once(), '10.0.0.3')
    await assert.rejects(async () => { await chainOf(plugin, `loadbalance weighted ${file}`).instance.start!() }, /loadbalance: .*weights: line 1/)
  } finally { rmSync(folder, { recursive: true }) }
})

test('what is wrong in the Corefile or the weights is told', () => {
  const wrong: [string, RegExp][] = [['random', /unknown policy 'random'/], ['weighted', /needs a file/], ['round_robin x', /takes no file/], ['{\n reload 5s\n}', /only with weighted/], ['{\n prefer 10.0.0.1\n}', /no CIDR/], ['{\n prefer\n}', /argument count/], ['{\n limit_answers 0\n}', /from 1/], ['{\n x\n}', /unknown property/]]
  for (const [text, problem] of wrong) assert.throws(() => optionsOf(plugin, `loadbalance ${text}`), problem, text)
  assert.deepEqual(optionsOf(plugin, 'loadbalance weighted w { reload 0s }'), { policy: { kind: 'weighted', file: '/w', reload: 0 }, prefer: [], limit: 0 })
  for (const text of ['10.0.0.1 3', 'a.org\n10.0.0.1 0', 'a.org\n10.0.0.1 256', 'a.org\n10.0.0 1', 'a.org\n10.0.0.1 1 1', 'a..org']) assert.throws(() => parseWeights(text), /^Error: line \d: /, text)
})
